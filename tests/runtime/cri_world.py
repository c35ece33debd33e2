"""A containerd of the tests' own, and one node's driver on it."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from longshore.base.clock import SystemClock
from longshore.core.streams.protocols import LogOptions
from longshore.machinery.runtime import logs
from longshore.machinery.runtime.cri.containerd import Containerd
from longshore.machinery.runtime.cri.network import Handover
from longshore.machinery.runtime.cri.run import CriRuntime
from longshore.machinery.runtime.emptying import remove_all
from longshore.machinery.runtime.oci import cgroups
from longshore.machinery.runtime.protocol import Container, ContainerSpec, SandboxSpec
from longshore.testing.runtime_suite import until_ended

# A shell as process 1 hears only the signals it asked for.
FOREVER = "trap 'exit 143' TERM; echo ready; while true; do sleep 0.02; done"
GROUP = f"/longshore-cri-test-{os.getpid()}"


class Machine:
    """A containerd that can be killed and started again."""

    def __init__(self, home: Path) -> None:
        self.containerd = Containerd(home)
        self.containerd.configure()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.containerd.home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.containerd.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


@contextmanager
def machine(home: Path, *archives: Path) -> Iterator[Machine]:
    """One that runs, with those images; nothing is left of it."""
    made = Machine(home)
    made.start()
    try:
        assert asyncio.run(made.containerd.listening(SystemClock(), 60))
        made.containerd.make_pause_image()
        for archive in archives:
            made.containerd.load(archive)
        yield made
    finally:
        made.kill()
        made.containerd.clear(GROUP)
        cgroups.remove(GROUP)
        assert made.containerd.leftovers() == []


class CriHarness:
    """runtime_suite.Harness."""

    def __init__(self, root: Path, containerd: Containerd, netns: str, node: str = "n1") -> None:
        self.root = root
        self.netns = netns
        self.node = node
        self.containerd = containerd
        self.said: list[str] = []
        self.runtime = self.make()

    def make(self) -> CriRuntime:
        return CriRuntime(
            self.containerd.endpoint,
            Handover(self.containerd.networks),
            SystemClock(),
            node=self.node,
            cgroup_parent=f"{GROUP}/{self.node}",
            log=self.said.append,
        )

    async def reopen(self) -> CriRuntime:
        await self.runtime.close()
        self.runtime = self.make()
        await self.runtime.open()
        return self.runtime

    async def passing(self, seconds: float) -> None:
        """Real time passes by itself."""

    async def ready(self, container: Container) -> None:
        async with asyncio.timeout(60):
            while "ready" not in Path(container.log_path).read_text():
                await SystemClock().sleep(0.005)

    def sandbox(self, name: str) -> SandboxSpec:
        logs = str(self.root / "logs")
        return SandboxSpec(
            f"uid-{name}", "default", name, f"host-{name}", self.netns, log_directory=logs
        )

    def shell(self, name: str, script: str) -> ContainerSpec:
        log = str(self.root / "logs" / f"{name}.log")
        return ContainerSpec(name, "busybox:1.35", log, command=("/bin/sh", "-c", script))

    def running(self, name: str) -> ContainerSpec:
        return self.shell(name, FOREVER)

    def ending(self, name: str, code: int, after_s: float) -> ContainerSpec:
        return self.shell(name, f"sleep {after_s}; exit {code}")

    async def finished(self, spec: ContainerSpec) -> Container:
        """Run it to its end in a sandbox of its own."""
        sandbox = await self.runtime.run_sandbox(self.sandbox(spec.name))
        started = await self.runtime.start_container(sandbox.id, spec)
        return await until_ended(self, started.id, 0.0)

    async def output(self, spec: ContainerSpec) -> list[str]:
        """What it said until its end."""
        await self.finished(spec)
        pieces = logs.read(Path(spec.log_path), LogOptions(), SystemClock(), lambda: True)
        return b"".join([piece async for piece in pieces]).decode().splitlines()

    async def clean(self) -> None:
        """Remove every pod of the node."""
        await remove_all(self.runtime)
