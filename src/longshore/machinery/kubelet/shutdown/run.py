"""End a node's pods because its machine is shut down. Nothing is started any more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.lifecycle.model import Verdict
from longshore.machinery.kubelet.pods.tools import Tools
from longshore.machinery.kubelet.shutdown.plan import REJECTED, UNREADY, turns
from longshore.machinery.kubelet.writer import StatusWriter

# A stop signal and then SIGKILL take a moment beyond the grace.
_BEYOND_S = 2.0
_LOOK_S = 0.05
# How long the last statuses may take to be told.
_TELL_S = 5.0


class PodHere(Protocol):
    """A pod of the node. ended: none of its containers runs, for good."""

    @property
    def uid(self) -> str: ...

    @property
    def pod(self) -> Doc: ...

    @property
    def ended(self) -> bool: ...

    def condemn(self, verdict: Verdict) -> None: ...


async def shut_down(
    tools: Tools, writer: StatusWriter, pods: Callable[[], Iterable[PodHere]]
) -> None:
    """Return when all have ended, or their time is over, and the API server was told if it hears."""
    clock, keeper = tools.clock, tools.keeper
    tools.gate.closed = REJECTED
    keeper.unready = UNREADY
    await _tell(keeper.check)
    message = f"Node {tools.config.node_name} status is now: NodeNotReady"
    tools.events.event(keeper.described, "Normal", "NodeNotReady", message)
    here = {one.uid: one for one in pods() if not one.ended}
    priorities = {uid: int(one.pod["spec"].get("priority") or 0) for uid, one in here.items()}
    for turn in turns(priorities, tools.config.shutdown):
        for uid in turn.pods:
            here[uid].condemn(turn.verdict)
        deadline = clock.monotonic() + turn.grace_s + _BEYOND_S
        while not all(here[uid].ended for uid in turn.pods) and clock.monotonic() < deadline:
            await clock.sleep(_LOOK_S)
    await _tell(writer.idle)


async def _tell(telling: Callable[[], Awaitable[None]]) -> None:
    """A server that does not hear holds nothing up."""
    with contextlib.suppress(TimeoutError, ApiError, OSError):
        async with asyncio.timeout(_TELL_S):
            await telling()
