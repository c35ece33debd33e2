"""Why no node takes a pod, in the words of kube-scheduler; and how every rule sees every node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import DEFAULT, Profile
from longshore.machinery.scheduler.rules.objection import Objection
from longshore.machinery.scheduler.rules.table import RULES, weight_of
from longshore.machinery.scheduler.view.columns import Mask, Scores
from longshore.machinery.scheduler.view.view import ClusterView

NO_NODES = "no nodes available to schedule pods"


def explain(view: ClusterView, pod_class: PodClass, profile: Profile = DEFAULT) -> str:
    """Why no node takes a pod of a class, in the words of kube-scheduler's FitError: each node
    counts for the first rule that objects, but for every resource that it is short of."""
    if pod_class.refusal:
        return pod_class.refusal
    total = int(view.alive.sum())
    if not total:
        return NO_NODES
    told: Counter[str] = Counter()
    for _, objection in objections(view, pod_class, profile):
        if objection.whole:
            return f"0/{total} nodes are available: {objection.reason}."
        told[objection.reason] += int(objection.rows.sum())
    reasons = ", ".join(sorted(f"{count} {reason}" for reason, count in told.items() if count))
    return f"0/{total} nodes are available: {reasons}."


def objections(
    view: ClusterView, pod_class: PodClass, profile: Profile = DEFAULT
) -> Iterator[tuple[str, Objection]]:
    """What rules object to, with their names, in the order in which they are asked. A row is asked
    about until the first rule that objects to it."""
    left = view.alive.copy()
    for rule in RULES:
        hit = np.zeros(view.size, np.bool_)
        for one in rule.filter(view, pod_class, profile) if rule.filter else ():
            yield rule.name, replace(one, rows=one.rows & left)
            hit |= one.rows
        left &= ~hit


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """One rule's answer, a row each: reasons of objections ("" if there is none), and its weighed
    score among the rows that no rule objects to, None if it has nothing to say."""

    rule: str
    reasons: list[str]
    weight: float
    scores: Scores | None


def verdicts(view: ClusterView, pod_class: PodClass, profile: Profile = DEFAULT) -> list[Verdict]:
    """The whole table for one pod: every rule about every row, also those that others ruled out."""
    among = feasible(view, pod_class, profile)
    found = []
    for rule in RULES:
        reasons = [""] * view.size
        for one in rule.filter(view, pod_class, profile) if rule.filter else ():
            for row in np.flatnonzero(one.rows & view.alive).tolist():
                reasons[row] = f"{reasons[row]}, {one.reason}" if reasons[row] else one.reason
        scores = rule.score(view, pod_class, among, profile) if rule.score else None
        found.append(Verdict(rule.name, reasons, weight_of(rule, profile), scores))
    return found


def feasible(view: ClusterView, pod_class: PodClass, profile: Profile = DEFAULT) -> Mask:
    """The rows to which no rule objects."""
    mask = view.alive.copy()
    for rule in RULES:
        for one in rule.filter(view, pod_class, profile) if rule.filter else ():
            mask &= ~one.rows
    return mask
