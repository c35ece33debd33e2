"""Between the clients of a test and its cluster's door: who may in, what is noted, what fails."""

from __future__ import annotations

import asyncio
import hmac
from collections import deque
from collections.abc import Callable, Sequence

from longshore.base.users import User
from longshore.core.objects.errors import Unauthorized
from longshore.core.objects.kinds import KINDS
from longshore.doors.kit.http import AnyReply, Handler, Request, StreamReply, Takeover
from longshore.doors.kubernetes.translate import parse_target
from longshore.testing.kube.faults import Failure, Fault, refusal, verb_of
from longshore.testing.kube.requests import Asked

ADMIN = User("kubernetes-admin", ("system:masters", "system:authenticated"))
# What is remembered of requests; who asks more than that in one test looks at the last of them.
_REMEMBERED = 10_000


class OneToken:
    """Knows the bearer token of one cluster's administrator."""

    def __init__(self, token: str) -> None:
        self.token = token

    def authenticate(self, token: str, audiences: Sequence[str] = ()) -> tuple[User, list[str]]:
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            raise Unauthorized("Unauthorized")
        return ADMIN, list(audiences)


class Outside:
    """The handler of a cluster's listener. told is called whenever a client was told something, and
    may be about to answer to it."""

    def __init__(self, told: Callable[[], None]) -> None:
        self.asked: deque[Asked] = deque(maxlen=_REMEMBERED)
        self.faults: list[Fault] = []
        self._told = told
        self._door: Handler | None = None
        self._opened = asyncio.Event()
        self._answering: set[asyncio.Task[object]] = set()

    def open(self, door: Handler) -> None:
        self._door = door
        self._opened.set()

    async def close(self) -> None:
        """Let requests wait for another door; whoever is being answered loses the connection."""
        self._opened.clear()
        answering = [*self._answering]
        for task in answering:
            task.cancel()
        if answering:
            await asyncio.wait(answering)

    def fail_next(self, pattern: str, failure: Failure, times: int) -> None:
        self.faults.append(Fault(pattern, failure, times))

    async def handle(self, request: Request) -> AnyReply:
        noted = _noted(request)
        self.asked.append(noted)
        self._told()
        fault = next((fault for fault in self.faults if fault.meets(request)), None)
        if fault is not None:
            reply = _failed(fault)
        else:
            reply = await self._answered(request)
        noted.status = 101 if isinstance(reply, Takeover) else reply.status
        self._told()
        return self._overheard(reply) if isinstance(reply, StreamReply) else reply

    async def _answered(self, request: Request) -> AnyReply:
        task = asyncio.current_task()
        assert task is not None
        await self._opened.wait()
        assert self._door is not None
        self._answering.add(task)
        try:
            return await self._door(request)
        finally:
            self._answering.discard(task)

    def _overheard(self, reply: StreamReply) -> StreamReply:
        """The same stream; what it brings its client is something told."""
        pushed = reply.pushed
        if pushed is not None:

            def push(write: Callable[[bytes], bool]) -> None:
                def overheard(piece: bytes) -> bool:
                    self._told()
                    return write(piece)

                pushed(overheard)

            reply.pushed = push
        return reply


def _failed(fault: Fault) -> AnyReply:
    """A refusal. Raises CancelledError, which breaks the connection off, where that is the order."""
    fault.left -= 1
    if fault.failure == "drop":
        raise asyncio.CancelledError("the test ordered the connection to break")
    return refusal(fault)


def _noted(request: Request) -> Asked:
    target = parse_target(KINDS, request.path)
    noted = Asked(
        request.method, request.path, request.target.partition("?")[2],
        request.headers.get("user-agent", ""), verb_of(request), body=request.body,
    )  # fmt: skip
    if target is not None:
        noted.resource, noted.namespace = target.kind.resource, target.namespace
        noted.name, noted.subresource = target.name, target.subresource
    return noted
