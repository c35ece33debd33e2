"""An agent with devices: a virtual clock, real sockets and real gRPC."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from longshore.base.clock import SystemClock
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.run import Kubelet
from longshore.machinery.runtime.protocol import ContainerSpec

from ..world import NODE, World, world_of


class DeviceWorld(World):
    """Words for what a node has and what containers were given."""

    kubelet: Kubelet

    @property
    def home(self) -> Path:
        return self.root / "device-plugins"

    def node_has(self, resource: str) -> tuple[str | None, str | None]:
        """(capacity, allocatable) of the node."""
        node = self.registry.cache.get(kinds.NODE, "", NODE)
        status: Doc = (node or {}).get("status") or {}
        known, usable = status.get("capacity") or {}, status.get("allocatable") or {}
        return known.get(resource), usable.get(resource)

    async def place(self, doc: Doc) -> Doc:
        """A pod of somebody who names the node himself, and passes the scheduler by."""
        metadata = {"name": doc["metadata"]["name"], "namespace": "shop"}
        return await self.create(kinds.POD, {**doc, "metadata": metadata})

    def started(self, pod: str, name: str = "main") -> ContainerSpec | None:
        """The last attempt that was started."""
        wanted = [
            spec
            for spec in self.runtime.started
            if spec.name == name and spec.labels["io.kubernetes.pod.name"] == pod
        ]
        return wanted[-1] if wanted else None

    def env(self, pod: str, name: str = "main") -> dict[str, str]:
        spec = self.started(pod, name)
        return {} if spec is None else dict(spec.env)


async def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    """gRPC is real, so this waits in real time."""
    clock, deadline = SystemClock(), time.perf_counter() + seconds
    while not true():
        assert time.perf_counter() < deadline, "it never came to be"
        await clock.sleep(0.002)


@pytest.fixture
def root() -> Iterator[Path]:
    """A short one: the path of a socket has 107 letters at most."""
    path = Path(tempfile.mkdtemp(prefix="ls-devices-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
async def w(root: Path) -> AsyncIterator[DeviceWorld]:
    async with asyncio.timeout(60), world_of(DeviceWorld, root) as made:
        made.kubelet = made.start_agent()
        await until(lambda: made.registry.cache.get(kinds.NODE, "", NODE))
        await until((made.home / "kubelet.sock").exists)
        yield made
