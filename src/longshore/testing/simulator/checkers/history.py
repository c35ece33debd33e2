"""Users' requests against the log: what was acknowledged is there, what was refused is not, and reads
are of what was there while they ran."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from longshore.testing.linearizability import UNSURE
from longshore.testing.simulator.deeds import TOKEN
from longshore.testing.simulator.medium import Entry
from longshore.testing.simulator.record import Asked, Record, Violation

_WRITES = frozenset(("POST", "PUT", "PATCH"))


def durable(record: Record) -> Iterator[Violation]:
    """An acknowledged write is in the log, at its revision; a refused one is not."""
    revisions = _revisions_by_token(record)
    by_key = {(entry.key, entry.revision) for entry in record.log}
    for one in record.asked:
        if one.method == "DELETE":
            if one.status == 200 and one.revision and (one.key, one.revision) not in by_key:
                # A delete of what was marked already answers with what is there.
                yield from _stale_delete(record, one)
        elif one.method in _WRITES:
            yield from _judged_write(one, revisions.get((one.key, one.token), []))


def _judged_write(one: Asked, kept: list[int]) -> Iterator[Violation]:
    said = f"{one.method} {one.key} ({one.token}) was answered with {one.status}"
    if one.status in (200, 201):
        # Where the copy came first, the request itself may find all as it wants it.
        done_before = one.twice and kept and kept[0] <= one.revision
        if one.revision not in kept and not done_before:
            where = f"is in the log at {kept}" if kept else "is nowhere in the log"
            yield Violation("durable", f"{said} at revision {one.revision} and {where}", (one.key,))
    elif one.status not in UNSURE and not one.twice and kept:
        yield Violation("durable", f"{said}, and is in the log at {kept}", (one.key,))


def _stale_delete(record: Record, one: Asked) -> Iterator[Violation]:
    there = [entry for entry in record.log if entry.key == one.key]
    if not any(entry.at <= one.ended and entry.value is None for entry in there) and not any(
        entry.revision == one.revision for entry in there
    ):
        said = f"DELETE {one.key} was answered with 200 at revision {one.revision}"
        yield Violation("durable", f"{said}, which nothing in the log is", (one.key,))


def _revisions_by_token(record: Record) -> dict[tuple[str, str], list[int]]:
    """Where the log first shows each token of a key: later writes of the same object carry it on, and
    ReplicaSets have the annotations of their Deployments."""
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    last: dict[str, str] = {}
    for entry, doc in record.decoded():
        token = (doc or {}).get("metadata", {}).get("annotations", {}).get(TOKEN, "")
        if token and last.get(entry.key) != token:
            found[entry.key, token].append(entry.revision)
        last[entry.key] = token
    return found


@dataclass(slots=True)
class _State:
    """One state of a key: from its entry on (revision 0: before there was any)."""

    revision: int
    exists: bool
    since: float


def linearizable(record: Record) -> Iterator[Violation]:
    """A read tells of a state that the key had at some moment between the question and the answer,
    and never of one older than what had been acknowledged to anybody before the question."""
    yield from _order(record.log)
    states = _states(record.log)
    told = _acknowledged(record)
    for one in record.asked:
        if one.method != "GET" or one.status not in (200, 404):
            continue
        if one.status == 200 and one.doc["kind"].endswith("List"):
            yield from _judged_list(one, record.log, told)
        else:
            yield from _judged_read(one, states.get(one.key, []), told.get(one.key, []))


def _order(log: list[Entry]) -> Iterator[Violation]:
    for earlier, later in pairwise(log):
        if later.revision <= earlier.revision:
            sentence = f"revision {later.revision} of {later.key} follows {earlier.revision}"
            yield Violation("linearizable", sentence, (later.key,))


def _states(log: list[Entry]) -> dict[str, list[_State]]:
    found: dict[str, list[_State]] = {}
    for entry in log:
        states = found.setdefault(entry.key, [])
        states.append(_State(entry.revision, entry.value is not None, entry.at))
    return found


def _acknowledged(record: Record) -> dict[str, list[tuple[float, int]]]:
    """For each key, when somebody was told of which revision."""
    found: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for one in record.asked:
        if one.status in (200, 201) and one.revision:
            found[one.key].append((one.ended, one.revision))
    return found


def _judged_read(
    one: Asked, states: list[_State], told: list[tuple[float, int]]
) -> Iterator[Violation]:
    floor = max((revision for at, revision in told if at < one.began), default=0)
    possible = [_State(0, False, 0.0), *states]
    possible = [state for state in possible if state.since <= one.ended]
    possible = [state for state in possible if state.revision >= floor] or possible[-1:]
    if one.status == 200:
        fine = any(state.exists and state.revision == one.revision for state in possible)
        what = f"of revision {one.revision}"
    else:
        fine = any(not state.exists for state in possible) or _gone_meanwhile(states, floor)
        what = "404"
    if not fine:
        sentence = (
            f"GET {one.key} ({one.token}) was answered with {what}, though revision {floor} was "
            f"known before it was asked; possible: {[s.revision for s in possible]}"
        )
        yield Violation("linearizable", sentence, (one.key,))


def _judged_list(
    one: Asked, log: list[Entry], told: dict[str, list[tuple[float, int]]]
) -> Iterator[Violation]:
    """A list is what there was at its revision, which is no older than what was known of it."""
    prefix, at = one.key + "/", one.revision
    state: dict[str, int] = {}
    for entry in log:
        if entry.revision <= at and entry.key.startswith(prefix):
            state[entry.key] = entry.revision if entry.value is not None else 0
    there = sorted(revision for revision in state.values() if revision)
    seen = sorted(int(item["metadata"]["resourceVersion"]) for item in one.doc["items"])
    if seen != there:
        odd = sorted(set(seen) ^ set(there))[:5]
        about = tuple(key for key, revision in state.items() if revision in odd)
        sentence = f"the list of {one.key} at {at} ({one.token}) differs from the log in {odd}"
        yield Violation("linearizable", sentence, about)
    for key in filter(lambda key: key.startswith(prefix), told):
        newest = max((revision for ended, revision in told[key] if ended < one.began), default=0)
        if newest > at:
            sentence = f"the list of {one.key} at {at} ({one.token}) is older than {newest}"
            yield Violation("linearizable", f"{sentence}, which was known before", (key,))


def _gone_meanwhile(states: list[_State], floor: int) -> bool:
    return any(not state.exists and state.revision >= floor for state in states)
