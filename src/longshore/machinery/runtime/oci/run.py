"""OciRuntime: a Runtime of real containers, each an overlay mount, a conmon and a runc.

No daemon stands between: the agent makes containers and hears of their end; conmon keeps them, and
everything needed to take them up again is on disk (records.py). The end of a container is the end
of its conmon, which is heard through a pidfd: no signal, no polling.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from longshore.base.clock import Clock
from longshore.core.streams.protocols import ExecOptions, Session
from longshore.machinery.runtime.disk import disk_use
from longshore.machinery.runtime.images import ImageStore, StoredImage
from longshore.machinery.runtime.linux import unmount
from longshore.machinery.runtime.oci import (
    bundle,
    cgroups,
    conmon,
    host,
    limits,
    records,
    sessions,
)
from longshore.machinery.runtime.oci.attaching import attach
from longshore.machinery.runtime.oci.destroy import end_processes, remove_tree
from longshore.machinery.runtime.oci.exec import exec_sync
from longshore.machinery.runtime.oci.layout import Layout
from longshore.machinery.runtime.oci.live import Live
from longshore.machinery.runtime.oci.programs import Programs
from longshore.machinery.runtime.oci.records import ContainerRecord
from longshore.machinery.runtime.oci.rotating import reopen_log
from longshore.machinery.runtime.oci.sandboxes import Pod, Sandboxes
from longshore.machinery.runtime.oci.usage import measure, measure_all, pressure_on
from longshore.machinery.runtime.oci.watch import Said, Watch
from longshore.machinery.runtime.pressure import Pressures
from longshore.machinery.runtime.protocol import (
    Container,
    ContainerSpec,
    DiskUse,
    Handler,
    Image,
    ImageMissing,
    Login,
    Pids,
    Resources,
    RuntimeFailure,
    Sandbox,
    SandboxSpec,
    StartFailed,
    State,
    Usage,
)
from longshore.machinery.runtime.waiting import within

# Containers that are being made at the same time. runc is busy, not waiting: more than a few per
# core only makes each of them later.
_STARTS_PER_CORE = 3
# Who rotates logs comes long before: this bounds what is printed between two of its looks.
_LOG_MAX_BYTES = 50 * 1024 * 1024

# As long as upstream's kubelet waits for a runtime (runtimeRequestTimeout).
_PATIENCE_S = 120.0


class OciRuntime:
    """Containers below root, in control groups below cgroup_parent. log is told, in one sentence,
    of what went wrong without anyone asking."""

    def __init__(
        self,
        root: Path,
        images: ImageStore,
        clock: Clock,
        *,
        cgroup_parent: str,
        log: Said = lambda sentence: None,
        log_max_bytes: int = _LOG_MAX_BYTES,
    ) -> None:
        self._layout = Layout(root, cgroups.checked(cgroup_parent))
        self._images = images
        self._clock = clock
        self._log_max_bytes = log_max_bytes
        # How long it may take to make a container.
        self.patience_s = _PATIENCE_S
        # "runc" or "crun" for one that must not choose.
        self.only = ""
        self._programs: Programs
        self._sandboxes: Sandboxes
        self._known = bundle.Known()
        self._live: dict[str, Live] = {}
        self._starting: set[str] = set()
        self._watch = Watch(self._live, clock, log)
        # Writes to control groups wait for the kernel, so they are done aside.
        self._aside = ThreadPoolExecutor(2, "control groups")
        self._warming: Future[None] | None = None
        self._in_the_open: list[Live] = []
        self._slots = asyncio.Semaphore(_STARTS_PER_CORE * (os.cpu_count() or 1))

    # -- coming and going --

    async def open(self) -> None:
        """Take up what is on disk; throw away what was half made."""
        self._layout.make()
        self._programs = Programs.find(self._layout.run, self._layout.root / "handlers", self.only)
        self._sandboxes = Sandboxes(self._layout, self._programs, self._clock, self._aside)
        adopted = [
            await self._adopt(*found) for found in records.read_containers(self._layout.containers)
        ]
        for path, record in records.read_sandboxes(self._layout.sandboxes):
            if record is None:
                self._sandboxes.discard(path)
                continue
            members = [
                live for live in adopted if live and live.container.sandbox == record.sandbox.id
            ]
            self._sandboxes.adopt(path, record, members)
            for live in members:
                self._keep(live)
                if live.conmon_fd < 0:
                    self._watch.end(live)

    async def close(self) -> None:
        """Let go; containers keep running."""
        for live in self._live.values():
            self._watch.leave(live)
        self._aside.shutdown()
        self._sandboxes.close()
        self._live.clear()

    async def _adopt(self, path: Path, record: ContainerRecord | None) -> Live | None:
        if (
            record is None
            or not (self._layout.sandbox(record.container.sandbox) / "sandbox.json").exists()
        ):
            await self._discard(path)
            return None
        live = Live(record, path, bundle.group_of(path))
        if self._watch.begin(live):
            await conmon.release_again(self._programs.makers, live.container.id)
        return live

    # -- images --

    async def images(self) -> list[Image]:
        return self._images.list()

    async def image(self, reference: str) -> Image | None:
        return self._images.get(reference)

    async def pull(self, reference: str, login: Login | None = None) -> Image:
        return await self._images.pull(reference, login)

    async def remove_image(self, image_id: str) -> None:
        await asyncio.to_thread(self._images.remove, image_id)

    # -- sandboxes --

    def handlers(self) -> list[Handler]:
        """protocol.HasHandlers."""
        names = ("", *(maker.name for maker in self._programs.makers))
        return [Handler(name, recursive_read_only=True) for name in names]

    async def run_sandbox(self, spec: SandboxSpec) -> Sandbox:
        known = self._sandboxes.get(spec.id)
        if known is not None:
            return known.record.sandbox
        self._warm()
        return self._sandboxes.run(spec)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        pod = self._sandboxes.get(sandbox_id)
        for container_id in list(pod.members if pod else ()):
            await self.remove_container(container_id)
        await self._sandboxes.remove(sandbox_id)

    async def sandboxes(self) -> list[Sandbox]:
        return self._sandboxes.list()

    async def update_sandbox(self, sandbox_id: str, resources: Resources) -> None:
        """protocol.CanUpdate."""
        await self._sandboxes.update(sandbox_id, resources)

    # -- containers --

    async def start_container(self, sandbox_id: str, spec: ContainerSpec) -> Container:
        pod = self._sandboxes.get(sandbox_id)
        if pod is None:
            raise StartFailed(f"sandbox {sandbox_id} does not exist")
        container_id = bundle.container_id(sandbox_id, spec)
        stored = self._images.find(spec.image)
        if stored is None:
            raise ImageMissing(f'image "{spec.image}" is not on this node')
        known = self._live.get(container_id)
        if known is not None:
            return known.container
        if container_id in self._starting:
            raise StartFailed(f"container {spec.name} is being started already")
        shared = bool(spec.pid_of) or pod.record.pids is not Pids.CONTAINER
        record = bundle.record_of(container_id, sandbox_id, spec, stored.image, shares_pids=shared)
        group = f"{pod.group}/{container_id}"
        live = Live(record, self._layout.container(container_id), group)
        self._warm()
        self._starting.add(container_id)
        try:
            async with self._slots:
                await self._start(live, spec, stored, pod)
        except (OSError, ValueError) as error:
            await self._give_up(live)
            raise StartFailed(str(error)) from error
        except BaseException:
            await self._give_up(live)
            raise
        finally:
            self._starting.discard(container_id)
            self._shelter()
        return live.container

    async def _start(self, live: Live, spec: ContainerSpec, stored: StoredImage, pod: Pod) -> None:
        programs = self._programs.serving(pod.record.handler)
        pid = await self._pids(pod, spec)
        bundle.make_room(live)
        order = conmon.Order(
            live.container.id, live.directory, spec, self._log_max_bytes, self.patience_s
        )
        with conmon.started(programs, order) as keeper:
            bundle.lay_out(self._layout, live, self._images, stored)
            frame = bundle.frame_of(live, pod, spec, pid)
            live.record = bundle.configure(live, frame, spec, self._images, stored, self._known)
            await keeper.create(self._clock)
        container = live.container
        if not self._watch.begin(live):
            raise StartFailed("the container ended before it was started")
        await pod.settled()
        # Written first: who dies in between leaves one that its next life lets run, and none twice.
        at = self._clock.now()
        records.write_started(live.directory, at)
        await conmon.release(programs.maker, container.id, live.ended)
        live.record = replace(
            live.record, container=replace(container, state=State.RUNNING, started_at=at)
        )
        self._known.filters.learn(live.directory, programs.maker.state / container.id)
        self._keep(live)
        self._in_the_open.append(live)
        if live.ended.is_set():
            self._watch.end(live)

    def _warm(self) -> None:
        """Have the kernel ready for what runc will do to control groups in a moment. In a burst the
        starts keep it ready for one another."""
        if not self._starting and (self._warming is None or self._warming.done()):
            self._warming = self._aside.submit(cgroups.warm)

    def _shelter(self) -> None:
        """Put conmons where no service manager kills them along with the agent. Every move holds up
        forks on the whole machine, so it waits until a burst of starts is over."""
        if self._starting or not self._in_the_open:
            return
        moves = [
            (records.pid_in(live.directory / "conmon.pid"), live.container.id)
            for live in self._in_the_open
        ]
        self._in_the_open.clear()
        self._aside.submit(conmon.shelter, moves, f"{self._layout.parent}/conmon")

    async def _pids(self, pod: Pod, spec: ContainerSpec) -> str | None:
        """Which namespace of processes a container gets, as spec.Frame has it. Raises StartFailed."""
        if spec.pid_of:
            return self._pid_namespace(pod, spec.pid_of)
        if pod.record.pids is Pids.POD:
            return await self._sandboxes.shared_pids(pod)
        return None if pod.record.pids is Pids.NODE else ""

    def _pid_namespace(self, pod: Pod, name: str) -> str:
        """That of a running container of the pod. Raises StartFailed."""
        for live in (self._live[one] for one in pod.members):
            if live.container.name == name and not live.ended.is_set():
                return f"/proc/{records.pid_in(live.directory / 'pid')}/ns/pid"
        raise StartFailed(f"target container {name} is not running")

    async def stop_container(self, container_id: str, grace_s: float) -> None:
        live = self._live.get(container_id)
        if live is None or live.ended.is_set():
            return
        if grace_s > 0:
            self._watch.signal(live, host.signal_number(live.container.stop_signal))
            if await within(self._clock, grace_s, live.ended):
                return
        self._watch.signal(live, signal.SIGKILL)
        await live.ended.wait()

    async def remove_container(self, container_id: str) -> None:
        live = self._live.get(container_id)
        if live is None:
            return
        if not live.ended.is_set():
            raise RuntimeFailure(f"container {container_id[:12]} is running: stop it first")
        while cgroups.kill(live.group):  # who outlived conmon, or the container's own process
            await self._clock.sleep(0.002)
        await asyncio.to_thread(self._free, live.directory, live.group)
        self._live.pop(container_id, None)
        pod = self._sandboxes.get(live.container.sandbox)
        if pod is not None:
            pod.members.discard(container_id)

    async def update_container(self, container_id: str, resources: Resources) -> None:
        """protocol.CanUpdate."""
        await asyncio.to_thread(limits.change, self._running(container_id).group, resources)

    async def reopen_log(self, container_id: str) -> None:
        """protocol.CanRotate."""
        live = self._running(container_id)
        await reopen_log(live.directory, live.container, self._clock)

    async def containers(self) -> list[Container]:
        return [live.container for live in self._live.values()]

    async def exec_sync(
        self, container_id: str, command: list[str], timeout_s: float
    ) -> tuple[int, bytes]:
        """protocol.CanExec: run a command in a container and wait for it."""
        directory = self._running(container_id).directory
        return await exec_sync(
            self._programs.of(container_id), self._clock, directory, command, timeout_s
        )

    async def exec(self, container_id: str, options: ExecOptions) -> Session:
        """protocol.CanTalk: start a command in a container."""
        live = self._running(container_id)
        return await sessions.start(
            self._programs.of(container_id), self._clock, live.directory, live.group, options
        )

    async def attach(self, container_id: str, options: ExecOptions) -> Session:
        """protocol.CanTalk: join the container's main process."""
        return await attach(self._running(container_id).directory, options)

    async def usage(self) -> tuple[Usage | None, dict[str, Usage]]:
        """protocol.CanMeasure."""
        groups = self._groups()
        return await asyncio.to_thread(lambda: (measure(self._layout.parent), measure_all(groups)))

    async def pressure(self) -> dict[str, Pressures]:
        """pressure.CanTellPressure."""
        pods = ((one.id, self._sandboxes.get(one.id)) for one in self._sandboxes.list())
        groups = {name: pod.group for name, pod in pods if pod is not None}
        return await asyncio.to_thread(pressure_on, groups | self._groups())

    def _groups(self) -> dict[str, str]:
        """Of what runs."""
        every = self._live.values()
        return {live.container.id: live.group for live in every if not live.ended.is_set()}

    async def written(self, container_ids: Collection[str]) -> dict[str, DiskUse]:
        """protocol.CanWeigh."""
        known = [self._live[one] for one in container_ids if one in self._live]
        places = {live.container.id: self._layout.written(live.directory) for live in known}
        return await asyncio.to_thread(
            lambda: {one: disk_use(place / "upper") for one, place in places.items()}
        )

    def _running(self, container_id: str) -> Live:
        live = self._live.get(container_id)
        if live is None or live.ended.is_set():
            raise RuntimeFailure(f"container {container_id[:12]} is not running")
        return live

    async def changed(self) -> set[str]:
        return await self._watch.changed()

    # -- giving up and taking away --

    async def _give_up(self, live: Live) -> None:
        """A start that failed, or was cancelled half-way, leaves nothing."""
        self._watch.leave(live)
        await self._discard(live.directory)

    async def _discard(self, directory: Path) -> None:
        """Kill, unmount and remove one container that was never let run."""
        group = bundle.group_of(directory)
        await asyncio.to_thread(end_processes, directory, group)
        await asyncio.to_thread(self._free, directory, group)

    def _free(self, directory: Path, group: str) -> None:
        """What `runc delete` would do, without a process: an ended container is its group, its
        state directory and our mount. Blocks."""
        for place in (directory / "rootfs", *directory.glob("image-*")):
            unmount(place)
        if group:
            cgroups.remove(group)
        states = self._programs.states(directory.name)
        for path in (*states, self._layout.written(directory), directory):
            remove_tree(path)

    # -- bookkeeping --

    def _keep(self, live: Live) -> None:
        self._live[live.container.id] = live
        pod = self._sandboxes.get(live.container.sandbox)
        assert pod is not None, f"container {live.container.id} is in no sandbox"
        pod.members.add(live.container.id)
