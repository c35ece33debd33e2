"""What watchers saw against the log: everything, once, in order, from where their list was."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise

from longshore.testing.simulator.medium import Entry
from longshore.testing.simulator.record import Record, Seen, Violation


def gapless(record: Record) -> Iterator[Violation]:
    """Each list is the state at its revision; each event is the next entry of the log; at the end,
    nothing is missing."""
    for prefix, seen in record.watches.items():
        log = [entry for entry in record.log if entry.key.startswith(prefix)]
        begins = [at for at, one in enumerate(seen) if one.type == "BEGUN"] + [len(seen)]
        for start, end in pairwise(begins):
            yield from _one_list(prefix, log, seen[start:end], last=end == len(seen))


def _one_list(
    prefix: str, log: list[Entry], seen: list[Seen], *, last: bool
) -> Iterator[Violation]:
    revision = seen[0].revision
    at = bisect_right(log, revision, key=lambda entry: entry.revision)
    state: dict[str, int] = {}
    for entry in log[:at]:
        _follow(state, entry)
    listed = {one.key: one.own for one in seen if one.type == "LISTED"}
    if listed != state:
        sentence = f"the list of {prefix} at {revision} differs in {_differing(listed, state)}"
        yield Violation("gapless", sentence, tuple(_differing(listed, state)))
    events = [one for one in seen if one.type not in ("BEGUN", "LISTED")]
    for entry, one in zip(log[at:], events, strict=False):
        expected = _type(state, entry)
        if (one.type, one.key, one.revision) != (expected, entry.key, entry.revision):
            sentence = (
                f"a watch of {prefix} from {revision} was told {one.type} {one.key} at "
                f"{one.revision}; next in the log is {expected} {entry.key} at {entry.revision}"
            )
            yield Violation("gapless", sentence, (one.key, entry.key))
            return
        _follow(state, entry)
    missing = log[at + len(events) :]
    if (last and missing) or len(events) > len(log) - at:
        sentence = (
            f"a watch of {prefix} from {revision} was told {len(events)} of {len(log) - at} events"
        )
        yield Violation("gapless", sentence, tuple(entry.key for entry in missing[:5]))


def _type(state: dict[str, int], entry: Entry) -> str:
    if entry.value is None:
        return "DELETED"
    return "MODIFIED" if entry.key in state else "ADDED"


def _follow(state: dict[str, int], entry: Entry) -> None:
    if entry.value is None:
        state.pop(entry.key, None)
    else:
        state[entry.key] = entry.revision


def _differing(some: dict[str, int], others: dict[str, int]) -> list[str]:
    return sorted(key for key in some.keys() | others.keys() if some.get(key) != others.get(key))[
        :5
    ]
