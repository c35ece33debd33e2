"""Claims in etcd: keys without a value, whose revision says when somebody moved them last. Pure.

A server plans its writes on what it has heard, and on what it has itself under way: that one is not
in its feed yet when the next is planned. So for each name it remembers from which revision to which
nobody but itself has moved it (Moves); a plan made anywhere in there knows of all there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from longshore.core.store.etcd import rpc_pb2 as rpc
from longshore.core.store.etcd.transactions import Layout, add_claims
from longshore.core.store.protocol import Claim, Write


@dataclass(slots=True)
class Held:
    """What a transaction has to do with a claimed key: etcd's revision of the oldest plan in it
    that rests on it, up to which revision that is known to hold, and whether it moves it."""

    since: int
    until: int
    moves: bool


class Moves:
    """Of the names that this writer has moved: in which revisions of etcd it alone did."""

    def __init__(self) -> None:
        self._alone: dict[bytes, tuple[int, int]] = {}

    def until(self, key: bytes, claim: Claim, layout: Layout) -> int:
        """Up to which revision of etcd nobody else has moved a name since the claim's plan."""
        since = layout.theirs(claim.since)
        if not claim.moves:
            return since
        first, last = self._alone.get(key, (since, since))
        return last if first <= since <= last else since

    def made(self, claims: Mapping[bytes, Held], moved: Iterable[bytes], revision: int) -> None:
        """A transaction with these claims was made, which moved some."""
        for key in moved:
            held = claims[key]
            first, last = self._alone.get(key, (held.since, held.since))
            joined = first <= held.since <= last
            self._alone[key] = (first if joined else held.since, revision)

    def hold(self, write: Write, layout: Layout, moved: Mapping[bytes, int]) -> bool:
        """Whether a write's claims hold, given where their keys are in etcd."""
        keys = ((layout.claim(claim.name), claim) for claim in write.claims)
        return all(moved[key] <= self.until(key, claim, layout) for key, claim in keys)


def held(writes: Sequence[Write], layout: Layout, moves: Moves) -> dict[bytes, Held]:
    """The claims of all writes of a transaction, each key once."""
    found: dict[bytes, Held] = {}
    for write in writes:
        for claim in write.claims:
            assert not (claim.moves and claim.name.startswith("/")), (
                "only its writers move an object"
            )
            key = layout.claim(claim.name)
            since, until = layout.theirs(claim.since), moves.until(key, claim, layout)
            one = found.setdefault(key, Held(since, until, claim.moves))
            one.since, one.until = min(one.since, since), min(one.until, until)
            one.moves |= claim.moves
    return found


def added(request: rpc.TxnRequest, claims: Mapping[bytes, Held]) -> list[bytes]:
    """Add claims to a transaction; those that it moves."""
    moved = [key for key, held in claims.items() if held.moves]
    add_claims(request, {key: held.until for key, held in claims.items()}, moved)
    return moved
