"""Power cuts, played back: the write-ahead log of a store under load, cut off at hundreds of places."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from longshore.base.chance import Chance
from tests.core.store.test_power_cut import Load, Moment, cuts, found, load
from tests.proof.judged import Verdict
from tests.proof.load import Counts


async def prove(root: Path, offsets: int) -> Verdict:
    """At least so many places, or all that are worth it."""
    with pytest.MonkeyPatch.context() as patch:
        written = await load(root / "load" / "s.db", patch)
    wrong, tried = [], 0
    for moment, length in _places(written, offsets):
        tried += 1
        state = await found(root / "s.db", moment.database, moment.log[:length])
        if state not in written.states:
            wrong.append(f"after batch {moment.batch} cut at {length}: half a batch")
        elif not written.least(moment, length) <= written.states.index(state) <= moment.batch:
            wrong.append(
                f"after batch {moment.batch} cut at {length}: an acknowledged batch is gone"
            )
    writes = sum(moment.batch for moment in written.moments)
    what = f"power cuts at {tried} places of the logs of {len(written.moments)} moments, by batches"
    return Verdict(what, Counts(writes, writes, 0, len(wrong)), wrong)


def _places(written: Load, offsets: int) -> Iterator[tuple[Moment, int]]:
    """About as many at each moment: the ends of frames and headers, and anywhere between them."""
    for moment in written.moments:
        chance, places = Chance.seeded(moment.batch), set[int]()
        while len(places) < offsets / len(written.moments):
            places.update(cuts(chance, moment.log))
        yield from ((moment, length) for length in sorted(places))
