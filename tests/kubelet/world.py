"""A whole agent over the real registry, on a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from longshore.base.chance import Chance
from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.admission.surroundings import AdmissionConfig
from longshore.core.registry.client import Bind, Client, Create, Delete, DeleteOptions, Patch
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry, RegistryConfig
from longshore.core.store.memory import MemoryStore
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.network import HollowNetwork
from longshore.machinery.kubelet.probes.handlers import Target
from longshore.machinery.kubelet.probes.outcome import Outcome
from longshore.machinery.kubelet.resource_settings import ResourceSettings
from longshore.machinery.kubelet.run import Kubelet
from longshore.machinery.runtime.hollow import HollowRuntime
from longshore.machinery.runtime.protocol import (
    Container,
    ContainerSpec,
    Image,
    ImagePullFailed,
    Login,
    RuntimeFailure,
    StartFailed,
)
from longshore.machinery.runtime.waiting import within
from longshore.testing.clock import VirtualClock, settle
from tests.threads import no_threads

ADMIN = User("admin", ("system:masters",))
NODE = "node-1"


class Recording(HollowRuntime):
    """The hollow runtime, which can be told to fail and remembers what it was asked to start."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock, Chance.seeded(5))
        self.started: list[ContainerSpec] = []
        self.missing: set[str] = set()
        self.unpullable: dict[str, str] = {}
        self.private: dict[str, str] = {}
        self.logins: list[tuple[str, str]] = []
        self.gate: asyncio.Event | None = None
        self.unstartable: dict[str, str] = {}
        self.stops: list[tuple[str, float]] = []
        self.pulled: list[str] = []
        self.stubborn = False
        self.silent = False
        self.killed = asyncio.Event()

    async def image(self, reference: str) -> Image | None:
        return None if reference in self.missing else await super().image(reference)

    async def images(self) -> list[Image]:
        if self.silent:
            raise RuntimeFailure("the container runtime does not answer")
        return await super().images()

    async def pull(self, reference: str, login: Login | None = None) -> Image:
        """private is who may have an image; with a gate, pulls wait for it."""
        self.pulled.append(reference)
        self.logins.append((reference, login.username if login else ""))
        if self.gate is not None:
            await self.gate.wait()
        if self.private.get(reference) not in (None, login.username if login else ""):
            raise ImagePullFailed(f"{reference}: unauthorized: authentication required")
        if reference in self.unpullable:
            raise ImagePullFailed(self.unpullable[reference])
        self.missing.discard(reference)
        return await super().pull(reference)

    async def start_container(self, sandbox_id: str, spec: ContainerSpec) -> Container:
        if spec.name in self.unstartable:
            raise StartFailed(self.unstartable[spec.name])
        self.started.append(spec)
        return await super().start_container(sandbox_id, spec)

    async def stop_container(self, container_id: str, grace_s: float) -> None:
        self.stops.append((container_id, grace_s))
        if self.stubborn and await within(self._clock, grace_s, self.killed):
            return
        self.killed.set()
        await super().stop_container(container_id, grace_s)

    async def crash(self, pod_uid: str, name: str, code: int = 1) -> None:
        """End the running container of a pod, as if by itself."""
        for container in await self.containers():
            if (container.sandbox, container.name) == (pod_uid, name) and not container.finished_at:
                self._end(container, code, self._clock.now())


class Obliging:
    """A checker that answers as it is told, per kind of handler; good unless told otherwise."""

    def __init__(self) -> None:
        self.bad: set[str] = set()
        self.asked: list[str] = []
        self.before: Callable[[], object] = lambda: None

    async def check(self, handler: Doc, target: Target, timeout_s: float) -> Outcome:
        self.before()
        what = next(key for key in ("httpGet", "tcpSocket", "exec") if key in handler)
        path = handler[what].get("path", what)
        self.asked.append(path)
        return Outcome(path not in self.bad, "told so")

    async def carry_out(self, handler: Doc, target: Target, timeout_s: float) -> Outcome:
        return await self.check(handler, target, timeout_s)


