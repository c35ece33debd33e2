"""Fetch what pods refer to: ConfigMaps and Secrets when asked, Services kept at hand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError, NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Change, Client
from longshore.machinery.kubelet.environment import Sources
from longshore.machinery.kubelet.spec import wanted_sources
from longshore.machinery.loop.follow import follow


class ServiceMirror:
    """Services by namespace, for the environment of containers that start."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._services: dict[str, dict[str, Doc]] = {}
        self.ready = asyncio.Event()

    def of(self, namespace: str) -> tuple[Doc, ...]:
        """The namespace's Services, and the API server's own. Empty until ready."""
        own = self._services.get(namespace, {})
        master = self._services.get("default", {}).get("kubernetes")
        rest = tuple(s for s in own.values() if s is not master)
        return rest if master is None else (*rest, master)

    async def run(self) -> None:
        """Follow Services until cancelled."""
        await follow(self._client, kinds.SERVICE, self._clock, self._replace, self._take)

    def _replace(self, services: Sequence[Doc]) -> None:
        self._services = {}
        self._take([Change("ADDED", doc) for doc in services])
        self.ready.set()

    def _take(self, changes: Sequence[Change]) -> None:
        for change in changes:
            metadata = change.doc["metadata"]
            own = self._services.setdefault(metadata["namespace"], {})
            if change.type == "DELETED":
                own.pop(metadata["name"], None)
            else:
                own[metadata["name"]] = change.doc


class Fetcher:
    """Gets what one pod's environment and volumes are made of."""

    def __init__(self, client: Client, services: ServiceMirror) -> None:
        self._client = client
        self._services = services

    async def fetch(self, pod: Doc) -> Sources:
        """The newest of everything the pod refers to; what does not exist is left out.
        Raises ApiError when the API server cannot be asked."""
        await self._services.ready.wait()
        namespace, wanted = pod["metadata"]["namespace"], wanted_sources(pod["spec"])
        maps = await self._get_all(kinds.CONFIG_MAP, namespace, wanted["config_maps"])
        secrets = await self._get_all(kinds.SECRET, namespace, wanted["secrets"])
        return Sources(maps, secrets, self._services.of(namespace))

    async def _get_all(self, kind: Kind, namespace: str, names: set[str]) -> dict[str, Doc]:
        async with asyncio.TaskGroup() as crew:
            asked = {
                name: crew.create_task(self._get(kind, namespace, name)) for name in sorted(names)
            }
        answers = {name: task.result() for name, task in asked.items()}
        for answer in answers.values():
            if isinstance(answer, ApiError) and not isinstance(answer, NotFound):
                raise answer
        return {n: doc for n, doc in answers.items() if not isinstance(doc, ApiError)}

    async def _get(self, kind: Kind, namespace: str, name: str) -> Doc | ApiError:
        """The answer as a value: a failed task would arrive wrapped in a group."""
        try:
            doc = await self._client.get(kind, namespace, name)
        except ApiError as error:
            return error
        return doc if "kind" in doc else {**doc, "kind": kind.name}
