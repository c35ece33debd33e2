"""What there is before anything is simulated: the nodes of a shape, or what a cluster has now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from longshore.base import quantities
from longshore.cluster.client.access import Access, with_access
from longshore.cluster.simulate.expand import Made
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.doors.kubernetes.client import HttpClient

# Besides nodes and pods: what defaults, priorities and refusals of new pods depend on.
_TAKEN_ALONG = (
    kinds.NAMESPACE, kinds.PRIORITY_CLASS, kinds.RUNTIME_CLASS, kinds.LIMIT_RANGE,
    kinds.RESOURCE_QUOTA,
)  # fmt: skip
_SYSTEM = "system-"
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Present:
    """Nodes, pods that are on them, and other objects."""

    nodes: Sequence[Doc]
    pods: Sequence[Doc] = ()
    objects: Sequence[Made] = ()


def of_cluster(access: Access) -> Present:
    """What a cluster has now. Quotas have what is left of them. Raises ClusterError."""

    async def ask(client: HttpClient) -> Present:
        nodes, pods = [(await client.list(kind)).items for kind in (kinds.NODE, kinds.POD)]
        found = {kind: (await client.list(kind)).items for kind in _TAKEN_ALONG}
        objects = [Made(kind, doc) for kind, docs in found.items() for doc in _kept(docs)]
        return Present(nodes, [*_on(nodes, pods)], objects)

    return with_access(access, ask)


def _kept(docs: Iterable[Doc]) -> Iterator[Doc]:
    for doc in docs:
        if doc["kind"] == kinds.RESOURCE_QUOTA.name:
            yield _left(doc)
        elif not doc["metadata"]["name"].startswith(_SYSTEM):
            yield doc


def _left(quota: Doc) -> Doc:
    """A quota that is as large as what is not used of it: who uses the rest is not there."""
    used = (quota.get("status") or {}).get("used") or {}
    hard = {
        what: _difference(amount, used.get(what, "0"))
        for what, amount in (quota["spec"].get("hard") or {}).items()
    }
    return {**quota, "spec": {**quota["spec"], "hard": hard}}


def _difference(hard: str, used: str) -> str:
    left = quantities.parse(hard) - quantities.parse(used)
    return quantities.text(left) if left > 0 else "0"


def _on(nodes: Iterable[Doc], pods: Iterable[Doc]) -> Iterator[Doc]:
    """Pods that hold something of a node that is there."""
    names = {node["metadata"]["name"] for node in nodes}
    for pod in pods:
        phase = (pod.get("status") or {}).get("phase")
        if pod["spec"].get("nodeName") in names and phase not in _ENDED:
            yield pod