@dataclass
class World:
    """The registry, one agent, and short words for both."""

    clock: VirtualClock
    registry: Registry
    root: Path
    crew: asyncio.TaskGroup
    runtime: Recording = field(init=False)
    network: HollowNetwork = field(init=False)
    checker: Obliging = field(default_factory=Obliging)
    static_pods: Path | None = None
    agents: list[asyncio.Task[None]] = field(default_factory=list)
    resources: ResourceSettings = field(default_factory=ResourceSettings)

    def __post_init__(self) -> None:
        self.client = InProcess(self.registry, ADMIN)
        self.runtime = Recording(self.clock)
        self.network = HollowNetwork("10.42.1.0/24")

    def start_agent(self, client: Client | None = None) -> Kubelet:
        config = KubeletConfig(
            NODE,
            self.root,
            "10.90.0.11",
            pod_cidr="10.42.1.0/24",
            cluster_dns=("10.96.0.10",),
            capacity={"cpu": "4", "memory": "8Gi"},
            resources=self.resources,
            static_pods=self.static_pods,
        )
        kubelet = Kubelet(
            config, client or self.client, self.runtime, self.network, self.clock, Chance.seeded(2)
        )
        kubelet.checker = self.checker
        self.agents.append(self.crew.create_task(kubelet.run()))
        return kubelet

    async def stop_agent(self) -> None:
        task = self.agents.pop()
        task.cancel()
        await until(task.done)

    async def create(self, kind: Kind, doc: Doc) -> Doc:
        return await self.client.write(Create(kind, doc))

    async def run_pod(self, doc: Doc) -> Doc:
        """Create a pod as users do, and bind it as the scheduler does."""
        spec = {k: v for k, v in doc["spec"].items() if k != "nodeName"}
        metadata = {k: v for k, v in doc["metadata"].items() if k not in ("uid", "generation")}
        made = await self.create(kinds.POD, {**doc, "metadata": metadata, "spec": spec})
        where = made["metadata"]
        return await self.client.write(Bind(where["namespace"], where["name"], NODE))

    async def pod(self, name: str = "web") -> Doc:
        return await self.client.get(kinds.POD, "shop", name)

    def status(self, name: str = "web") -> Doc:
        found = self.registry.cache.get(kinds.POD, "shop", name)
        assert found is not None, f"no pod {name}"
        status: Doc = found.get("status") or {}
        return status

    def phase(self, name: str = "web") -> str:
        phase: str = self.status(name).get("phase", "")
        return phase

    def container(self, name: str = "main", pod: str = "web") -> Doc:
        everything = [
            *self.status(pod).get("containerStatuses", []),
            *self.status(pod).get("initContainerStatuses", []),
        ]
        return next((c for c in everything if c["name"] == name), {"state": {}, "lastState": {}})

    def waiting(self, name: str = "main", pod: str = "web") -> str:
        reason: str = (self.container(name, pod)["state"].get("waiting") or {}).get("reason", "")
        return reason

    def ready(self, pod: str = "web") -> bool:
        return any(
            c["type"] == "Ready" and c["status"] == "True"
            for c in self.status(pod).get("conditions", [])
        )

    async def delete(self, name: str = "web", grace_s: int | None = None) -> None:
        await self.client.write(Delete(kinds.POD, "shop", name, DeleteOptions(grace_s=grace_s)))

    def gone(self, name: str = "web") -> bool:
        return self.registry.cache.get(kinds.POD, "shop", name) is None

    async def events(self) -> list[str]:
        """Reasons and messages of all Events so far."""
        await self.clock.advance(0.2)
        docs = (await self.client.list(kinds.EVENT)).items
        return [f"{doc['reason']}: {doc['message']}" for doc in docs]


# Pods of these tests are what they say, without tokens: see test_credentials.py.
NO_ACCOUNTS = RegistryConfig(admission=AdmissionConfig(disable=("ServiceAccount",)))


async def until(true: Callable[[], object], turns: int = 4000) -> None:
    """Let everything run until it is so."""
    for _ in range(turns):
        if true():
            return
        await settle(10)
    assert true(), "it never came to be"


W = TypeVar("W", bound=World)


@asynccontextmanager
async def world(root: Path) -> AsyncIterator[World]:
    async with world_of(World, root) as made:
        yield made


@asynccontextmanager
async def world_of(sort: type[W], root: Path) -> AsyncIterator[W]:
    no_threads()
    clock = VirtualClock()
    registry = Registry(MemoryStore(), clock, Chance.seeded(1), NO_ACCOUNTS)
    await registry.open()
    async with asyncio.TaskGroup() as crew:
        running = crew.create_task(registry.run())
        made = sort(clock, registry, root, crew)
        for name in ("default", "shop", "kube-node-lease"):
            if registry.cache.get(kinds.NAMESPACE, "", name) is None:
                await made.create(kinds.NAMESPACE, {"metadata": {"name": name}})
        yield made
        for task in made.agents:
            task.cancel()
        running.cancel()
    await registry.close()


async def declare_lost(w: World, pod: str, node: str) -> None:
    """What the node controller does about a node of which nothing is heard: it and its pods are
    marked as not ready (upstream's pkg/controller/nodelifecycle)."""
    for kind, namespace, name in ((kinds.NODE, "", node), (kinds.POD, "shop", pod)):
        doc = w.registry.cache.get(kind, namespace, name)
        assert doc is not None
        conditions = [
            {**one, "status": "False"} if one["type"] == "Ready" else one
            for one in doc["status"]["conditions"]
        ]
        patch = {"status": {"conditions": conditions}}
        await w.client.write(Patch(kind, namespace, name, patch, "status"))
