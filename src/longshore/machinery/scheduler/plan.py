"""Choose nodes for pods. Pure: a view, classes and a seed in, rows out; worker.py binds.

Few pods of a class, and those that batches cannot hold, are placed one after the other; many at once
by batch.py, what that leaves one after the other again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from longshore.machinery.scheduler import batch
from longshore.machinery.scheduler.bunches import bunched
from longshore.machinery.scheduler.exact import fits, one_by_one
from longshore.machinery.scheduler.explain import explain
from longshore.machinery.scheduler.memo import Memo
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import DEFAULT, Profile
from longshore.machinery.scheduler.rules import node_resources_fit
from longshore.machinery.scheduler.view.columns import Rows
from longshore.machinery.scheduler.view.view import ClusterView

# Up to this many pods of a class are placed one at a time (measured: beyond it batches win).
EXACT_MAX = 16


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of pods by uid: the node that each gets, or why no node takes it."""

    placements: Mapping[str, str]
    refusals: Mapping[str, str]


def plan(
    view: ClusterView, pods: Iterable[tuple[str, PodClass]], seed: int, profile: Profile = DEFAULT
) -> Decision:
    """Decide about pods (uid, class), class after class in the order in which they first appear;
    single pods that no rule tells apart are one class. The view is as it was; the same arguments give
    the same decision."""
    memo = Memo(profile)
    by_class: dict[PodClass, list[str]] = {}
    for uid, pod_class in pods:
        by_class.setdefault(pod_class, []).append(uid)
    placements: dict[str, str] = {}
    refusals: dict[str, str] = {}
    held: list[tuple[list[int], PodClass]] = []
    for likeness, members in bunched(view, by_class, profile):
        rows = place(view, likeness, len(members), memo, seed)
        for (_, uid), row in zip(members, rows, strict=False):
            placements[uid] = view.names[row]
        for pod_class, taken in _by_class(members, rows).items():
            view.hold_all(taken, pod_class, 1)
            held.append((taken, pod_class))
        if len(rows) < len(members):
            reason = explain(view, likeness, profile)
            refusals.update((uid, reason) for _, uid in members[len(rows) :])
    for rows, pod_class in held:
        view.hold_all(rows, pod_class, -1)
    return Decision(placements, refusals)


def _by_class(
    members: Sequence[tuple[PodClass, str]], rows: Sequence[int]
) -> dict[PodClass, list[int]]:
    found: dict[PodClass, list[int]] = {}
    for (pod_class, _), row in zip(members, rows, strict=False):
        found.setdefault(pod_class, []).append(row)
    return found


def place(
    view: ClusterView, pod_class: PodClass, count: int, memo: Memo, seed: int = 0
) -> list[int]:
    """Rows for up to count pods, one entry a pod; fewer if there is no more room. The view is as it
    was. Of rows that are equally good the seed decides."""
    if pod_class.refusal:
        return []
    if count <= EXACT_MAX or not batch.can_batch(view, pod_class, memo.profile):
        return one_by_one(view, pod_class, count, memo, seed)
    rows: list[int] = []
    if pod_class.affinity is not None and pod_class.affinity.near:
        # The first of a series decides where the others can be.
        rows = one_by_one(view, pod_class, 1, memo, seed)
    return _in_batches(view, pod_class, count, rows, memo, seed)


def _in_batches(
    view: ClusterView, pod_class: PodClass, count: int, rows: Sequence[int], memo: Memo, seed: int
) -> list[int]:
    """Some rows are taken; the rest in one batch, and what that leaves one by one."""
    view.hold_all(rows, pod_class, 1)
    found = batch.many(view, pod_class, count - len(rows), memo)
    view.hold_all(rows, pod_class, -1)
    found = [*rows, *found]
    if len(found) < count:
        view.hold_all(found, pod_class, 1)
        more = one_by_one(view, pod_class, count - len(found), memo, seed)
        view.hold_all(found, pod_class, -1)
        found += more
    return found


def room_on(view: ClusterView, pod_class: PodClass, rows: Rows, memo: Memo) -> int:
    """How many pods of a class would fit on some rows together, by resources."""
    if pod_class.refusal:
        return 0
    room = node_resources_fit.room(view, pod_class, memo.profile)
    return int((fits(view, pod_class, memo)[rows] * room[rows]).sum())
