"""A cluster in memory in which workloads are made by the real road of a write: defaults, admission,
quotas and rules are those of a server. Nothing runs beside it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.base.users import loop_user
from longshore.cluster.config import ClusterError
from longshore.cluster.simulate.expand import EXPANDED, Made, expanded
from longshore.cluster.simulate.manifests import Given
from longshore.core.objects import kinds
from longshore.core.objects.errors import AlreadyExists, ApiError
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.surroundings import AdmissionConfig
from longshore.core.registry.client import Create
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry, RegistryConfig
from longshore.core.store.memory import MemoryStore
from longshore.core.watch.cache import Cache

T = TypeVar("T")

# Accounts are for what runs; a node of a shape is ready from the start.
_WITHOUT = ("ServiceAccount", "TaintNodesByCondition")
_BATCH = 1000
_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


@dataclass(slots=True)
class Workload:
    """A workload and what became of its pods: uids of those that were made, and why others were
    not."""

    title: str
    namespace: str
    uids: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


class Rehearsal:
    """Made by rehearsed()."""

    def __init__(self, registry: Registry) -> None:
        self._client = InProcess(registry, loop_user("simulate"))
        self._registry = registry

    @property
    def cache(self) -> Cache:
        """All that was made."""
        return self._registry.cache

    async def present(self, objects: Iterable[Made]) -> None:
        """Objects that a cluster has already. Raises ClusterError."""
        for part in _batches(_fresh(one) for one in objects):
            for operation, answer in zip(part, await self._client.submit(part), strict=True):
                if isinstance(answer, ApiError) and not isinstance(answer, AlreadyExists):
                    name = operation.doc["metadata"]["name"]
                    raise ClusterError(f"{operation.kind.name} {name}: {answer}")

    async def perform(self, given: Sequence[Given], nodes: Sequence[Doc]) -> list[Workload]:
        """Make what manifests say, and the pods of it on nodes that need not be in the cluster.
        Raises ClusterError for what no server would take."""
        await self._make_namespaces({one.namespace for one in given if one.namespace})
        kept = [(one, await self._make(one)) for one in given if one.kind is not kinds.POD]
        pods = [(one, one.doc | {"metadata": {**one.doc["metadata"], "namespace": one.namespace}})
                for one in given if one.kind is kinds.POD]  # fmt: skip
        return [
            await self._expand(one, doc, nodes)
            for one, doc in [*kept, *pods]
            if one.kind in EXPANDED
        ]

    async def _make_namespaces(self, names: Iterable[str]) -> None:
        docs = [{"metadata": {"name": name}} for name in sorted({*names, *_NAMESPACES})]
        await self.present(Made(kinds.NAMESPACE, doc) for doc in docs)

    async def _make(self, one: Given) -> Doc:
        doc = {**one.doc, "metadata": {**one.doc["metadata"]}}
        if one.namespace:
            doc["metadata"]["namespace"] = one.namespace
        try:
            return await self._client.write(Create(one.kind, doc))
        except AlreadyExists:
            if one.kind is kinds.NAMESPACE:
                return doc
            raise ClusterError(f"-f: {one.title} is there twice") from None
        except ApiError as error:
            raise ClusterError(f"-f: {one.title}: {error}") from None

    async def _expand(self, one: Given, doc: Doc, nodes: Sequence[Doc]) -> Workload:
        workload = Workload(one.title, one.namespace)
        made = expanded(one.kind.kept_as, doc, nodes)
        for part in _batches(Create(each.kind, each.doc) for each in made):
            for operation, answer in zip(part, await self._client.submit(part), strict=True):
                if isinstance(answer, ApiError):
                    workload.refused[str(answer)] += 1
                elif operation.kind is kinds.POD:
                    workload.uids.append(answer["metadata"]["uid"])
        return workload


async def rehearsed(seed: int, play: Callable[[Rehearsal], Awaitable[T]]) -> T:
    """What play returns, given a cluster without anything; seed says which random names and uids
    there are. Raises play's ClusterError."""
    config = RegistryConfig(admission=AdmissionConfig(disable=_WITHOUT))
    registry = Registry(MemoryStore(), SystemClock(), Chance.seeded(seed), config)
    await registry.open()
    async with asyncio.TaskGroup() as crew:
        running = crew.create_task(registry.run(), name="registry")
        try:
            return await play(Rehearsal(registry))
        except ClusterError as error:
            refusal = error  # a group of errors would hide it
        finally:
            running.cancel()
    raise refusal


def _fresh(one: Made) -> Create:
    """As if it were new: what the server that it is from has written does not count here."""
    metadata = {k: v for k, v in one.doc["metadata"].items() if k not in _SERVERS_OWN}
    return Create(one.kind, {**one.doc, "metadata": metadata})


_SERVERS_OWN = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "ownerReferences")


def _batches(operations: Iterator[Create]) -> Iterator[list[Create]]:
    while part := list(islice(operations, _BATCH)):
        yield part
