"""The table of all rules and nodes for a pod, nodes that are alike folded into one line. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.explain import feasible, verdicts
from longshore.machinery.scheduler.picture import Picture
from longshore.machinery.scheduler.profile import DEFAULT, Profile


@dataclass(frozen=True, slots=True)
class Objected:
    """A rule keeps the pod off a node."""

    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Scored:
    """A rule's score of a node, 0 to 100, and what it counts."""

    rule: str
    weight: float
    score: float


@dataclass(frozen=True, slots=True)
class Judged:
    """A node: what keeps the pod off it, or how it scores. total is the sum of the weighed scores
    (0 where it is kept off)."""

    node: str
    objections: tuple[Objected, ...]
    scores: tuple[Scored, ...] = ()

    @property
    def total(self) -> float:
        return sum(one.weight * one.score for one in self.scores)

    def as_dict(self) -> dict[str, Any]:
        return {
            "node": self.node,
            "fits": not self.objections,
            "objections": [{"rule": one.rule, "reason": one.reason} for one in self.objections],
            "scores": [
                {"rule": one.rule, "weight": one.weight, "score": round(one.score, 3)}
                for one in self.scores
            ],
            "total": round(self.total, 3),
        }


@dataclass(frozen=True, slots=True)
class Alike:
    """Nodes that all rules see alike; like is any of them."""

    nodes: Sequence[str]
    like: Judged


def judged(picture: Picture, pod: Doc, profile: Profile = DEFAULT) -> list[Judged]:
    """How every node is seen for a pod, as if it were placed now: the best first, then those that
    it is kept off. The picture is as it was."""
    view, pod_class = picture.view, picture.class_of(pod)
    uid = pod["metadata"]["uid"]
    held = uid in picture.pods
    if held:
        view.drop_pod(uid)
    fits = feasible(view, pod_class, profile)
    rules = verdicts(view, pod_class, profile)
    found = []
    for name, row in view.rows.items():
        objections = (Objected(one.rule, one.reasons[row]) for one in rules if one.reasons[row])
        scores = (
            Scored(one.rule, one.weight, float(one.scores[row]))
            for one in rules
            if fits[row] and one.scores is not None
        )
        found.append(Judged(name, tuple(objections), tuple(scores)))
    if held:
        view.put_pod(uid, pod["spec"]["nodeName"], pod_class)
    return sorted(found, key=lambda one: (bool(one.objections), -one.total, one.node))


def folded(nodes: Iterable[Judged]) -> list[Alike]:
    """In the order in which the first of each comes; scores are alike to the tenth."""
    groups: dict[tuple[Any, ...], list[Judged]] = {}
    for one in nodes:
        seen = tuple((s.rule, round(s.score, 1)) for s in one.scores)
        groups.setdefault((one.objections, seen), []).append(one)
    return [Alike([one.node for one in members], members[0]) for members in groups.values()]
