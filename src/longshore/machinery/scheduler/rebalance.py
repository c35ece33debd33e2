"""Which pods would be better off elsewhere, by the scheduler's own rules and scores. Pure.

A move is a pod that is taken away and placed anew, as the scheduler would place it now; it counts
by how many points of score it gains. No move breaks a rule, and no pod is moved twice. It is asked
for, never done by surprise: pods are placed well when they come, and moving costs a restart.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import count

import numpy as np

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.explain import feasible
from longshore.machinery.scheduler.picture import Picture, scheduler_of
from longshore.machinery.scheduler.pods.affinity import Role
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import PROFILES, Profile
from longshore.machinery.scheduler.rules.table import RULES, weight_of
from longshore.machinery.scheduler.view.columns import Mask, Scores
from longshore.machinery.scheduler.view.view import ClusterView

# Whose pods come again by themselves, and lose nothing but time.
_REPLACED_BY = ("ReplicaSet", "ReplicationController", "StatefulSet")
# Pods of these priorities keep a cluster going (schedulingv1.SystemCriticalPriority).
_CRITICAL = 2_000_000_000
# By which users say that a pod is not to be moved (cluster-autoscaler's FAQ, the descheduler's guide).
_STAY = {
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "descheduler.alpha.kubernetes.io/prefer-no-eviction": "true",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """moves: at most so many; gain: none for less than so many points of score (a rule of weight 1
    gives up to 100)."""

    moves: int = 20
    gain: float = 20.0


@dataclass(frozen=True, slots=True)
class Move:
    """A pod from one node to another, and the points that it gains."""

    uid: str
    namespace: str
    name: str
    source: str
    target: str
    gain: float


@dataclass(frozen=True, slots=True)
class Evenness:
    """How unlike nodes are: the standard deviation over nodes of the share of cpu and of memory that
    is requested, 0 to 1; and the share of the fullest node."""

    cpu: float
    memory: float
    fullest: float


@dataclass(frozen=True, slots=True)
class Rebalancing:
    """Moves in the order in which they are to be made, and what they make of the nodes."""

    moves: tuple[Move, ...]
    before: Evenness
    after: Evenness


def rebalance(
    picture: Picture,
    limits: Limits,
    namespaces: Collection[str] = (),
    profiles: Mapping[str, Profile] = PROFILES,
) -> Rebalancing:
    """The best moves there are, the most useful first, of pods in some namespaces (none: in all).
    The picture is as it was."""
    before = evenness(picture.view)
    moves = _chosen(picture, limits, namespaces, profiles)
    after = evenness(picture.view)
    for move in moves:
        _put(picture, move.uid, move.source)
    return Rebalancing(tuple(moves), before, after)


def evenness(view: ClusterView) -> Evenness:
    """Of all nodes that there are."""
    columns = [view.resources[name] for name in ("cpu", "memory")]
    cpu, memory = (view.used[at, view.alive] * view.parts[at, view.alive] for at in columns)
    if not len(cpu):
        return Evenness(0.0, 0.0, 0.0)
    return Evenness(float(cpu.std()), float(memory.std()), float(np.maximum(cpu, memory).max()))


def is_movable(pod: Doc) -> bool:
    """Whether somebody makes another one, and nobody minds."""
    metadata = pod["metadata"]
    if "deletionTimestamp" in metadata or int(pod["spec"].get("priority") or 0) >= _CRITICAL:
        return False
    notes = metadata.get("annotations") or {}
    if any(notes.get(key) == value for key, value in _STAY.items()):
        return False
    owners = metadata.get("ownerReferences") or ()
    return any(one.get("controller") and one["kind"] in _REPLACED_BY for one in owners)


def _chosen(
    picture: Picture, limits: Limits, namespaces: Collection[str], profiles: Mapping[str, Profile]
) -> list[Move]:
    """Take the move that gains most, as long as one gains enough. What a move gains changes with
    those before it: the one on top is looked at again before it is taken."""
    serial = count()
    heap = [
        (-move.gain, next(serial), move) for move in _first_looks(picture, namespaces, profiles)
    ]
    heapq.heapify(heap)
    moves: list[Move] = []
    while heap and len(moves) < limits.moves:
        stale = heapq.heappop(heap)[2]
        move = _best_move(picture, stale.uid, profiles)
        if move is None or move.gain < limits.gain:
            continue
        if heap and move.gain < -heap[0][0]:
            heapq.heappush(heap, (-move.gain, next(serial), move))
            continue
        _put(picture, move.uid, move.target)
        moves.append(move)
    return moves


def _first_looks(
    picture: Picture, namespaces: Collection[str], profiles: Mapping[str, Profile]
) -> Iterator[Move]:
    """A move of each movable pod that would gain something. Pods of a class on one node are alike:
    one of them is looked at."""
    seen: dict[tuple[str, PodClass], Move | None] = {}
    for uid, pod in picture.pods.items():
        metadata, node = pod["metadata"], pod["spec"]["nodeName"]
        if (namespaces and metadata["namespace"] not in namespaces) or not is_movable(pod):
            continue
        key = node, picture.class_of(pod)
        if key not in seen:
            seen[key] = _best_move(picture, uid, profiles)
        like = seen[key]
        if like is not None and like.gain > 0:
            names = metadata["namespace"], metadata["name"]
            yield Move(uid, *names, like.source, like.target, like.gain)


def _best_move(picture: Picture, uid: str, profiles: Mapping[str, Profile]) -> Move | None:
    """To where the pod would be placed now; None if it cannot be moved, would stay, or is another
    scheduler's."""
    view, pod = picture.view, picture.pods[uid]
    pod_class, source = picture.class_of(pod), view.node_of(uid)
    here, profile = view.rows.get(source), profiles.get(scheduler_of(pod))
    if here is None or profile is None or _is_needed(view, pod_class):
        return None
    view.drop_pod(uid)
    among = feasible(view, pod_class, profile)
    total = np.where(among, _totals(view, pod_class, among, profile), -np.inf)
    view.put_pod(uid, source, pod_class)
    best = int(total.argmax())
    if best == here or not among[best]:
        return None
    # Where rules would not let it back in, it is better off anywhere else.
    gain = float(total[best] - total[here]) if among[here] else float(total[best])
    metadata = pod["metadata"]
    return Move(uid, metadata["namespace"], metadata["name"], source, view.names[best], gain)


def _totals(view: ClusterView, pod_class: PodClass, among: Mask, profile: Profile) -> Scores:
    total = np.zeros(view.size)
    for rule in RULES:
        found = rule.score(view, pod_class, among, profile) if rule.score else None
        if found is not None:
            total = total + weight_of(rule, profile) * found
    return total


def _is_needed(view: ClusterView, pod_class: PodClass) -> bool:
    """Whether others require to be near such pods."""
    concerning = view.tallies.concerning(pod_class.kin)
    return any(term.role is Role.NEAR for term in concerning)


def _put(picture: Picture, uid: str, node: str) -> None:
    picture.view.put_pod(uid, node, picture.class_of(picture.pods[uid]))
