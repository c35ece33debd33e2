"""The simulated medium as several servers share it, each in a seat of its own: core/store/protocol.py's
SharedStore, with nothing of etcd but what it promises."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence

from longshore.core.store.protocol import Change, Changes, Claim, StoreSilent, Take, Write
from longshore.testing.simulator.medium import Medium

_LOOK_S = 0.2


class Moves:
    """Who moved which claimed names last, and when each key was touched (deleted, too)."""

    def __init__(self) -> None:
        self._moved: dict[str, dict[str, int]] = defaultdict(dict)
        self._touched: dict[str, int] = {}

    def hold(self, writer: str, write: Write) -> bool:
        """Whether nobody has moved what the write's plan rests on."""
        return all(self._last(writer, claim) <= claim.since for claim in write.claims)

    def _last(self, writer: str, claim: Claim) -> int:
        if not claim.moves:
            return self._touched.get(claim.name, 0)
        moved = self._moved.get(claim.name, {})
        return max((at for who, at in moved.items() if who != writer), default=0)

    def made(self, writer: str, write: Write, revision: int) -> None:
        self._touched[write.key] = revision
        for claim in write.claims:
            if claim.moves:
                self._moved[claim.name][writer] = revision


class Seat:
    """One server's way to the medium. lag_s is added to each message of its, both ways: what it
    writes comes late, and so does what it hears. While it is cut, messages are on their way."""

    def __init__(self, medium: Medium, moves: Moves, name: str) -> None:
        self.cut = False
        self.lag_s = 0.0
        self._medium = medium
        self._moves = moves
        self._name = name

    async def open(self, take: Take) -> int:
        return await self.read(take)

    async def read(self, take: Take) -> int:
        await self._way()
        return await self._medium.open(take)

    async def commit(self, writes: Sequence[Write]) -> list[int]:
        """Nobody is told that the medium is broken: it answers when it works again."""
        await self._medium.clock.sleep(self._medium.stall_s)
        await self._way()
        self._medium.check_room()
        held = [self._moves.hold(self._name, write) for write in writes]
        made = [write for write, holds in zip(writes, held, strict=True) if holds]
        revisions = await self._medium.make(made, self._name)
        for write, revision in zip(made, revisions, strict=True):
            if revision:
                self._moves.made(self._name, write, revision)
        await self._way()
        rest = iter(revisions)
        return [next(rest) if holds else 0 for holds in held]

    async def changes(self, since: int) -> AsyncIterator[Changes]:
        log = self._medium.log
        at = bisect_right(log, since, key=lambda entry: entry.revision)
        while True:
            if at == len(log):
                await self._medium.news()
            await self._way()
            made = [Change(entry.key, entry.value, entry.revision) for entry in log[at:]]
            at += len(made)
            if made:
                yield Changes(made, made[-1].revision)

    async def newest(self) -> int:
        if self._medium.broken:
            raise StoreSilent("the simulated medium is broken")
        await self._way()
        newest = self._medium.log[-1].revision if self._medium.log else 0
        await self._way()
        return newest

    async def run(self) -> None:
        """There is nothing to see to."""

    async def close(self) -> None:
        return None

    async def _way(self) -> None:
        await self._medium.clock.sleep(self._medium.some() + self.lag_s)
        while self._medium.broken or self.cut:
            await self._medium.clock.sleep(_LOOK_S)
