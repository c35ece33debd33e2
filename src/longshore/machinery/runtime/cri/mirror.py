"""Keeps what is remembered of a node's sandboxes and containers as the runtime has it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from longshore.base.clock import Clock
from longshore.machinery.runtime.cri import calls, plan
from longshore.machinery.runtime.cri import rpc_pb2 as rpc
from longshore.machinery.runtime.cri.calls import Calls, NotThere
from longshore.machinery.runtime.cri.live import Book, Live, Pod
from longshore.machinery.runtime.protocol import RuntimeFailure, State

# A runtime hears of an end when we do, and has taken it in some milliseconds later.
_LOOK_AGAIN_S, _LOOK_AGAIN_MAX_S = 0.004, 0.5
_TAKEN_IN_S = 30.0
_HERE = (rpc.CONTAINER_CREATED, rpc.CONTAINER_RUNNING)


class Mirror:
    """What is remembered of one node. changed: the sandboxes of which containers have ended since it was
    emptied."""

    def __init__(self, ask: Calls, clock: Clock, node: str) -> None:
        self.book = Book()
        self.changed: set[str] = set()
        self._ask = ask
        self._clock = clock
        self._labels = {plan.NODE_LABEL: node}

    # -- at first --

    async def read(self) -> None:
        """Take up what the runtime shows; throw away what was half made, and sandboxes without one that is
        ready: they have lost their namespaces, as all have after a restart of the machine."""
        self.book = Book()
        pods: dict[str, Pod] = {}
        found = await self._sandboxes()
        for one in sorted(found, key=lambda one: one.state != rpc.SANDBOX_READY):
            if (pod := self._pod(one)) is None:
                await self.discard_sandbox(one.id)
            else:
                pods[one.id] = pod
        for each in await self._containers():
            if each.pod_sandbox_id not in pods or each.state == rpc.CONTAINER_CREATED:
                await self.discard(each.id)
            else:
                await self.take_up(each.id, pods[each.pod_sandbox_id])

    def _pod(self, found: rpc.Sandbox) -> Pod | None:
        """The pod of a sandbox, ready ones first."""
        read = plan.read_sandbox(found)
        if read is None:
            return None
        sandbox, frame = read
        attempt = found.metadata.attempt
        if (known := self.book.pods.get(sandbox.id)) is not None:
            known.former.append(found.id)
            known.attempt = max(known.attempt, attempt)
            return known
        if found.state != rpc.SANDBOX_READY:
            return None
        return self.book.pods.setdefault(sandbox.id, Pod(sandbox, frame, found.id, attempt))

    async def take_up(self, container_id: str, pod: Pod) -> Live:
        """Remember a container of a pod."""
        found = await self._inspect(container_id)
        container = plan.read_container(found, pod.sandbox.id)
        live = Live(container, plan.stop_signal(found))
        self.book.live[container_id] = live
        return live

    # -- when something ended --

    async def ended(self, runtime_id: str) -> None:
        """Take in the end of a container or a sandbox; one of another node's is nobody here."""
        for pod in self.book.pods.values():
            if pod.id == runtime_id:
                pod.lost = True
        if (live := self.book.live.get(runtime_id)) is not None:
            await self.await_end(live)
            self.changed.add(live.container.sandbox)

    async def await_end(self, live: Live) -> None:
        """Until the runtime shows the end of a container that has ended. Raises RuntimeFailure if it never
        does."""
        pause, deadline = _LOOK_AGAIN_S, self._clock.monotonic() + _TAKEN_IN_S
        while not live.ended and await self.look_at(live) and not live.ended:
            if self._clock.monotonic() > deadline:
                raise RuntimeFailure(
                    f"container {live.container.id[:12]} has ended and is shown running"
                )
            await self._clock.sleep(pause)
            pause = min(2 * pause, _LOOK_AGAIN_MAX_S)

    async def look_at(self, live: Live) -> bool:
        """Read a container anew; False if somebody else has removed it."""
        try:
            found = await self._inspect(live.container.id)
        except NotThere:
            self.book.live.pop(live.container.id, None)
            self.changed.add(live.container.sandbox)
            return False
        live.container = plan.read_container(found, live.container.sandbox)
        return True

    async def look_again(self) -> None:
        """Find what ended unheard."""
        running = [one for one in self.book.live.values() if one.container.state is State.RUNNING]
        ready = {one.id for one in await self._sandboxes() if one.state == rpc.SANDBOX_READY}
        here = {one.id for one in await self._containers() if one.state in _HERE}
        for live in running:
            if live.container.id not in here and await self.look_at(live) and live.ended:
                self.changed.add(live.container.sandbox)
        for pod in self.book.pods.values():
            pod.lost = pod.id not in ready

    # -- what the runtime shows, and no longer --

    async def _sandboxes(self) -> Iterable[rpc.Sandbox]:
        asked = rpc.ListSandboxRequest(filter=rpc.SandboxFilter(label_selector=self._labels))
        return (await self._ask(calls.LIST_SANDBOXES, asked)).items

    async def _containers(self) -> Iterable[rpc.Container]:
        asked = rpc.ListContainersRequest(filter=rpc.ContainerFilter(label_selector=self._labels))
        return (await self._ask(calls.LIST, asked)).containers

    async def _inspect(self, container_id: str) -> rpc.ContainerStatus:
        asked = rpc.ContainerStatusRequest(container_id=container_id)
        return (await self._ask(calls.INSPECT, asked)).status

    async def settle(self, uid: str) -> None:
        """Remove what was made of a doubted pod and nobody knows of: it keeps the names of what is to be made."""
        if uid not in self.book.doubted:
            return
        pod = self.book.pods.get(uid)
        known = {pod.id, *pod.former} if pod is not None else set()
        for sandbox in await self._sandboxes():
            if sandbox.metadata.uid == uid and sandbox.id not in known:
                await self.discard_sandbox(sandbox.id)
        for container in await self._containers():
            if container.pod_sandbox_id in known and container.id not in self.book.live:
                await self.discard(container.id)
        self.book.doubted.discard(uid)

    async def became(self, live: Live) -> Live | None:
        """What became of a container whose start had no answer; None if it never ran, and is gone now."""
        if await self.look_at(live) and live.container.state is not State.CREATED:
            live.doubted = False
            return live
        await self.discard(live.container.id)
        self.book.live.pop(live.container.id, None)
        return None

    async def discard(self, container_id: str) -> None:
        """Remove a container, whether or not it runs. Idempotent."""
        with contextlib.suppress(NotThere):
            await self._ask(calls.REMOVE, rpc.ContainerId(container_id=container_id))

    async def discard_sandbox(self, runtime_id: str) -> None:
        """Remove a sandbox with all its containers. Idempotent."""
        asked = rpc.SandboxId(pod_sandbox_id=runtime_id)
        with contextlib.suppress(NotThere):
            await self._ask(calls.STOP_SANDBOX, asked)
            await self._ask(calls.REMOVE_SANDBOX, asked)
