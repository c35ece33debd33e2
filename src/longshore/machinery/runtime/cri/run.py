"""CriRuntime: a Runtime of whatever serves the CRI, version v1: containerd as of 1.6, CRI-O.

The runtime keeps sandboxes, containers and images, and outlives this process. It may itself be killed and
started again while containers run: calls raise RuntimeFailure meanwhile, and what could have changed
unheard is read anew once it is back.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from longshore.base.clock import Clock
from longshore.core.streams.protocols import ExecOptions, Session
from longshore.machinery.runtime.cri import calls, plan, stopping, streaming
from longshore.machinery.runtime.cri import rpc_pb2 as rpc
from longshore.machinery.runtime.cri.about import About, about
from longshore.machinery.runtime.cri.calls import NO_ANSWER, Calls, NotThere, Silent
from longshore.machinery.runtime.cri.containerd import PAUSE_IMAGE
from longshore.machinery.runtime.cri.events import ALL, Ends
from longshore.machinery.runtime.cri.images import Images
from longshore.machinery.runtime.cri.live import Live, Pod
from longshore.machinery.runtime.cri.mirror import Mirror
from longshore.machinery.runtime.cri.network import Handover
from longshore.machinery.runtime.oci import cgroups, limits
from longshore.machinery.runtime.oci.layout import BEST_EFFORT, BURSTABLE, GUARANTEED, Layout
from longshore.machinery.runtime.oci.usage import measure, measure_all, pressure_on
from longshore.machinery.runtime.pressure import Pressures
from longshore.machinery.runtime.protocol import (
    Container,
    ContainerSpec,
    DiskUse,
    Handler,
    Image,
    ImageMissing,
    Login,
    Resources,
    RuntimeFailure,
    Sandbox,
    SandboxSpec,
    StartFailed,
    State,
    Usage,
)

# As for the other driver: more than a few at a time per core only makes each of them later.
_STARTS_PER_CORE = 3
# A runtime that was started with the agent may take a while to listen.
_PATIENCE_S, _RETRY_S = 30.0, 0.05

Said = Callable[[str], None]


class CriRuntime:
    """Containers of one node, in control groups below cgroup_parent. networks is where the runtime's CNI plug-in
    finds those of pods (network.py). log is told, in one sentence, of what went wrong without anyone
    asking."""

    def __init__(
        self,
        endpoint: str,
        networks: Handover,
        clock: Clock,
        *,
        node: str,
        cgroup_parent: str,
        log: Said = lambda sentence: None,
    ) -> None:
        self._ask = Calls(endpoint)
        self._networks = networks
        self._clock = clock
        self._node = node
        self._layout = Layout(Path("/"), cgroups.checked(cgroup_parent))
        self._images = Images(self._ask)
        self._mirror = Mirror(self._ask, clock, node)
        self._ends = Ends(self._ask, clock, log)
        self._about = About()
        self._slots = asyncio.Semaphore(_STARTS_PER_CORE * (os.cpu_count() or 1))

    # -- coming and going --

    async def open(self) -> None:
        """Take up what the runtime shows of this node. Raises RuntimeFailure if it does not answer for half a
        minute, or cannot be used."""
        deadline = self._clock.monotonic() + _PATIENCE_S
        while not await self._taken_up(last=self._clock.monotonic() > deadline):
            await self._clock.sleep(_RETRY_S)

    async def _taken_up(self, *, last: bool) -> bool:
        """Whether all is known. A runtime may end in the midst of its answers."""
        try:
            if not await self._introduced(last=last):
                return False
            await self._mirror.read()
        except Silent:
            if last:
                raise
            return False
        return True

    async def _introduced(self, *, last: bool) -> bool:
        """Whether the runtime has told who it is, and can begin."""
        version = await self._ask(calls.VERSION, rpc.VersionRequest())
        status = await self._ask(calls.STATUS, rpc.StatusRequest(verbose=True))
        self._about = about(version, status)
        self._images.own = self._about.own_image or self._images.own
        # No registry has an image of ours: whoever started the runtime is about to load it.
        awaited = self._about.own_image == PAUSE_IMAGE and not last
        return not awaited or await self._images.find(PAUSE_IMAGE) is not None

    async def close(self) -> None:
        """Let go; containers keep running."""
        self._ends.close()
        await self._ask.close()

    async def changed(self) -> set[str]:
        mirror = self._mirror
        while not mirror.changed:
            ended = await self._ends.next()
            await (mirror.look_again() if ended == ALL else mirror.ended(ended))
        changed, mirror.changed = mirror.changed, set()
        return changed

    # -- images --

    async def images(self) -> list[Image]:
        return await self._images.list()

    async def image(self, reference: str) -> Image | None:
        return await self._images.find(reference)

    async def pull(self, reference: str, login: Login | None = None) -> Image:
        return await self._images.pull(reference, login)

    async def remove_image(self, image_id: str) -> None:
        await self._images.remove(image_id)

    # -- sandboxes --

    def version(self) -> str:
        """protocol.HasVersion."""
        return self._about.url

    def handlers(self) -> tuple[Handler, ...]:
        """protocol.HasHandlers: none where the runtime does not tell (containerd before 2.0)."""
        return self._about.handlers

    async def run_sandbox(self, spec: SandboxSpec) -> Sandbox:
        known = self._mirror.book.pods.get(spec.id)
        if known is not None:
            return known.sandbox
        frame = plan.frame_of(spec, self._layout.pod_group(spec.id, spec.qos))
        labels = dict(spec.labels)
        sandbox = Sandbox(spec.id, spec.namespace, spec.name, spec.netns, labels)
        if spec.resources != Resources():
            await asyncio.to_thread(limits.bound, frame.group, spec.resources)
        pod = Pod(sandbox, frame, "")
        async with self._slots:
            await self._mirror.settle(spec.id)
            await self._run(pod)
        self._mirror.book.pods[spec.id] = pod
        return sandbox

    async def _run(self, pod: Pod) -> None:
        """Make the sandbox of a pod, in the network that the pod has."""
        sandbox, frame = pod.sandbox, pod.frame
        config = plan.sandbox_config(sandbox, frame, self._node, pod.attempt)
        asked = rpc.RunSandboxRequest(config=config, runtime_handler=frame.handler)
        try:
            self._networks.give(sandbox.id, frame.netns, frame.ips)
            pod.id = (await self._ask(calls.RUN_SANDBOX, asked)).pod_sandbox_id
        except NO_ANSWER:
            self._mirror.book.doubted.add(sandbox.id)
            raise
        except OSError as error:
            raise RuntimeFailure(f"sandbox {sandbox.id} cannot be made: {error}") from error
        finally:
            self._networks.take_back(sandbox.id)

    async def _ready(self, pod: Pod) -> None:
        """Make a lost sandbox anew. What still runs in the old one ends: containers of a pod share its
        namespaces."""
        async with pod.making:
            if not pod.lost:
                return
            await self._ask(calls.STOP_SANDBOX, rpc.SandboxId(pod_sandbox_id=pod.id))
            pod.former.append(pod.id)
            pod.attempt += 1
            await self._run(pod)
            pod.lost = False

    async def remove_sandbox(self, sandbox_id: str) -> None:
        await self._mirror.settle(sandbox_id)
        if (pod := self._mirror.book.pods.get(sandbox_id)) is not None:
            await self._remove(pod)
        # One that was never known to be made may have a group all the same.
        for qos in (GUARANTEED, BURSTABLE, BEST_EFFORT):
            await asyncio.to_thread(cgroups.remove, self._layout.pod_group(sandbox_id, qos))

    async def _remove(self, pod: Pod) -> None:
        book, uid = self._mirror.book, pod.sandbox.id
        for live in book.members(uid):
            if live.doubted:  # whoever asked for its start was never told of it
                await self._mirror.discard(live.container.id)
                book.live.pop(live.container.id, None)
            else:
                await self.remove_container(live.container.id)
        for runtime_id in (*pod.former, pod.id):
            await self._mirror.discard_sandbox(runtime_id)
        book.pods.pop(uid, None)

    async def sandboxes(self) -> list[Sandbox]:
        return [pod.sandbox for pod in self._mirror.book.pods.values()]

    async def update_sandbox(self, sandbox_id: str, resources: Resources) -> None:
        """protocol.CanUpdate: the group of a pod is the node's, not the runtime's."""
        pod = self._mirror.book.pods.get(sandbox_id)
        if pod is None:
            raise RuntimeFailure(f"sandbox {sandbox_id} does not exist")
        await asyncio.to_thread(limits.change, pod.frame.group, resources)

    # -- containers --

    async def start_container(self, sandbox_id: str, spec: ContainerSpec) -> Container:
        pod = self._mirror.book.pods.get(sandbox_id)
        if pod is None:
            raise StartFailed(f"sandbox {sandbox_id} does not exist")
        known = self._mirror.book.find(sandbox_id, spec.name, spec.attempt)
        if known is not None and known.doubted:
            known = await self._mirror.became(known)
        if known is not None and known.container.state is State.CREATED:
            raise StartFailed(f"container {spec.name} is being started already")
        if known is not None:
            return known.container
        plan.check(spec, self._about, pod.frame.handler)
        try:
            image = await self._images.find(spec.image)
            if image is None:
                raise ImageMissing(f'image "{spec.image}" is not on this node')
            async with self._slots:
                await self._mirror.settle(sandbox_id)
                await self._ready(pod)
                return await self._start(pod, spec, image)
        except (ImageMissing, StartFailed, *NO_ANSWER):
            raise
        except (RuntimeFailure, OSError) as error:
            raise StartFailed(str(error)) from error

    async def _start(self, pod: Pod, spec: ContainerSpec, image: Image) -> Container:
        mirror = self._mirror
        target = self._target(pod, spec.pid_of) if spec.pid_of else ""
        config = plan.container_config(spec, pod.frame, image, self._node, target)
        config.linux.resources.unified.update(limits.besides_here() or {})
        Path(spec.log_path).parent.mkdir(parents=True, exist_ok=True)
        # One that debugs may be privileged though the pod's own are not.
        frame = replace(pod.frame, privileged=pod.frame.privileged or spec.security.privileged)
        asked = rpc.CreateContainerRequest(
            pod_sandbox_id=pod.id,
            config=config,
            sandbox_config=plan.sandbox_config(pod.sandbox, frame, self._node, pod.attempt),
        )
        try:
            made = await self._ask(calls.CREATE, asked)
            # It is known before it runs: its end may be told before its start is.
            live = await mirror.take_up(made.container_id, pod)
        except BaseException:
            mirror.book.doubted.add(pod.sandbox.id)
            raise
        await self._run_it(live)
        return live.container

    async def _run_it(self, live: Live) -> None:
        mirror, made = self._mirror, rpc.ContainerId(container_id=live.container.id)
        try:
            await self._ask(calls.START, made)
            await mirror.look_at(live)
        except NO_ANSWER:
            live.doubted = True
            raise
        except BaseException:
            mirror.book.live.pop(made.container_id, None)
            await mirror.discard(made.container_id)
            raise

    def _target(self, pod: Pod, name: str) -> str:
        """The id of a running container of the pod. Raises StartFailed."""
        for live in self._mirror.book.members(pod.sandbox.id):
            if live.container.name == name and live.container.state is State.RUNNING:
                return live.container.id
        raise StartFailed(f"target container {name} is not running")

    async def stop_container(self, container_id: str, grace_s: float) -> None:
        live = self._mirror.book.live.get(container_id)
        if live is None or live.ended:
            return
        try:
            if live.stop_signal and grace_s > 0:
                if await stopping.signalled(self._ask, self._mirror, self._clock, live, grace_s):
                    return
                grace_s = 0
            asked = rpc.StopContainerRequest(container_id=container_id, timeout=math.ceil(grace_s))
            await self._ask(calls.STOP, asked, timeout_s=grace_s + calls.ANSWER_S)
        except NotThere:
            pass
        await self._mirror.await_end(live)

    async def remove_container(self, container_id: str) -> None:
        live = self._mirror.book.live.get(container_id)
        if live is None:
            return
        if not live.ended:
            raise RuntimeFailure(f"container {container_id[:12]} is running: stop it first")
        await self._mirror.discard(container_id)
        self._mirror.book.live.pop(container_id, None)

    async def containers(self) -> list[Container]:
        return list(self._mirror.book.listed())

    async def update_container(self, container_id: str, resources: Resources) -> None:
        """protocol.CanUpdate."""
        live = self._running(container_id)
        group = self._groups()[live.container.id]
        await asyncio.to_thread(limits.check_memory, group, resources.memory_limit_bytes)
        wanted = plan.resources(resources, whole=True)
        await self._ask(
            calls.UPDATE, rpc.UpdateContainerRequest(container_id=container_id, linux=wanted)
        )

    async def reopen_log(self, container_id: str) -> None:
        """protocol.CanRotate."""
        self._running(container_id)
        await self._ask(calls.REOPEN_LOG, rpc.ContainerId(container_id=container_id))

    # -- talking --

    async def exec_sync(
        self, container_id: str, command: list[str], timeout_s: float
    ) -> tuple[int, bytes]:
        """protocol.CanExec; the CRI counts whole seconds."""
        self._running(container_id)
        seconds = math.ceil(timeout_s)
        asked = rpc.ExecSyncRequest(container_id=container_id, cmd=command, timeout=seconds)
        try:
            answer = await self._ask(calls.EXEC_SYNC, asked, timeout_s=seconds + calls.ANSWER_S)
        except calls.Late as error:
            raise RuntimeFailure(
                f"the command did not end within {timeout_s:g} s and was killed"
            ) from error
        return answer.exit_code, answer.stdout + answer.stderr

    async def exec(self, container_id: str, options: ExecOptions) -> Session:
        """protocol.CanTalk: start a command in a container."""
        self._running(container_id)
        return await streaming.exec(self._ask, container_id, options)

    async def attach(self, container_id: str, options: ExecOptions) -> Session:
        """protocol.CanTalk: join the container's main process."""
        self._running(container_id)
        return await streaming.attach(self._ask, container_id, options)

    def _running(self, container_id: str) -> Live:
        live = self._mirror.book.live.get(container_id)
        if live is None or live.container.state is not State.RUNNING:
            raise RuntimeFailure(f"container {container_id[:12]} is not running")
        return live

    # -- measuring --

    async def usage(self) -> tuple[Usage | None, dict[str, Usage]]:
        """protocol.CanMeasure."""
        groups = self._groups()
        return await asyncio.to_thread(lambda: (measure(self._layout.parent), measure_all(groups)))

    async def pressure(self) -> dict[str, Pressures]:
        """pressure.CanTellPressure."""
        pods = {name: pod.frame.group for name, pod in self._mirror.book.pods.items()}
        return await asyncio.to_thread(pressure_on, pods | self._groups())

    def _groups(self) -> dict[str, str]:
        """Of what runs: a container's group is named by its id, in its pod's."""
        pods = self._mirror.book.pods
        return {
            one.id: f"{pods[one.sandbox].frame.group}/{one.id}"
            for one in self._mirror.book.listed()
            if one.state is State.RUNNING
        }

    async def written(self, container_ids: Collection[str]) -> dict[str, DiskUse]:
        """protocol.CanWeigh: containerd looks at its snapshots every ten seconds by itself."""
        labels = {plan.NODE_LABEL: self._node}
        asked = rpc.ListStatsRequest(filter=rpc.StatsFilter(label_selector=labels))
        found = {one.attributes.id: one for one in (await self._ask(calls.STATS, asked)).stats}
        return {
            one: DiskUse(
                found[one].writable_layer.used_bytes.value,
                found[one].writable_layer.inodes_used.value,
            )
            for one in container_ids
            if one in found
        }
