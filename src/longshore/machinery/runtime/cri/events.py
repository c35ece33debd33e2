"""Which containers end, as a CRI runtime tells.

Runtimes tell in two ways, and the first that one knows is used: the CRI's own events (CRI-O as of 1.26,
containerd as of 1.7) or containerd's. Where there are neither, all containers are to be looked at every
second, as upstream's kubelet does (PLEG, KEP-3386).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc.aio

from longshore.base.clock import Clock
from longshore.machinery.runtime.cri import calls
from longshore.machinery.runtime.cri import rpc_pb2 as rpc
from longshore.machinery.runtime.cri.calls import Calls, Unserved
from longshore.machinery.runtime.protocol import RuntimeFailure

ALL = ""
# Go answers a subscription with its first event, so nobody can say when it has begun: what ended before is
# looked for again after this long.
_BEGUN_S = 1.0
# A runtime that is gone is looked for this often.
_RETRY_S = 0.2
_RELIST_S = 1.0
_EXITS = rpc.SubscribeRequest(filters=['namespace=="k8s.io",topic=="/tasks/exit"'])


@dataclass(frozen=True, slots=True)
class _Way:
    """How to be told: what is asked, and whose end a message tells (empty: nobody's)."""

    method: calls.Method[Any, Any]
    asked: Any
    ended: Callable[[Any], str]


def _told_by_cri(message: rpc.ContainerEvent) -> str:
    stopped = message.container_event_type == rpc.ContainerEvent.STOPPED
    return message.container_id if stopped else ""


def _told_by_containerd(message: rpc.Envelope) -> str:
    exit = rpc.TaskExit.FromString(message.event.value)
    return exit.container_id if exit.id in ("", exit.container_id) else ""


class Ends:
    """The ends of containers and sandboxes, one after another. Who is cancelled while waiting may ask again."""

    def __init__(self, ask: Calls, clock: Clock, log: Callable[[str], None]) -> None:
        self._ask = ask
        self._clock = clock
        self._log = log
        self._ways = [
            _Way(calls.EVENTS, rpc.Empty(), _told_by_cri),
            _Way(calls.SUBSCRIBE, _EXITS, _told_by_containerd),
        ]
        self._call: grpc.aio.UnaryStreamCall[Any, Any] | None = None
        self._reading: asyncio.Future[Any] | None = None  # ends with the call
        self._begun = False
        self._silent = False

    def close(self) -> None:
        if self._call is not None:
            self._call.cancel()
        if self._reading is not None:
            self._reading.cancel()
        self._call = self._reading = None

    async def next(self) -> str:
        """The id of one that has ended, or ALL: some may have, unheard."""
        while self._ways:
            if self._reading is None:
                self._listen()
                return ALL
            done, _ = await asyncio.wait({self._reading}, timeout=None if self._begun else _BEGUN_S)
            if not done:
                self._begun = True
                return ALL
            if ended := await self._heard():
                return ended
        await self._clock.sleep(_RELIST_S)
        return ALL

    def _listen(self) -> None:
        way = self._ways[0]
        self._call = self._ask.stream(way.method, way.asked)
        self._reading = asyncio.ensure_future(self._call.read())
        self._begun = False

    async def _heard(self) -> str:
        """Whose end the message tells that has come; after a failure, nobody's."""
        assert self._reading is not None and self._call is not None
        reading, self._reading = self._reading, None
        try:
            message = reading.result()
        except grpc.aio.AioRpcError as error:
            await self._broke(self._ask.failure(error))
            return ALL
        if message is grpc.aio.EOF:
            await self._broke(RuntimeFailure("the container runtime tells no more"))
            return ALL
        self._silent = False
        self._reading = asyncio.ensure_future(self._call.read())
        return self._ways[0].ended(message)

    async def _broke(self, why: RuntimeFailure) -> None:
        if isinstance(why, Unserved):
            self._ways.pop(0)
            return
        if not self._silent:
            self._log(str(why))
            self._silent = True
        await self._clock.sleep(_RETRY_S)
