"""What the cri driver adds to containerd: a sandbox and a container in it, made through the driver and by a bare
client of the same containerd, in turns; and the oci driver beside them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.table import Figure
from longshore.base.clock import SystemClock
from longshore.machinery.runtime.cri import calls, plan
from longshore.machinery.runtime.cri import rpc_pb2 as rpc
from longshore.machinery.runtime.cri.calls import Calls
from longshore.machinery.runtime.cri.containerd import Containerd
from longshore.machinery.runtime.cri.network import Handover
from longshore.machinery.runtime.cri.run import CriRuntime
from longshore.machinery.runtime.emptying import remove_all
from longshore.machinery.runtime.images import ImageConfig, ImageStore, build_image
from longshore.machinery.runtime.linux import unmount
from longshore.machinery.runtime.oci import OciRuntime, destroy_all
from longshore.machinery.runtime.protocol import ContainerSpec, Runtime, Sandbox, SandboxSpec

ROUNDS, WARM_UP = 20, 3
RATIO = 1.3
NODE = "bench"
_GROUP = "/longshore-bench-runtime"
_IMAGE = "bench.local/init:1"

Make = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Site:
    """What there is for pods: a directory, a network namespace, and a containerd."""

    home: Path
    netns: str
    containerd: Containerd

    @property
    def images(self) -> Path:
        return self.home / "image.tar"

    def sandbox(self, name: str) -> SandboxSpec:
        logs = str(self.home / "logs" / name)
        return SandboxSpec(name, "default", name, name, self.netns, log_directory=logs)

    def container(self, name: str) -> ContainerSpec:
        return ContainerSpec("c", _IMAGE, str(self.home / "logs" / name / "c.log"))


async def figures() -> list[Figure]:
    if os.geteuid() != 0:
        return []
    with _site() as site:
        async with _cri(site) as cri, _oci(site) as oci:
            bare = _Bare(site)
            ways: dict[str, Make] = {
                "bare": bare.make,
                "cri": _through(site, cri),
                "oci": _through(site, oci),
            }
            taken = await _measured(ways)
            await bare.close()
    middle = {name: median(times) for name, times in taken.items()}
    note = "median of a sandbox and a container that runs, one after another"
    return [
        Figure("containerd, by a bare client", middle["bare"], "ms", note=note),
        Figure("containerd, through the cri driver", middle["cri"], "ms", note=note),
        Figure("cri driver / bare client", middle["cri"] / middle["bare"], "x", RATIO),
        Figure("oci driver", middle["oci"], "ms", note=note),
    ]  # fmt: skip


async def _measured(ways: dict[str, Make]) -> dict[str, list[float]]:
    """Milliseconds of each pod of each way, in turns, so that all meet the same weather."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(-WARM_UP, ROUNDS):
        for name, make in ways.items():
            begun = time.perf_counter()
            await make(f"{name}-{round_ + WARM_UP}")
            if round_ >= 0:
                taken[name].append((time.perf_counter() - begun) * 1000)
    return taken


def _through(site: _Site, runtime: Runtime) -> Make:
    async def make(name: str) -> None:
        sandbox = await runtime.run_sandbox(site.sandbox(name))
        await runtime.start_container(sandbox.id, site.container(name))

    return make


class _Bare:
    """The least that a client of the CRI asks for a pod: three questions."""

    def __init__(self, site: _Site) -> None:
        self._site = site
        self._ask = Calls(site.containerd.endpoint)
        self._networks = Handover(site.containerd.networks)

    async def make(self, name: str) -> None:
        spec = self._site.sandbox(name)
        frame = plan.frame_of(spec, f"{_GROUP}/bare/pod{name}")
        sandbox = Sandbox(spec.id, spec.namespace, spec.name, spec.netns)
        config = plan.sandbox_config(
            sandbox, frame, NODE
        )  # so that it is cleared away with the others
        self._networks.give(name, spec.netns, ())
        made = await self._ask(calls.RUN_SANDBOX, rpc.RunSandboxRequest(config=config))
        container = rpc.ContainerConfig(
            metadata=rpc.ContainerMetadata(name="c"),
            image=rpc.ImageSpec(image=_IMAGE),
            log_path="c.log",
            labels={plan.NODE_LABEL: NODE},
        )
        asked = rpc.CreateContainerRequest(
            pod_sandbox_id=made.pod_sandbox_id, config=container, sandbox_config=config
        )
        await self._ask(calls.START, await self._ask(calls.CREATE, asked))

    async def close(self) -> None:
        await self._ask.close()


@contextmanager
def _site() -> Iterator[_Site]:
    with TemporaryDirectory(prefix="ls-", dir="/tmp") as directory:
        home = Path(directory)
        netns = home / "netns"
        netns.touch()
        subprocess.run(["unshare", f"--net={netns}", "true"], check=True)
        site = _Site(home, str(netns), Containerd(home / "containerd"))
        init = {"init": Path("/usr/bin/catatonit")}
        build_image(site.images, [_IMAGE], ImageConfig(entrypoint=("/init", "-P")), files=init)
        try:
            yield site
        finally:
            site.containerd.clear(_GROUP)
            destroy_all(home / "oci", _GROUP)
            unmount(netns)


@asynccontextmanager
async def _cri(site: _Site) -> AsyncIterator[CriRuntime]:
    site.containerd.configure()
    with (site.home / "containerd.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *site.containerd.command(), stdout=log, stderr=log
        )
    assert await site.containerd.listening(SystemClock(), 20)
    site.containerd.make_pause_image()
    site.containerd.load(site.images)
    runtime = CriRuntime(
        site.containerd.endpoint,
        Handover(site.containerd.networks),
        SystemClock(),
        node=NODE,
        cgroup_parent=f"{_GROUP}/cri",
    )
    await runtime.open()
    try:
        yield runtime
        await remove_all(runtime)
    finally:
        await runtime.close()
        process.kill()
        await process.wait()


@asynccontextmanager
async def _oci(site: _Site) -> AsyncIterator[OciRuntime]:
    images = ImageStore(site.home / "images")
    images.load(site.images)
    runtime = OciRuntime(site.home / "oci", images, SystemClock(), cgroup_parent=f"{_GROUP}/oci")
    await runtime.open()
    try:
        yield runtime
    finally:
        await runtime.close()
