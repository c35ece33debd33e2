"""A gang is placed whole or not at all. Pure.

It is tried on the view itself: class after class takes its nodes, so that each sees the ones before.
If fewer than must run together find one, all is taken back, so no gang ever holds half of its nodes
while it waits, and no two wait for one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.pool import Pending
from longshore.machinery.scheduler.view.view import ClusterView

Place: TypeAlias = Callable[[PodClass, int], Sequence[int]]
"""Rows for up to so many pods of a class, which the view does not have yet."""
Explain: TypeAlias = Callable[[PodClass], str]
"""Why no node takes one more pod of a class."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """placed: pods with their rows, noted in the view; empty if the gang does not fit. left: pods
    without one, which are all if it does not. why: what speaks against those that are left."""

    placed: list[tuple[Pending, int]]
    left: list[Pending]
    why: str


def place_gang(
    view: ClusterView, pods: Iterable[Pending], needed: int, place: Place, explain: Explain
) -> Outcome:
    """Give nodes to as many of the pods as there is room for, if those are at least needed."""
    members = list(pods)
    placed, left = _place_all(view, members, place)
    why = explain(left[0].pod_class) if left else ""
    if len(placed) >= needed:
        return Outcome(placed, left, why)
    for pod, _ in placed:
        view.drop_pod(pod.uid)
    told = f"pod group is unschedulable: {len(placed)} of {len(members)} pods fit, {needed} have to"
    return Outcome([], members, f"{told}. For the others: {why} Pod groups do not preempt.")


def _place_all(
    view: ClusterView, pods: Sequence[Pending], place: Place
) -> tuple[list[tuple[Pending, int]], list[Pending]]:
    placed: list[tuple[Pending, int]] = []
    left: list[Pending] = []
    for pod_class, alike in _by_class(pods).items():
        rows = place(pod_class, len(alike))
        view.put_pods([pod.uid for pod in alike[: len(rows)]], rows, pod_class)
        placed += zip(alike, rows, strict=False)
        left += alike[len(rows) :]
    return placed, left


def _by_class(pods: Sequence[Pending]) -> dict[PodClass, list[Pending]]:
    """The largest first: what is hardest to place finds the most room. Ties as they came."""
    found: dict[PodClass, list[Pending]] = {}
    for pod in sorted(pods, key=lambda pod: pod.order):
        found.setdefault(pod.pod_class, []).append(pod)
    return {one: found[one] for one in sorted(found, key=_size, reverse=True)}


def _size(one: PodClass) -> tuple[int, int]:
    return one.requests.get("cpu", 0), one.requests.get("memory", 0)
