"""A gang is placed whole or not at all. Pure.

It is tried on the view itself: lot after lot takes its nodes, so that each sees the ones before. Then
all is taken back, and noted for good only if as many as must run together found a node. So no gang
ever holds half of its nodes while it waits, and no two wait for one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from longshore.machinery.scheduler.pool import Lot, Pending
from longshore.machinery.scheduler.view.view import ClusterView

Place: TypeAlias = Callable[[Lot, int], Sequence[int]]
"""Rows for up to so many pods of a lot; the view is as it was."""
Explain: TypeAlias = Callable[[Lot], str]
"""Why no node takes one more pod of a lot."""


class Placed(NamedTuple):
    """Pods of a lot, and the row of each."""

    lot: Lot
    pods: list[Pending]
    rows: list[int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """placed: empty if the gang does not fit. left: pods without a node, which are all if it does
    not. why: what speaks against those that are left."""

    placed: list[Placed]
    left: list[Pending]
    why: str


def place_gang(
    view: ClusterView,
    pods: Iterable[Pending],
    needed: int,
    places: Sequence[Place],
    explain: Explain,
) -> Outcome:
    """Nodes for as many of the pods as there is room for, if those are at least needed. The places of
    all pods are asked of the first one before the next one is. The view is as it was."""
    members = list(pods)
    placed = list[Placed]()
    try:
        for one in _held(view, members, places):
            placed.append(one)
        having = {pod.uid for one in placed for pod in one.pods}
        left = [pod for pod in members if pod.uid not in having]
        why = explain(left[0].lot) if left else ""
    finally:
        for one in placed:
            view.hold_all(one.rows, one.lot[1], -1)
    if len(having) >= needed:
        return Outcome([one for one in placed if one.pods], left, why)
    told = f"pod group is unschedulable: {len(having)} of {len(members)} pods fit, {needed} have to"
    return Outcome([], members, f"{told}. For the others: {why}")


def _held(view: ClusterView, pods: Sequence[Pending], places: Sequence[Place]) -> Iterator[Placed]:
    """What is placed is held in the view. What changes where the next can be is placed alone."""
    left = by_lot(pods)
    for place in places:
        for lot, alike in left.items():
            while alike and (rows := list(place(lot, 1 if lot[1].singly else len(alike)))):
                view.hold_all(rows, lot[1], 1)
                yield Placed(lot, alike[: len(rows)], rows)
                alike = left[lot] = alike[len(rows) :]


def by_lot(pods: Sequence[Pending]) -> dict[Lot, list[Pending]]:
    """The largest first: what is hardest to place finds the most room. Ties as they came."""
    found: dict[Lot, list[Pending]] = {}
    for pod in sorted(pods, key=lambda pod: pod.order):
        found.setdefault(pod.lot, []).append(pod)
    return {lot: found[lot] for lot in sorted(found, key=_size, reverse=True)}


def _size(lot: Lot) -> tuple[int, int]:
    return lot[1].requests.get("cpu", 0), lot[1].requests.get("memory", 0)
