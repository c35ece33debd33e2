"""What every node offers a pod's unbound claims: a volume that is there, or one that can be made.

Rules: FindPodVolumes and its parts in pkg/scheduler/framework/plugins/volumebinding/binder.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from longshore.core.objects.volumes import Volume
from longshore.machinery.scheduler.pods.volumes import Claimed
from longshore.machinery.scheduler.view.columns import Amounts, Mask, Scores
from longshore.machinery.scheduler.view.volumes import Claim, VolumeView

NONE = -1
# A volume that so few rows reach is given out row by row: quicker than in columns.
_FEW = 8


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """claims: those that are bound with the pod, the smallest first. chosen: for each of them, by
    row, the number of the volume in offered that it would get, or NONE. no_volume, no_space: rows
    that the pod cannot go to."""

    claims: tuple[Claim, ...]
    offered: tuple[Volume, ...]
    chosen: tuple[Amounts, ...]
    no_volume: Mask
    no_space: Mask


def waiting(volumes: VolumeView, claims: Sequence[Claimed]) -> tuple[Claim, ...]:
    """The claims of a pod that are not bound yet, the smallest first."""
    known = (volumes.claims[one.key] for one in claims)
    unbound = [one for one in known if not one.bound]
    return tuple(sorted(unbound, key=lambda one: (one.wanted.size, one.wanted.key)))


def options(
    volumes: VolumeView, size: int, names: Sequence[str], claims: tuple[Claim, ...]
) -> Options:
    """names: of the nodes, by row."""
    numbers: dict[str, int] = {}
    offered: list[Volume] = []
    chosen: list[Amounts] = []
    no_volume, no_space = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    for claim in claims:
        column = np.full(size, NONE, np.int64)
        if claim.node:
            no_volume |= np.array([name != claim.node for name in names], np.bool_)
        else:
            column = _given(volumes, claim, column, numbers, offered, chosen)
        chosen.append(column)
        unserved = column == NONE
        made = volumes.makeable(claim)
        no_volume |= unserved & ~made
        if (made & unserved).any() and (space := volumes.space(claim)) is not None:
            no_space |= unserved & made & ~space[0]
    return Options(claims, tuple(offered), tuple(chosen), no_volume, no_space & ~no_volume)


def _given(
    volumes: VolumeView,
    claim: Claim,
    column: Amounts,
    numbers: dict[str, int],
    offered: list[Volume],
    before: Sequence[Amounts],
) -> Amounts:
    """The column of a claim, filled with what suits it best and no other claim of the pod has."""
    held = volumes.catalogue.held_for(claim.wanted)
    suitable = volumes.catalogue.fitting(claim.wanted) if held is None else iter((held,))
    left = len(column)
    for one in suitable:
        number = numbers.setdefault(one.name, len(numbers))
        if number == len(offered):
            offered.append(one)
        left -= _give(volumes, one.name, number, column, before)
        if left <= 0:
            break
    return column


def _give(
    volumes: VolumeView, name: str, number: int, column: Amounts, before: Sequence[Amounts]
) -> int:
    """Let a volume be chosen by the rows that it reaches and that have none; how many there are."""
    reach = volumes.reach(name)
    if reach.members is not None and len(reach.members) <= _FEW:
        taken = 0
        for row in reach.members:
            if column[row] == NONE and all(other[row] != number for other in before):
                column[row] = number
                taken += 1
        return taken
    mask = np.zeros(len(column), np.bool_)
    mask[reach.rows] = True
    mask &= column == NONE
    for other in before:
        mask &= other != number
    column[mask] = number
    return int(mask.sum())


def emptiness(volumes: VolumeView, found: Options) -> Scores | None:
    """0 to 100, the emptier the better: how full the volumes that are there would be, or else the
    storage that new ones are made of (VolumeBinding's Score, default shape). None: nothing to say."""
    size = len(found.no_volume)
    asked: dict[str, Scores] = {}
    there: dict[str, Scores] = {}
    static = np.zeros(size, np.bool_)
    for column in found.chosen:
        static |= column != NONE
    for claim, column in zip(found.claims, found.chosen, strict=True):
        capacity = _capacity(volumes, claim, column, found.offered, static)
        if capacity is None:
            continue
        name = claim.wanted.grade[0]
        counts = np.where(column == NONE, ~static, True) & (capacity > 0)
        asked.setdefault(name, np.zeros(size))[counts] += claim.wanted.size
        total = there.setdefault(name, np.zeros(size))
        total[counts] = np.where(static, total + capacity, capacity)[counts]
    return _mean_emptiness(asked, there, size)


def _capacity(
    volumes: VolumeView, claim: Claim, column: Amounts, offered: Sequence[Volume], static: Mask
) -> Scores | None:
    """By row the size of the volume chosen, or of the storage that one can be made of."""
    capacity = np.zeros(len(column))
    if offered:
        sizes = np.array([one.size for one in offered], np.float64)
        capacity = np.where(column == NONE, 0.0, sizes[column])
    klass = volumes.classes.get(claim.wanted.grade[0])
    if klass is not None and klass.provisions and not static.all():
        space = volumes.space(claim)
        if space is not None:
            capacity = np.where(column == NONE, space[1], capacity)
    return capacity if capacity.any() else None


def _mean_emptiness(asked: dict[str, Scores], there: dict[str, Scores], size: int) -> Scores | None:
    if not there:
        return None
    total, classes = np.zeros(size), np.zeros(size)
    for name, capacity in there.items():
        has = capacity > 0
        full = np.minimum(asked[name][has] / capacity[has], 1.0)
        total[has] += 100.0 * (1.0 - full)
        classes[has] += 1
    mean: Scores = total / np.maximum(classes, 1)
    return mean
