"""Clients over HTTPS that create, replace, delete and read ConfigMaps at the same time, and keep what
they asked and were told as a history that can be judged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from longshore.base.chance import Chance
from longshore.base.clock import Clock
from longshore.doors.kit.fetch import Answer, FetchError, Pool
from longshore.testing.linearizability import ABSENT, UNSURE, Operation, Outcome, Verb

MAPS = "/api/v1/namespaces/default/configmaps"
# As large as an ordinary object.
FILLER = "x" * 700
# Between two tries while nobody answers.
_PAUSE_S = 0.05
_JSON = {"content-type": "application/json", "accept": "application/json"}
_METHODS = {
    Verb.CREATE: "POST", Verb.UPDATE: "PUT", Verb.DELETE: "DELETE", Verb.READ: "GET",
}  # fmt: skip
_REFUSALS = {
    "AlreadyExists": Outcome.EXISTS,
    "Conflict": Outcome.CONFLICT,
    "NotFound": Outcome.MISSING,
}


class Unexpected(Exception):
    """An answer that no client should get."""


@dataclass(slots=True)
class Counts:
    """What is told of a proof."""

    operations: int = 0
    acknowledged: int = 0
    unknown: int = 0
    lost: int = 0

    def __str__(self) -> str:
        return (
            f"{self.operations:,} operations, {self.acknowledged:,} writes acknowledged, "
            f"{self.unknown:,} without an answer; lost or contradicted: {self.lost}"
        )


@dataclass(frozen=True, slots=True)
class Known:
    """What somebody was told of an object last."""

    token: str
    revision: int


@dataclass
class Load:
    """writers clients over keys objects; all of them know what one of them was told."""

    pool: Pool
    clock: Clock
    chance: Chance
    writers: int
    keys: int
    history: list[Operation] = field(default_factory=list)
    longest_s: float = 0.0
    odd: list[str] = field(default_factory=list)
    _known: dict[str, Known] = field(default_factory=dict)
    _doubtful: set[str] = field(default_factory=set)
    _tokens: int = 0
    _acknowledged: int = 0
    _stopping: bool = False

    @property
    def counts(self) -> Counts:
        unknown = sum(one.outcome is Outcome.UNKNOWN for one in self.history)
        return Counts(len(self.history), self._acknowledged, unknown)

    async def run(self) -> None:
        """Until stop(), when every client has its answer."""
        async with asyncio.TaskGroup() as crew:
            for _ in range(self.writers):
                crew.create_task(self._write())

    def stop(self) -> None:
        self._stopping = True

    async def acknowledged(self, more: int) -> None:
        """Wait for so many more acknowledged writes."""
        goal = self._acknowledged + more
        while self._acknowledged < goal:
            await self.clock.sleep(_PAUSE_S)

    async def read_all(self) -> None:
        """One list is a read of each object, of those that are not there too."""
        began, answer = await self._patiently(lambda: self.pool.fetch("GET", MAPS, _JSON))
        ended = self.clock.monotonic()
        there = {}
        for doc in orjson.loads(answer.body)["items"]:
            if "token" in doc.get("data", {}):
                there[doc["metadata"]["name"]] = _known(doc)
        for number in range(self.keys):
            key = _name(number)
            known = there.get(key, Known(ABSENT, 0))
            outcome = Outcome.DONE if known.token else Outcome.MISSING
            self.history.append(
                Operation(
                    Verb.READ, key, began, ended, outcome, known.token, ABSENT, known.revision
                )
            )

    async def _patiently(self, ask: Callable[[], Any]) -> tuple[float, Answer]:
        while True:
            began = self.clock.monotonic()
            try:
                answer: Answer = await ask()
            except FetchError:
                await self.clock.sleep(_PAUSE_S)
                continue
            if answer.status == 200:
                return began, answer
            await self.clock.sleep(_PAUSE_S)

    async def _write(self) -> None:
        while not self._stopping:
            one = self._next(_name(self.chance.below(self.keys)))
            if not await self._ask(one):
                await self.clock.sleep(_PAUSE_S)

    def _next(self, key: str) -> Operation:
        """Half of what is asked are replacements of what is known to be there."""
        known, dice = self._known.get(key), self.chance.below(20)
        self._tokens += 1
        token = f"t{self._tokens}"
        one = Operation(Verb.READ, key, 0, 0, Outcome.UNKNOWN)
        if dice < 5 or key in self._doubtful:
            return one
        if known is None or dice < 6:
            one.verb, one.token = Verb.CREATE, token
        elif dice < 9:
            one.verb = Verb.DELETE
        else:
            one.verb, one.token, one.base = Verb.UPDATE, token, known.token
            one.revision = known.revision
        return one

    async def _ask(self, one: Operation) -> bool:
        """Ask, and keep what was told; False if nobody answered, or could."""
        path = MAPS if one.verb is Verb.CREATE else f"{MAPS}/{one.key}"
        body, one.revision = _body(one), 0
        one.began = self.clock.monotonic()
        try:
            answer = await self.pool.fetch(_METHODS[one.verb], path, _JSON, body)
        except FetchError as error:
            if error.sent:
                self._ended(one)
            return False
        self._ended(one)
        if answer.status in UNSURE:
            if answer.status == 500:
                self.odd.append(f"{one}: {answer.body[:300]!r}")
            return False
        self._told(one, answer)
        return True

    def _ended(self, one: Operation) -> None:
        one.ended = self.clock.monotonic()
        if one.verb is not Verb.READ:
            self.longest_s = max(self.longest_s, one.ended - one.began)
            self.history.append(one)

    def _told(self, one: Operation, answer: Answer) -> None:
        doc = orjson.loads(answer.body)
        if answer.status in (200, 201):
            self._done(one, doc)
        else:
            reason = doc.get("reason")
            if reason not in _REFUSALS:
                raise Unexpected(f"{one} was answered with {answer.status}: {answer.body[:500]!r}")
            self._refused(one, _REFUSALS[reason])
        if one.verb is Verb.READ:
            self._doubtful.discard(one.key)
            self.history.append(one)

    def _refused(self, one: Operation, outcome: Outcome) -> None:
        one.outcome = outcome
        self._known.pop(one.key, None)
        if outcome is not Outcome.MISSING:
            self._doubtful.add(one.key)

    def _done(self, one: Operation, doc: Any) -> None:
        one.outcome = Outcome.DONE
        self._acknowledged += one.acknowledged
        if one.verb is Verb.DELETE:
            self._known.pop(one.key, None)
            return
        known = _known(doc)
        if one.verb is Verb.READ:
            one.token = known.token
        one.revision = known.revision
        self._known[one.key] = known


def _name(number: int) -> str:
    return f"k{number}"


def _known(doc: Any) -> Known:
    return Known(doc["data"]["token"], int(doc["metadata"]["resourceVersion"]))


def _body(one: Operation) -> bytes:
    if not one.token:
        return b""
    metadata: dict[str, str] = {"name": one.key}
    if one.revision:
        metadata["resourceVersion"] = str(one.revision)
    return orjson.dumps({"metadata": metadata, "data": {"token": one.token, "filler": FILLER}})
