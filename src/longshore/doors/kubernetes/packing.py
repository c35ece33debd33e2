"""Long lists as gzip, run by run of their objects. A run that was packed is kept, at a fraction of its
text, and found again while none of its objects changes: for Go's clients, which always ask for gzip,
a list is mostly copied.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from longshore.core.watch.stored import Stored
from longshore.doors.kit.compress import Joined, Packed, pack

# A run ends where its text has grown to the greater size, or to the smaller one where a run that
# is kept begins: so runs fall into step again behind an object that came, went or grew.
_RUN_BYTES, _SHORT_RUN_BYTES = 128 * 1024, 16 * 1024
# Runs that are kept: 128 MiB of text, as some 10 MiB.
_RUNS_MAX = 1024
_BETWEEN = b",{"


class _Run(NamedTuple):
    """revisions are its objects': each is of one state of one object in the whole cluster."""

    revisions: list[int]
    packed: Packed


class Packing:
    """Packs lists of stored objects, and keeps the runs packed last by their first revision."""

    def __init__(self, runs_max: int = _RUNS_MAX) -> None:
        self._runs_max = runs_max
        self._kept: OrderedDict[int, _Run] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def slices(self, head: bytes, items: Sequence[Stored], tail: bytes) -> Iterator[bytes]:
        """One gzip member of head, items (without the bracket before the first) and tail. What had
        to be packed ends a slice, and so does what would make it too long."""
        joined, between = Joined(), pack(_BETWEEN)
        revisions = [stored.revision for stored in items]
        held, at, room = [Joined.START, joined.of(pack(head))], 0, _RUN_BYTES
        while at < len(items):
            run = self._kept.get(revisions[at])
            known = run is not None and revisions[at : at + len(run.revisions)] == run.revisions
            if run is None or not known:
                run = self._packed(items, revisions, at)
            if at:
                held.append(joined.of(between))
            held.append(joined.of(run.packed))
            at += len(run.revisions)
            room -= len(run.packed.data)
            if not known or room <= 0:
                yield b"".join(held)
                held, room = [], _RUN_BYTES
        yield b"".join((*held, joined.of(pack(tail)), joined.end()))

    def _packed(self, items: Sequence[Stored], revisions: list[int], at: int) -> _Run:
        pieces: list[bytes] = []
        size, end = items[at].lay(pieces), at + 1
        while end < len(items) and size < _RUN_BYTES:
            if size >= _SHORT_RUN_BYTES and revisions[end] in self._kept:
                break
            pieces.append(_BETWEEN)
            size += items[end].lay(pieces)
            end += 1
        run = _Run(revisions[at:end], pack(b"".join(pieces)))
        self._kept[revisions[at]] = run
        if len(self._kept) > self._runs_max:
            self._kept.popitem(last=False)
        return run
