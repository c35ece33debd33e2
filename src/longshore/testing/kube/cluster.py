"""One test's cluster: a life on a store, a listener of its own, and nodes that come when called."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf

from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.core.objects.kinds import Doc, Ref
from longshore.core.registry.versions import as_version
from longshore.core.store.memory import MemoryStore, Records
from longshore.doors.kit.http import Reply, Request, SlicedReply
from longshore.doors.kit.pulse import ServerLimits
from longshore.doors.kit.server import Server
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.hollow.nodes import CAPACITY, hollow_configs
from longshore.testing.kube.life import Keys, Life
from longshore.testing.kube.outside import ADMIN, OneToken, Outside
from longshore.testing.kube.settings import Settings
from longshore.testing.loop import LoopClock, SimulatedLoop

# How long clients are given to answer to what they were told, in real seconds, before time jumps.
REACTION_S = 0.05
_TOKEN_LENGTH = 32
_YEAR_S = 365 * 86_400.0
# Time may jump by hours while a client is about to send: no connection is given up for being late.
_LIMITS = ServerLimits(
    handshake_s=_YEAR_S, idle_s=inf, request_read_s=inf, write_stall_s=inf, talk_stall_s=inf
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a cluster held at one moment, and the nodes that it had."""

    records: Records
    nodes: Sequence[KubeletConfig] = ()


class Broken(RuntimeError):
    """The cluster itself failed, or what runs against it."""


