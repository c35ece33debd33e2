"""Find the nodes where making room for pods of one class costs least. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.preemption.budgets import Budgets
from longshore.machinery.scheduler.preemption.columns import Column, Scene, columns, helped
from longshore.machinery.scheduler.preemption.victims import (
    Removable,
    by_importance,
    costs,
    over_budget,
    victims,
)  # fmt: skip
from longshore.machinery.scheduler.profile import DEFAULT, Profile
from longshore.machinery.scheduler.view.columns import Amounts, Mask, Rows

# Nodes that are weighed at a time: of a large cluster a part, as upstream takes a tenth of it
# (minCandidateNodesPercentage), or as many as there are preemptors.
WEIGHED_MAX = 1000
# Up to this many preemptors each has a choice of its own; of more, so many at a time share one,
# and all for whom it makes no difference.
ALONE_MAX, TOGETHER = 16, 64


@dataclass(frozen=True, slots=True)
class Asked:
    """Who needs room: so many pods of a class and a priority. rotation: where ties begin."""

    pod_class: PodClass
    priority: int
    count: int
    rotation: int
    profile: Profile = DEFAULT


@dataclass(frozen=True, slots=True)
class Making:
    """Room for one pod: the row it is made on, and the slots of who has to go (perhaps nobody,
    where others are leaving anyhow)."""

    row: int
    victims: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """makings: for as many pods as could be told at once. If there are none, of how many rows that
    were weighed how many stay short, for which reason, and how many have nobody that may go."""

    makings: tuple[Making, ...]
    weighed: int = 0
    hurdles: dict[str, int] = field(default_factory=dict)
    without_victims: int = 0


@dataclass(frozen=True, slots=True)
class _Field:
    """What is weighed: rows, columns, who may go, and what there is of each column by row beyond
    what is needed once they are all gone."""

    rows: Rows
    needed: list[Column]
    pods: Removable
    left: Amounts


def search(scene: Scene, asked: Asked, budgets: Budgets) -> Found:
    """Room for some of the pods. Whoever asks notes it in the scene, and asks again for the rest."""
    needed = columns(scene, asked.pod_class, asked.profile)
    if needed is None:
        return Found(())
    rows = np.flatnonzero(helped(scene.view, asked.pod_class, asked.profile))
    for some in _shortlists(rows, asked):
        here = _field(scene, asked, needed, some)
        makings = _cheapest(scene, asked, budgets, here)
        if makings:
            return Found(makings)
    with_pods = np.bincount(here.pods.at, minlength=len(here.rows)) > 0
    hurdles = _hurdles(needed, here.left[:, with_pods])
    return Found((), len(here.rows), hurdles, int((~with_pods).sum()))


def _shortlists(rows: Rows, asked: Asked) -> Iterator[Rows]:
    """Rows to weigh: some first, and if they do not do, all."""
    most = max(WEIGHED_MAX, asked.count)
    if len(rows) > most:
        yield np.sort(np.roll(rows, -(asked.rotation % len(rows)))[:most])
    yield rows


def _field(scene: Scene, asked: Asked, needed: list[Column], rows: Rows) -> _Field:
    pods = _removable(scene, asked.priority, rows, needed)
    left = np.array([one.room[rows] for one in needed]).reshape(len(needed), len(rows))
    np.add.at(left.T, pods.at, pods.amounts.T)
    return _Field(rows, needed, pods, left)


def _removable(scene: Scene, priority: int, rows: Rows, needed: list[Column]) -> Removable:
    """Who may go: the pods of lower priority on some rows."""
    roster = scene.roster
    places = np.full(scene.view.size + 1, -1, np.intp)
    places[rows] = np.arange(len(rows))
    at = places[scene.at]
    slot = np.flatnonzero((roster.priority < priority) & (at >= 0))
    kind = roster.kind[slot]
    amounts = np.array([one.amounts[kind] for one in needed]).reshape(len(needed), len(slot))
    return Removable(
        slot, at[slot], roster.priority[slot], roster.start[slot], roster.free[slot], amounts
    )


def _cheapest(scene: Scene, asked: Asked, budgets: Budgets, here: _Field) -> tuple[Making, ...]:
    enough: Mask = np.all(here.left >= 0, axis=0)
    pods = here.pods.of(np.flatnonzero(enough[here.pods.at]))
    if not len(pods.slot):
        return ()
    pods = pods.of(by_importance(pods, None))
    guarded, violating = _guarded(scene, pods, budgets)
    if violating.any():
        order = by_importance(pods, violating)
        pods, guarded, violating = pods.of(order), guarded[order], violating[order]
    gone = victims(here.left, pods)
    found = costs(len(here.rows), pods, gone, violating)
    ranked = found.cheapest(np.unique(pods.at), asked.rotation)
    chosen = ranked[: _at_once(asked, here.needed, found.alike(ranked))]
    if (guarded & gone)[np.isin(pods.at, chosen)].any():
        # Each is to reckon with what the one before it takes from a budget.
        chosen = chosen[:1]
    return tuple(_makings(here.rows, pods, gone, chosen))


def _at_once(asked: Asked, needed: list[Column], alike: int) -> int:
    if any(one.wide for one in needed):
        return 1
    return min(asked.count, alike if asked.count <= ALONE_MAX else max(alike, TOGETHER))


def _guarded(scene: Scene, pods: Removable, budgets: Budgets) -> tuple[Mask, Mask]:
    """Of pods in the order of importance: who has a budget, and whose would be violated."""
    guarded, violating = np.zeros((2, len(pods.slot)), np.bool_)
    stay = np.flatnonzero(~pods.free)
    found = budgets.covering(scene.roster.classes, scene.roster.kind[pods.slot[stay]])
    if found is not None:
        which = stay[found.pod]
        guarded[which] = True
        violating[which[over_budget(pods.at[which], found.budget, found.allowed)]] = True
    return guarded, violating


def _makings(rows: Rows, pods: Removable, gone: Mask, chosen: Rows) -> Iterator[Making]:
    wanted = np.zeros(len(rows), np.bool_)
    wanted[chosen] = True
    by_place: dict[int, list[int]] = {place: [] for place in chosen.tolist()}
    mine = gone & wanted[pods.at]
    for place, slot in zip(pods.at[mine].tolist(), pods.slot[mine].tolist(), strict=True):
        by_place[place].append(slot)
    return (Making(int(rows[place]), tuple(slots)) for place, slots in by_place.items())


def _hurdles(needed: list[Column], left: Amounts) -> dict[str, int]:
    counts = (left < 0).sum(axis=1).tolist()
    found: dict[str, int] = {}
    for one, count in zip(needed, counts, strict=True):
        if count:
            found[one.reason] = found.get(one.reason, 0) + count
    return found
