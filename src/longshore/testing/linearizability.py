"""Is what clients were told of some objects what one server with one copy of each could have said?

Every object is a register that is created, replaced on what it was before, deleted and read. What is
written is a token that nobody else writes, so a state is the token that is there (ABSENT: none). An
operation takes effect at one moment between its question and its answer; one without an answer may
have taken effect or not, up to the moment when that is settled. The search is just-in-time
linearization (Lowe, "Testing for linearizability", 2017): all states that are possible are carried
along from answer to answer, and where none is left the answer contradicts those before it.

Revisions are one counter for all objects: an acknowledged write has a higher one than whatever was
told to anybody before it was asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from heapq import merge
from math import inf

ABSENT = ""
# What a server answers when it does not know, or could not say, whether a write was kept (0: nothing).
UNSURE = frozenset((0, 500, 503, 504))


class Verb(Enum):
    CREATE = auto()
    UPDATE = auto()
    DELETE = auto()
    READ = auto()


class Outcome(Enum):
    DONE = auto()
    EXISTS = auto()  # 409 AlreadyExists
    CONFLICT = auto()  # 409 Conflict: something else is there than what was to be replaced
    MISSING = auto()  # 404
    UNKNOWN = auto()


@dataclass(slots=True)
class Operation:
    """token: what was written, or what a read saw. base: what an update replaces. began and ended are
    seconds of one clock; revision is the object's as it was told, 0 if it was not."""

    verb: Verb
    key: str
    began: float
    ended: float
    outcome: Outcome
    token: str = ABSENT
    base: str = ABSENT
    revision: int = 0

    @property
    def acknowledged(self) -> bool:
        return self.outcome is Outcome.DONE and self.verb is not Verb.READ

    def after(self, state: str) -> str | None:
        """The state that it leaves behind; None: in that state this is not what would have come of it."""
        allowed = {
            Outcome.EXISTS: state != ABSENT,
            Outcome.CONFLICT: state not in (ABSENT, self.base),
            Outcome.MISSING: state == ABSENT,
        }.get(self.outcome)
        if allowed is not None:
            return state if allowed else None
        return self._done(state)

    def _done(self, state: str) -> str | None:
        needed, left = {
            Verb.CREATE: (state == ABSENT, self.token),
            Verb.UPDATE: (state == self.base, self.token),
            Verb.DELETE: (state != ABSENT, ABSENT),
            Verb.READ: (state == self.token, state),
        }[self.verb]
        return left if needed else None

    @property
    def changes(self) -> bool:
        """May it leave another state than it found?"""
        return self.verb is not Verb.READ and self.outcome in (Outcome.DONE, Outcome.UNKNOWN)

    def __str__(self) -> str:
        told = f" {self.token or 'nothing'}" + (f" on {self.base}" if self.base else "")
        at = f" at revision {self.revision}" if self.revision else ""
        verb, outcome = self.verb.name.lower(), self.outcome.name.lower()
        return f"{verb} {self.key}{told}: {outcome}{at}, {self.began:.4f} to {self.ended:.4f} s"


def violations(history: Sequence[Operation]) -> Iterator[str]:
    """What in a history cannot be, in sentences. Operations may be in any order."""
    history = settled(history)
    by_key: dict[str, list[Operation]] = defaultdict(list)
    for one in history:
        by_key[one.key].append(one)
    for of_key in by_key.values():
        yield from linearizable(of_key)
        yield from _one_revision_each(of_key)
    yield from monotonic(history)


def settled(history: Sequence[Operation]) -> list[Operation]:
    """With an end for what has no answer: a server makes writes in an order, so once one that was asked
    later is acknowledged, an earlier one is made or never will be."""
    told = sorted((one.began, one.ended) for one in history if one.acknowledged)
    earliest = [inf] * (len(told) + 1)  # the first answer to any write that began then or later
    for number in range(len(told) - 1, -1, -1):
        earliest[number] = min(told[number][1], earliest[number + 1])
    found, number = [], 0
    for one in sorted(history, key=lambda one: one.ended):
        if one.outcome is Outcome.UNKNOWN:
            while number < len(told) and told[number][0] <= one.ended:
                number += 1
            one = Operation(
                one.verb, one.key, one.began, earliest[number], one.outcome, one.token, one.base
            )
        found.append(one)
    return found


_Possible = set[tuple[str, frozenset[int]]]
"""States, each with the operations under way that have taken effect in it."""


def linearizable(history: Sequence[Operation]) -> Iterator[str]:
    """The first operation of one object that contradicts those before it."""
    possible: _Possible = {(ABSENT, frozenset())}
    running: dict[int, Operation] = {}
    for _, ends, number in _moments(history):
        one = history[number]
        if not ends:
            running[number] = one
            possible = {_with_reads(state, done, running) for state, done in possible}
            continue
        before, reached = possible, _reached(possible, running, number)
        if one.outcome is Outcome.UNKNOWN:
            reached |= possible
        possible = {(state, done - {number}) for state, done in reached}
        del running[number]
        if not possible:
            yield f"{one}; before it there could be {sorted({state for state, _ in before})}"
            return


def _moments(history: Sequence[Operation]) -> Iterable[tuple[float, bool, int]]:
    """Beginnings and ends in their order; of those at the same time beginnings come first."""
    begun = sorted((one.began, False, number) for number, one in enumerate(history))
    ended = sorted((one.ended, True, number) for number, one in enumerate(history))
    return merge(begun, ended)


def _reached(possible: _Possible, running: dict[int, Operation], number: int) -> _Possible:
    """The states in which that operation has taken effect."""
    found: _Possible = set()
    known, todo = set(possible), list(possible)
    while todo:
        state, done = todo.pop()
        if number in done:
            found.add((state, done))
            continue
        for other, one in running.items():
            left = one.after(state) if one.changes and other not in done else None
            if left is None:
                continue
            config = _with_reads(left, done | {other}, running)
            if config not in known:
                known.add(config)
                todo.append(config)
    return found


def _with_reads(
    state: str, done: frozenset[int], running: dict[int, Operation]
) -> tuple[str, frozenset[int]]:
    """What changes nothing takes effect as soon as it can: later would be no better."""
    fit = {n for n, one in running.items() if not one.changes and one.after(state) is not None}
    return state, done | fit


def _one_revision_each(history: Sequence[Operation]) -> Iterator[str]:
    told: dict[str, int] = {}
    for one in history:
        if one.revision and told.setdefault(one.token, one.revision) != one.revision:
            yield f"{one}; the same was told to be at revision {told[one.token]}"


def monotonic(history: Sequence[Operation]) -> Iterator[str]:
    """Each write's revision is above all that were told of before it was asked."""
    told = sorted((one.ended, one.revision) for one in history if one.revision)
    newest = number = 0
    for one in sorted(history, key=lambda one: one.began):
        while number < len(told) and told[number][0] < one.began:
            newest = max(newest, told[number][1])
            number += 1
        if one.acknowledged and one.revision and one.revision <= newest:
            yield f"{one}; revision {newest} had been told before"