class Cluster:
    """All of it runs on the loop that it is given; start() first, stop() last."""

    def __init__(self, loop: SimulatedLoop, settings: Settings, keys: Keys, base: Snapshot) -> None:
        self._loop = loop
        self._wall = SystemClock()
        self.clock = LoopClock(loop, start=self._wall.now() - loop.time())
        self._settings = settings
        self._keys = keys
        newest = max((revision for _, revision in base.records.values()), default=0)
        self._store = MemoryStore(base.records, newest)
        self.token = OneToken(Chance().secret(_TOKEN_LENGTH))
        self.outside = Outside(self.told)
        self._server = Server(self.outside.handle, self.clock, limits=_LIMITS)
        self._nodes = hollow_configs([f"node-{n + 1}" for n in range(settings.nodes)])
        self._nudges: set[Callable[[], None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._others = 0
        self._targets: list[float] = []

    async def start(self, context: ssl.SSLContext | None) -> int:
        """The port of 127.0.0.1 at which it listens, with everything at rest."""
        started: asyncio.Future[int] = self._loop.create_future()
        self._task = self._loop.create_task(self._run(context, started), name="a test's cluster")
        await asyncio.wait((self._task, started), return_when=asyncio.FIRST_COMPLETED)
        self.check()
        await self._loop.rest()
        self.check()
        return started.result()

    async def stop(self) -> None:
        """End everything. Raises Broken if it had ended by itself."""
        self.check()
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait((self._task,))

    async def _run(self, context: ssl.SSLContext | None, started: asyncio.Future[int]) -> None:
        async with asyncio.TaskGroup() as crew:
            self._crew = crew
            await self._begin()
            if context is None:
                started.set_result(0)
                return
            listener = socket.create_server(("127.0.0.1", 0))
            serving = self._server.serve([listener], context)
            self._listener = crew.create_task(serving, name="listener")
            started.set_result(listener.getsockname()[1])

    async def _begin(self) -> None:
        self.life = Life(self._store, self.clock, self._settings, self._keys, self.token)
        await self.life.start(self._crew, self._nodes)
        self.outside.open(self.life.door.handle)

    async def hang_up(self) -> None:
        """Break all connections, and take no more."""
        self._listener.cancel()
        await asyncio.wait((self._listener,))

    def check(self) -> None:
        """Raise what broke it, if something did."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            error = self._task.exception()
            if error is not None:
                raise _first(error)

    # -- what a test asks --------------------------------------------------------------------

    async def ask(self, request: Request) -> Reply:
        """One request past the listener, answered whole."""
        self.check()
        reply = await self.life.door.handle(request)
        if isinstance(reply, SlicedReply):
            return Reply(reply.status, b"".join(reply.slices), reply.content_type, reply.headers)
        assert isinstance(reply, Reply), reply
        return reply

    def _find(self, ref: Ref) -> Doc | None:
        """The newest state of an object; read-only."""
        stored = self.life.registry.cache.shelf(ref.kind.kept_as).get(ref.key)
        return None if stored is None else as_version(ref.kind, stored).doc

    async def until(
        self, ref: Ref, holds: Callable[[Doc | None], bool], seconds: float
    ) -> tuple[bool, Doc | None]:
        """Whether that came to hold of an object within so many seconds of the cluster's time, which
        jumps as long as nothing else happens; and the object. Where somebody from outside takes
        part, it is given as many real seconds."""
        await self.life.complete.wait()
        deadline, patience = self._loop.time() + seconds, self._wall.monotonic() + seconds
        while not holds(doc := self._find(ref)):
            self.check()
            left = deadline - self._loop.time()
            if left <= 0 and not self._is_alone:
                left = patience - self._wall.monotonic()
            if left <= 0:
                return False, doc
            with self._jumping(deadline):
                await self._change_of(ref, left)
        return True, doc

    async def advance(self, seconds: float) -> None:
        """Let so many seconds pass, without waiting for what takes none."""
        await self.life.complete.wait()
        with self._jumping(self._loop.time() + seconds):
            await self.clock.sleep(seconds)
        await self._loop.rest()
        self.check()

    @contextmanager
    def _jumping(self, until: float) -> Iterator[None]:
        """Within, time jumps to that moment, in the loop's seconds; several may want that at once."""
        self._targets.append(until)
        self._loop.jump_to(until)
        try:
            yield
        finally:
            self._targets.remove(until)
            self._loop.hold()
            for other in self._targets:
                self._loop.jump_to(other)

    async def settle(self) -> None:
        """Return when nothing is left to do without time passing."""
        await self.life.complete.wait()
        await self._loop.rest()
        self.check()

    def nudge(self) -> None:
        """Let whoever waits look again."""
        for nudge in self._nudges:
            nudge()

    def expect(self, others: int) -> None:
        """So many more, or fewer, run against it who have no connection yet, or not always."""
        self._others += others
        self.told()

    def told(self) -> None:
        """A client may be about to answer."""
        self._loop.wait_for_others(REACTION_S)

    @property
    def _is_alone(self) -> bool:
        return not self._others and not self._server.connections

    async def _change_of(self, ref: Ref, seconds: float) -> None:
        """Return when the kind has changed, or that much time has passed, or somebody nudges."""
        cache = self.life.registry.cache
        feed = cache.watch(
            ref.kind.kept_as, since=cache.revision, prefix=ref.key, select=None, term=None
        )
        timer = self._loop.call_later(max(seconds, 0.0), feed.nudge)
        self._nudges.add(feed.nudge)
        try:
            await feed.next_batch()
        finally:
            self._nudges.discard(feed.nudge)
            timer.cancel()
            feed.close()

    # -- nodes -------------------------------------------------------------------------------

    async def add_node(
        self, name: str, capacity: Mapping[str, str], labels: Mapping[str, str]
    ) -> None:
        names = [node.node_name for node in self._nodes]
        if name in names:
            raise ValueError(f'there is a node "{name}" already')
        node: KubeletConfig = hollow_configs([*names, name], {**CAPACITY, **capacity}, labels)[-1]
        self._nodes.append(node)
        self.life.add_nodes([node])
        await self._loop.rest()

    # -- snapshots ---------------------------------------------------------------------------

    async def snapshot(self) -> Snapshot:
        await self.settle()
        return Snapshot(self._store.records(), tuple(self._nodes))

    async def restore(self, snapshot: Snapshot) -> None:
        """Hold again what it held then. Revisions go on: what has changed since comes back as
        something new, and who watches has to list again."""
        await self.outside.close()
        await self.life.end()
        self._store, self._nodes = _restored(self._store, snapshot), list(snapshot.nodes)
        await self._begin()
        await self.settle()


def _restored(now: MemoryStore, then: Snapshot) -> MemoryStore:
    present, revision = now.records(), now.revision + 1
    records = {}
    for key, kept in sorted(then.records.items(), key=lambda item: item[1][1]):
        if present.get(key) != kept:
            revision += 1
            kept = (kept[0], revision)
        records[key] = kept
    return MemoryStore(records, revision)


def _first(error: BaseException) -> BaseException:
    """What is at the bottom of groups of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def request(method: str, target: str, body: bytes, media: str, query: Mapping[str, str]) -> Request:
    """A request of the test itself."""
    headers = {"content-type": media, "accept": "application/json", "user-agent": "pytest"}
    asked = {name: [value] for name, value in query.items()}
    return Request(method, target, asked, headers, body, ADMIN, target)
