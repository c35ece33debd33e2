"""A real registry with real controllers and scheduler under the virtual clock; only the nodes'
agents are played, by a few lines that write what a kubelet would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from longshore.base.chance import Chance
from longshore.base.clock import rfc3339, rfc3339_micro
from longshore.base.users import loop_user
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.pki.authority import Authority
from longshore.core.registry.client import Client, Create, Delete, DeleteOptions, Patch, Update
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.core.store.memory import MemoryStore
from longshore.machinery.controllers.common import pods as pod_state
from longshore.machinery.controllers.run_all import ControllerConfig, run_controllers
from longshore.machinery.loop.recorder import Journal
from longshore.machinery.scheduler.worker import Worker
from longshore.testing.clock import VirtualClock, settle


class World:
    """Short words for tests. Agents answer only when told to: see play()."""

    def __init__(self, registry: Registry, clock: VirtualClock) -> None:
        self.registry = registry
        self.cache = registry.cache
        self.clock = clock
        self.client = InProcess(registry, loop_user("test"))
        self.broken_images: set[str] = set()
        self.dead_nodes: set[str] = set()
        self._serial = 0

    async def create(self, kind: Kind, doc: Doc, namespace: str = "default") -> Doc:
        metadata = dict(doc["metadata"])
        if kind.namespaced:
            metadata.setdefault("namespace", namespace)
        return await self.client.write(Create(kind, {**doc, "metadata": metadata}))

    async def patch(self, kind: Kind, name: str, patch: Doc, subresource: str = "") -> Doc:
        namespace = "default" if kind.namespaced else ""
        return await self.client.write(Patch(kind, namespace, name, patch, subresource))

    async def update(self, kind: Kind, doc: Doc) -> Doc:
        return await self.client.write(Update(kind, doc))

    async def delete(self, kind: Kind, name: str, **options: Any) -> None:
        namespace = "default" if kind.namespaced else ""
        await self.client.write(Delete(kind, namespace, name, DeleteOptions(**options)))

    def get(self, kind: Kind, name: str, namespace: str = "default") -> Doc:
        found = self.cache.get(kind, namespace if kind.namespaced else "", name)
        assert found is not None, f"{kind.name} {name} is not there"
        return found

    def missing(self, kind: Kind, name: str) -> bool:
        return self.cache.get(kind, "default" if kind.namespaced else "", name) is None

    def pods(self) -> list[Doc]:
        """Those of namespace default that are not on their way out."""
        found = self.cache.all(kinds.POD, "default")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def events(self, reason: str) -> list[str]:
        found = self.cache.all(kinds.EVENT, "default")
        return sorted(one["message"] for one in found if one["reason"] == reason)

    async def node(self, name: str, **more: Any) -> Doc:
        """A node whose agent has just reported ready."""
        made = await self.create(kinds.NODE, {"metadata": {"name": name, **more}, "spec": {}})
        return await self.report(made)

    async def report(self, node: Doc, ready: str = "True") -> Doc:
        now = rfc3339(self.clock.now())
        condition = {
            "type": "Ready",
            "status": ready,
            "reason": "KubeletReady",
            "message": "",
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        amounts = {"cpu": "8", "memory": "16Gi", "pods": "110"}
        status = {"allocatable": amounts, "capacity": amounts, "conditions": [condition]}
        name = node["metadata"]["name"]
        return await self.patch(kinds.NODE, name, {"status": status}, "status")

    async def renew(self, name: str) -> None:
        """What an agent does every ten seconds."""
        spec = {"holderIdentity": name, "renewTime": rfc3339_micro(self.clock.now())}
        there = self.cache.get(kinds.LEASE, "kube-node-lease", name)
        if there is None:
            metadata = {"name": name, "namespace": "kube-node-lease"}
            await self.client.write(Create(kinds.LEASE, {"metadata": metadata, "spec": spec}))
        else:
            await self.client.write(Update(kinds.LEASE, {**there, "spec": spec}))

    async def agents_act(self) -> bool:
        """Every living agent starts and ends what it should; whether there was anything to do."""
        acted = False
        for pod in self.cache.all(kinds.POD):
            node = pod_state.node_name(pod)
            if not node or node in self.dead_nodes or pod_state.is_terminal(pod):
                continue
            metadata = pod["metadata"]
            if "deletionTimestamp" in metadata:
                options = DeleteOptions(grace_s=0)
                gone = Delete(kinds.POD, metadata["namespace"], metadata["name"], options)
                await self.client.write(gone)
                acted = True
            elif not pod_state.is_ready(pod) and self._image(pod) not in self.broken_images:
                await self.client.write(Update(kinds.POD, self._running(pod), "status"))
                acted = True
        return acted

    async def play(self, seconds: float = 60.0) -> None:
        """Let agents and controllers answer each other until all is quiet, for at most so long."""
        for _ in range(int(seconds)):
            await self.quiet()
            if not await self.agents_act():
                return
            await self.clock.advance(1.0)

    async def quiet(self) -> None:
        """Until nothing is written any more without time passing; back-offs are let pass."""
        for _ in range(200):
            before = self.registry.cache.revision
            await settle(20)
            await self.clock.advance(0.01)
            if self.registry.cache.revision == before:
                await self.clock.advance(0.2)
                if self.registry.cache.revision == before:
                    return
        raise AssertionError("the controllers do not come to rest")

    def _image(self, pod: Doc) -> str:
        return str(pod["spec"]["containers"][0]["image"])

    def _running(self, pod: Doc) -> Doc:
        self._serial += 1
        now = rfc3339(self.clock.now())
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": now}
        others = [c for c in pod["status"].get("conditions") or () if c["type"] != "Ready"]
        address = f"10.42.{self._serial // 250}.{self._serial % 250 + 1}"
        status = {
            "phase": "Running",
            "startTime": pod["status"].get("startTime", now),
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [*others, ready],
        }
        return {**pod, "status": {**pod["status"], **status}}


Controllers: TypeAlias = Callable[[Client], Awaitable[None]]
"""Runs all controllers, which write through that client, until it is cancelled."""


async def forever(controllers: Controllers, client: Client) -> None:
    await controllers(client)


@asynccontextmanager
async def running(
    config: ControllerConfig | None = None,
    *,
    nodes: int = 2,
    manager: Callable[[Controllers, Client], Awaitable[None]] = forever,
) -> AsyncIterator[World]:
    """A world with so many nodes, at rest. The manager starts the controllers, and may end them."""
    clock = VirtualClock()
    registry = Registry(MemoryStore(), clock, Chance.seeded(1))
    await registry.open()
    world = World(registry, clock)
    chance, client = Chance.seeded(2), InProcess(registry, loop_user("loops"))
    journal = Journal(client, clock)
    with TemporaryDirectory() as pki:
        chosen = config or ControllerConfig(Authority(Path(pki), clock))

    async def controllers(client: Client) -> None:
        await run_controllers(world.cache, client, clock, chance, journal, chosen)

    async with asyncio.TaskGroup() as crew:
        parts: list[Any] = [
            registry.run(),
            journal.run(),
            manager(controllers, client),
            Worker(world.cache, client, clock, chance, journal.recorder("default-scheduler")).run(),
        ]
        tasks = [crew.create_task(part) for part in parts]
        for name in ("default", "kube-node-lease"):
            await world.create(kinds.NAMESPACE, {"metadata": {"name": name}})
        for number in range(nodes):
            await world.node(f"n{number}")
        await world.quiet()
        yield world
        for task in tasks:
            task.cancel()


def deployment(name: str = "web", replicas: int = 3, image: str = "one", **spec: Any) -> Doc:
    labels = {"app": name}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "c", "image": image}]},
    }
    body = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": name}, "spec": {**body, **spec}}


def new_image(image: str) -> Doc:
    return {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}


def counting(pods: list[Doc], key: Callable[[Doc], str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for pod in pods:
        counts[key(pod)] = counts.get(key(pod), 0) + 1
    return counts


def image_of(pod: Doc) -> str:
    return str(pod["spec"]["containers"][0]["image"])


def condition(doc: Doc, type_: str) -> Doc:
    found = pod_state.condition(doc, type_)
    assert found is not None, f"no condition {type_} in {doc['status']}"
    return found
