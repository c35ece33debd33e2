"""The driver that runs nothing: what a pod's life looks like from outside, without a pod.

Simulations and scale tests run thousands of such nodes in one process. A container runs at once and
for ever, unless its label says how it ends:

    longshore.io/hollow-exit: "1"            ends at once with code 1
    longshore.io/hollow-exit: "0 after 2.5"  ends 2.5 seconds later with code 0

Every image is present but those whose repository is named broken (broken:1, registry.test/broken):
no registry has them.
"""

from __future__ import annotations

import asyncio
import heapq
import signal
from dataclasses import dataclass, replace
from hashlib import sha256

from longshore.base.chance import Chance
from longshore.base.clock import Clock
from longshore.machinery.runtime.protocol import (
    Container,
    ContainerSpec,
    Image,
    ImagePullFailed,
    Login,
    Resources,
    RuntimeFailure,
    Sandbox,
    SandboxSpec,
    StartFailed,
    State,
)
from longshore.machinery.runtime.waiting import within

EXIT_LABEL = "longshore.io/hollow-exit"
_KILLED = 128 + signal.SIGTERM


@dataclass(frozen=True, slots=True)
class Ending:
    """How a container ends by itself."""

    exit_code: int
    after_s: float


def parse_ending(text: str) -> Ending:
    """The label's value: CODE, or CODE after SECONDS. Raises ValueError with one sentence."""
    code, _, delay = text.partition(" after ")
    try:
        ending = Ending(int(code), float(delay or 0))
    except ValueError:
        raise ValueError(
            f'{EXIT_LABEL} "{text}" is neither "CODE" nor "CODE after SECONDS"'
        ) from None
    if not (0 <= ending.exit_code <= 255 and 0 <= ending.after_s < float("inf")):
        raise ValueError(f'{EXIT_LABEL} "{text}": the code is 0 to 255, the seconds are finite')
    return ending


def is_broken(image: str) -> bool:
    """Whether it is one of those that cannot be pulled."""
    return image.rpartition("/")[2].partition("@")[0].partition(":")[0] == "broken"


class HollowRuntime:
    """A Runtime without containers. Deadlines wait in one heap that changed() looks after, so that
    a container costs a record and no task."""

    def __init__(self, clock: Clock, chance: Chance) -> None:
        self._clock = clock
        self._chance = chance
        self._sandboxes: dict[str, Sandbox] = {}
        self._containers: dict[str, Container] = {}
        self._by_sandbox: dict[str, dict[tuple[str, int], str]] = {}
        self._endings: list[tuple[float, str, int]] = []
        self._changed: set[str] = set()
        self._wake = asyncio.Event()

    async def open(self) -> None:
        """Nothing outlives this process, so there is nothing to find."""

    async def close(self) -> None:
        """Containers keep running: the object is their world."""

    async def images(self) -> list[Image]:
        names = {container.image for container in self._containers.values()}
        return [_image(name) for name in sorted(names)]

    async def image(self, reference: str) -> Image | None:
        """Every reference is present that is to be had at all."""
        return None if is_broken(reference) else _image(reference)

    async def pull(self, reference: str, login: Login | None = None) -> Image:
        if is_broken(reference):
            raise ImagePullFailed(f"{reference}: not found")
        return _image(reference)

    async def remove_image(self, image_id: str) -> None:
        """There are no files to free; a name that is asked for is there again."""

    async def run_sandbox(self, spec: SandboxSpec) -> Sandbox:
        sandbox = Sandbox(spec.id, spec.namespace, spec.name, spec.netns, dict(spec.labels))
        self._by_sandbox.setdefault(spec.id, {})
        return self._sandboxes.setdefault(spec.id, sandbox)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        for container_id in self._by_sandbox.pop(sandbox_id, {}).values():
            self._containers.pop(container_id, None)
        self._sandboxes.pop(sandbox_id, None)

    async def sandboxes(self) -> list[Sandbox]:
        self._settle()
        return list(self._sandboxes.values())

    async def start_container(self, sandbox_id: str, spec: ContainerSpec) -> Container:
        if sandbox_id not in self._sandboxes:
            raise StartFailed(f"sandbox {sandbox_id} does not exist")
        known = self._by_sandbox[sandbox_id].get((spec.name, spec.attempt))
        if known is not None:
            return self._containers[known]
        ending = _ending(spec)
        now = self._clock.now()
        image_id = _image(spec.image).id
        container = Container(
            id=sha256(self._chance.uuid().encode()).hexdigest(),
            sandbox=sandbox_id,
            name=spec.name,
            attempt=spec.attempt,
            image=spec.image,
            image_id=image_id,
            state=State.RUNNING,
            started_at=now,
            log_path=spec.log_path,
            labels=dict(spec.labels),
        )
        self._containers[container.id] = container
        self._by_sandbox[sandbox_id][spec.name, spec.attempt] = container.id
        if ending is not None:
            heapq.heappush(self._endings, (now + ending.after_s, container.id, ending.exit_code))
            self._wake.set()
        return container

    async def stop_container(self, container_id: str, grace_s: float) -> None:
        self._settle()
        container = self._containers.get(container_id)
        if container is not None and container.state is State.RUNNING:
            self._end(container, _KILLED, self._clock.now())

    async def update_container(self, container_id: str, resources: Resources) -> None:
        """Nothing runs, so nothing is held to limits."""
        self._settle()
        container = self._containers.get(container_id)
        if container is None or container.state is not State.RUNNING:
            raise RuntimeFailure(f"container {container_id[:12]} is not running")

    async def update_sandbox(self, sandbox_id: str, resources: Resources) -> None:
        if sandbox_id not in self._sandboxes:
            raise RuntimeFailure(f"sandbox {sandbox_id} does not exist")

    async def remove_container(self, container_id: str) -> None:
        container = self._containers.get(container_id)
        if container is None:
            return
        if container.state is State.RUNNING:
            raise RuntimeFailure(f"container {container_id[:12]} is running: stop it first")
        del self._containers[container_id]
        self._by_sandbox[container.sandbox].pop((container.name, container.attempt), None)

    async def containers(self) -> list[Container]:
        self._settle()
        return list(self._containers.values())

    async def changed(self) -> set[str]:
        while True:
            self._settle()
            if self._changed:
                changed, self._changed = self._changed, set()
                return changed
            self._wake.clear()
            await self._next_ending()

    async def _next_ending(self) -> None:
        """Until the next deadline, or until there is an earlier one."""
        if not self._endings:
            await self._wake.wait()
            return
        await within(self._clock, self._endings[0][0] - self._clock.now(), self._wake)

    def _settle(self) -> None:
        """End what is due. Stopped and removed containers left their deadlines behind."""
        now = self._clock.now()
        while self._endings and self._endings[0][0] <= now:
            due, container_id, code = heapq.heappop(self._endings)
            container = self._containers.get(container_id)
            if container is not None and container.state is State.RUNNING:
                self._end(container, code, due)

    def _end(self, container: Container, code: int, at: float) -> None:
        reason = "Completed" if code == 0 else "Error"
        self._containers[container.id] = replace(
            container, state=State.EXITED, finished_at=at, exit_code=code, reason=reason
        )
        self._changed.add(container.sandbox)
        self._wake.set()


def _ending(spec: ContainerSpec) -> Ending | None:
    text = spec.labels.get(EXIT_LABEL)
    if text is None:
        return None
    try:
        return parse_ending(text)
    except ValueError as error:
        raise StartFailed(str(error)) from error


def _image(reference: str) -> Image:
    return Image(id=sha256(reference.encode()).hexdigest(), names=(reference,), size=0)
