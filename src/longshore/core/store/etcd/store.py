"""EtcdStore: a batch of writes is as few transactions of etcd as it takes, and none is made twice.

A transaction whose answer is lost may have been made or not, or be made yet. So every one carries
a link: it holds only while the writer's mark, a key of its own, is at the revision where this
writer saw it last, and it moves the mark. What became of a lost one is settled by a transaction
that does nothing but move the mark from the same revision: one of the two holds, never both.
The mark fences as well: who opens the store under the same writer's name moves it, and whoever
had it before writes no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from longshore.base.clock import Clock
from longshore.core.store.etcd import rpc_pb2 as rpc
from longshore.core.store.etcd.changes import follow
from longshore.core.store.etcd.claims import Moves, added, held
from longshore.core.store.etcd.compaction import compact
from longshore.core.store.etcd.members import RANGE, TXN, Members, Unanswered
from longshore.core.store.etcd.transactions import (
    DEFAULT_OPS,
    FORMAT,
    Layout,
    add_writes,
    chunks,
    found,
    guarded,
    reading,
    stands,
)
from longshore.core.store.protocol import (
    Changes,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreNewer,
    Take,
    Write,
)

# Objects in the first page of what is read at start, and what the others come to: for each page etcd
# 3.4 looks at the keys of all that are left, so they should be few. SLICE are taken in at a time.
PAGE, PAGE_BYTES, PAGE_MAX = 500, 8 << 20, 10_000
SLICE = 100
# How often an etcd without room is asked what became of a write.
FULL_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class Naming:
    """Where in etcd the store is, and as whom it is written to: servers that write at the same
    time need names of their own. ops is etcd's --max-txn-ops."""

    prefix: str = "/longshore"
    writer: str = "server"
    ops: int = DEFAULT_OPS


