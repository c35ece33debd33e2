"""The pods' frames of one runtime: namespaces, shared memory, control groups, and who holds shared
processes.

Namespaces are held by descriptors (no bind mounts: every mount of ours makes every later container
start slower); an agent that starts again finds them with the pod's running containers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from pathlib import Path

from longshore.base.clock import Clock
from longshore.machinery.runtime.linux import (
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    Wanted,
    mount,
    new_namespaces,
    unmount,
)
from longshore.machinery.runtime.oci import cgroups, limits, pause, records, sysctls
from longshore.machinery.runtime.oci.destroy import remove_tree
from longshore.machinery.runtime.oci.layout import BEST_EFFORT, BURSTABLE, Layout
from longshore.machinery.runtime.oci.live import Live
from longshore.machinery.runtime.oci.programs import Programs
from longshore.machinery.runtime.oci.records import SandboxRecord
from longshore.machinery.runtime.protocol import (
    Pids,
    Resources,
    RuntimeFailure,
    Sandbox,
    SandboxSpec,
    StartFailed,
)

_SHM_OPTIONS = "mode=1777,size=65536k"
_NODES_SHM = "/dev/shm"
_LEAST_SHARES = 2


@dataclass(slots=True)
class Pod:
    """A sandbox this process looks after: descriptors of its IPC and UTS namespaces, its control group,
    and who is in it. bounded is done once the group has its limits."""

    record: SandboxRecord
    ipc: int
    uts: int
    group: str
    shm: str
    bounded: Future[None]
    members: set[str] = field(default_factory=set)
    pause: pause.Pause | None = None
    pausing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def namespaces(self) -> dict[str, str]:
        """Where the namespaces are that all its containers share, by their type."""
        own = f"/proc/{os.getpid()}/fd"
        shared = {"ipc": f"{own}/{self.ipc}", "uts": f"{own}/{self.uts}"}
        return {"network": self.record.sandbox.netns, **shared}

    @property
    def pause_group(self) -> str:
        return f"{self.group}/pause"

    async def settled(self) -> None:
        """Return once its group has its limits. Raises StartFailed if it did not get them."""
        bounded = asyncio.wrap_future(self.bounded)
        await asyncio.wait([bounded])  # who gives up waiting does not call it off for the others
        if (error := bounded.exception()) is not None:
            raise StartFailed(f"the pod cannot be bounded: {error}") from error

    def lose_pause(self) -> None:
        if self.pause is not None:
            os.close(self.pause.fd)
            self.pause = None

    def close(self) -> None:
        os.close(self.ipc)
        os.close(self.uts)
        self.lose_pause()


class Sandboxes:
    """Makes, adopts and removes them. aside does what waits for the kernel."""

    def __init__(self, layout: Layout, programs: Programs, clock: Clock, aside: Executor) -> None:
        self._layout = layout
        self._programs = programs
        self._clock = clock
        self._aside = aside
        self._pods: dict[str, Pod] = {}
        self._weights: dict[str, int] = {}

    def get(self, sandbox_id: str) -> Pod | None:
        return self._pods.get(sandbox_id)

    def list(self) -> list[Sandbox]:
        return [pod.record.sandbox for pod in self._pods.values()]

    def run(self, spec: SandboxSpec) -> Sandbox:
        """Make it. Raises RuntimeFailure, and then nothing is left."""
        own = sysctls.not_the_pods_own(
            spec.sysctls, host_network=spec.host_network, host_ipc=spec.host_ipc
        )
        if own:
            raise RuntimeFailure(own)
        self._programs.serving(spec.handler)
        record = records.sandbox_record(spec)
        directory = self._layout.sandbox(spec.id)
        try:
            _make(directory, record)
            self._keep(record, new_namespaces(_wanted(record)), spec.resources)
        except OSError as error:
            _discard(directory)
            raise RuntimeFailure(f"sandbox {spec.id} cannot be made: {error}") from error
        return record.sandbox

    def adopt(self, directory: Path, record: SandboxRecord, members: Sequence[Live]) -> None:
        """Take it up again, with the namespaces its running containers are in; with new ones if none
        runs."""
        found = _namespaces_of(members) or new_namespaces(_wanted(record))
        pod = self._keep(record, found, Resources(cpu_shares=record.cpu_shares))
        pod.pause = pause.found(directory)

    def discard(self, directory: Path) -> None:
        """Throw away one that was never finished."""
        _discard(directory)

    async def remove(self, sandbox_id: str) -> None:
        """Its containers are gone. Idempotent."""
        directory = self._layout.sandbox(sandbox_id)
        pod = self._pods.get(sandbox_id)
        if pod is not None:
            with contextlib.suppress(StartFailed):
                await pod.settled()
            if pod.record.pids is Pids.POD:
                await pause.end(self._programs, self._clock, directory, pod.pause_group)
            await asyncio.to_thread(cgroups.remove, pod.group)
        await asyncio.to_thread(_discard, directory)
        if self._pods.pop(sandbox_id, None) is not None and pod is not None:
            pod.close()
            self._weigh_tiers()

    async def shared_pids(self, pod: Pod) -> str:
        """The path of the PID namespace that the pod's containers share. Raises StartFailed."""
        async with pod.pausing:
            if pod.pause is None or not pod.pause.runs():
                pod.lose_pause()
                directory = self._layout.sandbox(pod.record.sandbox.id)
                pod.pause = await pause.start(
                    self._programs, self._clock, directory, pod.pause_group, pod.namespaces
                )
            return pod.pause.namespace

    async def update(self, sandbox_id: str, resources: Resources) -> None:
        """Bound it anew. Raises RuntimeFailure."""
        pod = self._pods.get(sandbox_id)
        if pod is None:
            raise RuntimeFailure(f"sandbox {sandbox_id} does not exist")
        await asyncio.to_thread(limits.change, pod.group, resources)
        pod.record = replace(pod.record, cpu_shares=resources.cpu_shares)
        records.write_sandbox(self._layout.sandbox(sandbox_id), pod.record)
        self._weigh_tiers()

    def close(self) -> None:
        for pod in self._pods.values():
            pod.close()
        self._pods.clear()

    def _keep(self, record: SandboxRecord, found: tuple[int, int], resources: Resources) -> Pod:
        identity = record.sandbox.id
        group = self._layout.pod_group(identity, record.qos)
        shm = _NODES_SHM if record.host_ipc else str(self._layout.sandbox(identity) / "shm")
        bounded = self._bound(group, resources)
        self._pods[identity] = pod = Pod(record, *found, group, shm, bounded)
        self._weigh_tiers()
        return pod

    def _bound(self, group: str, resources: Resources) -> Future[None]:
        if resources == Resources():
            done: Future[None] = Future()
            done.set_result(None)
            return done
        return self._aside.submit(limits.bound, group, resources)

    def _weigh_tiers(self) -> None:
        """Burstable pods weigh together what they ask for, the others next to nothing (pkg/kubelet/cm,
        setCPUCgroupConfig). Written where that has changed."""
        pods = [pod.record for pod in self._pods.values()]
        asked = sum(one.cpu_shares for one in pods if one.qos == BURSTABLE)
        wanted = {BURSTABLE: max(asked, _LEAST_SHARES), BEST_EFFORT: _LEAST_SHARES}
        for tier, shares in wanted.items():
            if self._weights.get(tier) != shares:
                self._weights[tier] = shares
                self._aside.submit(self._weigh, tier)

    def _weigh(self, tier: str) -> None:
        """Write the newest weight, and again if it has changed meanwhile: two may be writing."""
        written = 0
        while written != self._weights[tier]:
            written = self._weights[tier]
            with contextlib.suppress(RuntimeFailure, OSError):
                limits.bound(self._layout.tier(tier), Resources(cpu_shares=written))


def _wanted(record: SandboxRecord) -> Wanted:
    values = {sysctls.path_of(name): value for name, value in record.sysctls.items()}
    return Wanted(record.hostname, record.host_ipc, record.sandbox.netns, values)


def _namespaces_of(members: Sequence[Live]) -> tuple[int, int] | None:
    for live in members:
        own = Path(f"/proc/{records.pid_in(live.directory / 'pid')}/ns")
        if live.pidfd >= 0:
            with contextlib.suppress(OSError):
                ipc = os.open(own / "ipc", os.O_RDONLY | os.O_CLOEXEC)
                return ipc, os.open(own / "uts", os.O_RDONLY | os.O_CLOEXEC)
    return None


def _make(directory: Path, record: SandboxRecord) -> None:
    shm = directory / "shm"
    directory.mkdir(mode=0o700, exist_ok=True)
    if not record.host_ipc:
        shm.mkdir(exist_ok=True)
        mount("shm", shm, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, _SHM_OPTIONS)
    records.write_sandbox(directory, record)


def _discard(directory: Path) -> None:
    unmount(directory / "shm")
    remove_tree(directory)
