"""Which node is offered to whom. Pure.

Schedulers that ask are served by dominant resource fairness (Ghodsi et al. 2011, as Mesos' allocator
does): always the one whose dominant share, of what it has in pods and offers, is the smallest. An
offer is all that is free on one node that nobody keeps pods off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from longshore.core.objects.kinds import Doc
from longshore.core.objects.offers import Amounts, offered
from longshore.core.objects.selectors import Requirement
from longshore.machinery.scheduler.view.columns import CPU, MEMORY, PODS, Mask
from longshore.machinery.scheduler.view.columns import Amounts as Columns
from longshore.machinery.scheduler.view.view import ClusterView

_KEEPS_OFF = ("NoSchedule", "NoExecute")


@dataclass(frozen=True, slots=True)
class Ask:
    """An offer without a node. least is what there must be, selector the labels of the node."""

    name: str
    uid: str
    scheduler: str
    least: Amounts
    selector: tuple[Requirement, ...]


@dataclass(frozen=True, slots=True)
class Grant:
    """What becomes of an ask: a node, and all that is free there."""

    ask: Ask
    node: str
    amounts: Amounts


def ask_of(offer: Doc) -> Ask:
    metadata, spec = offer["metadata"], offer["spec"]
    labels = spec.get("nodeSelector") or {}
    selector = tuple(Requirement(key, "in", (value,)) for key, value in labels.items())
    return Ask(metadata["name"], metadata["uid"], spec["schedulerName"], offered(offer), selector)


def dominant_share(used: Mapping[str, int], total: Mapping[str, int]) -> float:
    """The largest part that somebody has of any resource, of 0 to 1."""
    return max((value / total[name] for name, value in used.items() if total.get(name)), default=0)


def grants(
    view: ClusterView, asks: Iterable[Ask], used: Mapping[str, Mapping[str, int]]
) -> list[Grant]:
    """Who gets which node, of asks in the order in which they came; used is what each scheduler has.
    No node is in two grants; the view is as it was."""
    free, found = view.free.copy(), list[Grant]()
    total = {name: int(view.allocatable[column].sum()) for name, column in view.resources.items()}
    has = {name: Counter(amounts) for name, amounts in used.items()}
    waiting: dict[str, list[Ask]] = {}
    for ask in asks:
        waiting.setdefault(ask.scheduler, []).append(ask)
    while waiting:
        scheduler = min(waiting, key=lambda one: (_share(has, one, total), one))
        ask = waiting[scheduler].pop(0)
        if not waiting[scheduler]:
            del waiting[scheduler]
        row = _best(view, ask, free)
        if row is not None:
            amounts = _taken(view, free, row)
            has.setdefault(scheduler, Counter()).update(amounts)
            found.append(Grant(ask, view.names[row], amounts))
    return found


def _share(has: Mapping[str, Counter[str]], scheduler: str, total: Mapping[str, int]) -> float:
    return dominant_share(has.get(scheduler, Counter()), total)


def _best(view: ClusterView, ask: Ask, free: Columns) -> int | None:
    """The row with the largest part free, of those that have enough."""
    open_ = view.alive & ~view.cordoned & ~_kept_off(view) & view.matching(ask.selector)
    open_ &= (free[PODS] > 0) & ((free[CPU] > 0) | (free[MEMORY] > 0))
    for name, value in ask.least.items():
        column = view.resources.get(name)
        open_ &= False if column is None else free[column] >= value
    if not open_.any():
        return None
    has = np.maximum(view.allocatable[[CPU, MEMORY]], 1)
    parts = (free[[CPU, MEMORY]] / has).sum(axis=0)
    return int(np.argmax(np.where(open_, parts, -1.0)))


def _kept_off(view: ClusterView) -> Mask:
    sets = [any(one.effect in _KEEPS_OFF for one in taints) for taints in view.taint_sets]
    mask: Mask = np.array(sets, np.bool_)[view.taints]
    return mask


def _taken(view: ClusterView, free: Columns, row: int) -> dict[str, int]:
    """All that is free on a row; nothing is afterwards."""
    amounts = {name: int(free[column, row]) for name, column in view.resources.items()}
    free[:, row] = 0
    return {name: value for name, value in amounts.items() if value > 0}