class EtcdStore:
    """One cluster's state under a prefix of an etcd cluster.

    A commit waits for as long as it takes to know what became of its writes: an election, or until
    enough members are back. It raises StoreBusy once another process writes under its name.
    """

    def __init__(self, members: Members, clock: Clock, naming: Naming | None = None) -> None:
        self._members, self._clock = members, clock
        naming = naming or Naming()
        self._ops = naming.ops
        self._layout = Layout(naming.prefix)
        self._writer = naming.writer
        self._moves = Moves()
        self._session = 0  # etcd's revision at which this process took the mark: no other has it
        self._link = 0  # ... and the one where the mark is now
        self._said = 0

    @property
    def _mark(self) -> bytes:
        return self._layout.mark(self._writer)

    async def open(self, take: Take) -> int:
        """See Store.open; the answer stands for all writes up to etcd's revision at this moment."""
        await self._find_layout()
        await self._take_mark()
        await self._read(take, self._session)
        return self._layout.last_of(self._session)

    async def begin(self, layout: Layout) -> None:
        """Write to an empty place, which nobody else knows of yet (restoring.py)."""
        self._layout = layout
        await self._take_mark()

    async def _take_mark(self) -> None:
        request = rpc.TxnRequest()
        request.success.add().request_put.MergeFrom(rpc.PutRequest(key=self._mark, value=b"open"))
        answer = await self._members.ask(TXN, request)
        self._session = self._link = answer.header.revision
        self._moves = Moves()

    async def read(self, take: Take) -> int:
        """See SharedStore.read. Nothing is written."""
        answer = await self._members.ask(RANGE, rpc.RangeRequest(key=self._layout.format))
        if answer.kvs:
            self._lay_out(answer.kvs[0].value)
        await self._read(take, answer.header.revision)
        return self._layout.last_of(answer.header.revision)

    async def commit(self, writes: Sequence[Write]) -> list[int]:
        """See Store.commit. More writes than etcd takes at once are several transactions: should
        one be refused after others were made, what is left gets 0, to be planned and refused
        again by itself."""
        revisions = [0] * len(writes)
        for chunk in chunks(writes, self._ops):
            try:
                done = await self._made([writes[number] for number in chunk])
            except StoreError:
                if not any(revisions):
                    raise
                break
            for number, revision in zip(chunk, done, strict=True):
                revisions[number] = revision
        return revisions

    async def close(self) -> None:
        await self._members.close()

    async def run(self) -> None:
        """Forget what was replaced long ago, every five minutes, if no other server does."""
        await compact(self._members, self._layout, self._clock)

    def changes(self, since: int) -> AsyncIterator[Changes]:
        """See SharedStore.changes."""
        return follow(self._members, self._layout, since)

    async def newest(self) -> int:
        """See SharedStore.newest: every transaction moves a mark, so where the marks are is where the
        newest one is, whoever made it."""
        start, end = self._layout.writers
        asked = rpc.RangeRequest(key=start, range_end=end, keys_only=True)
        answer = await self._members.ask(RANGE, asked)
        return self._layout.last_of(max((pair.mod_revision for pair in answer.kvs), default=0))

    async def _find_layout(self) -> None:
        """Read where things are, and say so if nobody has."""
        request = guarded(self._layout.format, 0, FORMAT)
        answer = await self._members.ask(TXN, request)
        if not answer.succeeded:
            self._lay_out(answer.responses[0].response_range.kvs[0].value)

    def _lay_out(self, there: bytes) -> None:
        """Things are where that format says. Raises StoreNewer."""
        try:
            self._layout = Layout.read(self._layout.prefix, there)
        except ValueError:
            raise StoreNewer(
                f"what is in etcd under {self._layout.prefix} has format {there.decode()!r}, this "
                f"Longshore reads {FORMAT.decode()}: use the version that wrote it"
            ) from None

    async def _read(self, take: Take, revision: int) -> None:
        """Hand over all objects as of a revision; the next page comes while one is taken in."""
        start, end = self._layout.span
        asked = rpc.RangeRequest(key=start, range_end=end, limit=PAGE, revision=revision)
        ahead = asyncio.ensure_future(self._members.ask(RANGE, asked))
        try:
            while True:
                page = await ahead
                if page.more:
                    asked.key = page.kvs[-1].key + b"\0"
                    asked.limit = min(PAGE_BYTES * len(page.kvs) // page.ByteSize() + 1, PAGE_MAX)
                    ahead = asyncio.ensure_future(self._members.ask(RANGE, asked))
                await self._hand_over(page, take)
                if not page.more:
                    return
        finally:
            ahead.cancel()

    async def _hand_over(self, page: rpc.RangeResponse, take: Take) -> None:
        """In slices, so that the question for the next page gets out meanwhile."""
        skip = len(self._layout.objects)
        for at in range(0, len(page.kvs), SLICE):
            await self._clock.sleep(0)
            for pair in page.kvs[at : at + SLICE]:
                take(pair.key[skip:].decode(), *self._layout.unpacked(pair))

    async def _made(self, writes: Sequence[Write]) -> list[int]:
        """One transaction of what can be written: each write's revision, 0 for what cannot."""
        places = list(range(len(writes)))
        while places:
            revision = await self._tried([writes[place] for place in places])
            if revision:
                break
            places = await self._standing(writes, places)
        done = [0] * len(writes)
        for number, place in enumerate(places):
            done[place] = self._layout.ours(revision, number)
        return done

    async def _tried(self, writes: Sequence[Write]) -> int:
        """etcd's revision of the transaction, or 0 if something was not as expected."""
        claims = held(writes, self._layout, self._moves)
        while True:
            self._said += 1
            said = b"%d %d" % (self._session, self._said)
            request = guarded(self._mark, self._link, said)
            add_writes(request, self._layout, writes)
            moved = added(request, claims)
            try:
                answer = await self._members.once(TXN, request)
                revision = answer.header.revision if answer.succeeded else 0
            except Unanswered:
                revision = await self._settled(said)
                if not revision:
                    continue
            if revision:
                self._link = revision
                self._moves.made(claims, moved, revision)
            return revision

    async def _standing(self, writes: Sequence[Write], places: list[int]) -> list[int]:
        """Those of the places whose write finds what it expects. Raises StoreBusy."""
        layout, those = self._layout, [writes[place] for place in places]
        claims = held(those, layout, self._moves)
        guards = (one.guard.key for one in those if one.guard is not None)
        keys = [*{*claims, *map(layout.claim, (*guards, *(one.key for one in those)))}]
        mark, *revisions = found(await self._members.ask(TXN, reading([self._mark, *keys])))
        if mark != self._link:
            raise self._fenced()
        at = dict(zip(keys, revisions, strict=True))
        return [
            place
            for place, write in zip(places, those, strict=True)
            if stands(write, layout, at) and self._moves.hold(write, layout, at)
        ]

    async def _settled(self, said: bytes) -> int:
        """What became of a transaction without an answer: etcd's revision if it was made, or 0, and
        then it never will be. Asks until it knows. Raises StoreBusy."""
        withdrawn = said + b" withdrawn"
        request = guarded(self._mark, self._link, withdrawn)
        while True:
            await self._members.pause()
            try:
                answer = await self._members.once(TXN, request)
                break
            except Unanswered:
                continue
            except StoreFull:  # to withdraw something takes room too
                await self._clock.sleep(FULL_PAUSE_S)
        if answer.succeeded:
            self._link = answer.header.revision
            return 0
        pairs = answer.responses[0].response_range.kvs
        if not pairs or pairs[0].value not in (said, withdrawn):
            raise self._fenced()
        self._link = pairs[0].mod_revision
        return self._link if pairs[0].value == said else 0

    def _fenced(self) -> StoreBusy:
        return StoreBusy(
            f"another process writes to etcd under {self._layout.prefix} as {self._writer!r}: "
            "this one writes no more"
        )
