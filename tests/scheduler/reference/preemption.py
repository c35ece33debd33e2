"""Making room: which pods of lower priority have to go, and on which node.

kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption, and DefaultPreemption's
SelectVictimsOnNode and pickOneNodeForPreemption for what the page leaves open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from longshore.core.objects.kinds import Doc

from .cluster import Cluster, labels_of, name_of, namespace_of
from .matching import is_empty, selects
from .profile import DEFAULT, Profile
from .scheduler import objections

# Added to each priority before they are summed, so that one more victim is never a gain.
ABOVE_ALL_NEGATIVE = 2**31


@dataclass(frozen=True)
class Choice:
    """Who has to go from a node, by name, the most important first; and how many of them although
    their disruption budget has nothing left."""

    victims: tuple[str, ...]
    violations: int


def best(
    cluster: Cluster, pod: Doc, budgets: Sequence[Doc] = (), profile: Profile = DEFAULT
) -> dict[str, Choice]:
    """The nodes where making room costs least; none: it would not help anywhere."""
    if pod["spec"].get("preemptionPolicy") == "Never":
        return {}
    found = {
        name: (choice, _cost(pods, choice))
        for name, node in cluster.nodes.items()
        if (pods := cluster.on(node))
        and (choice := victims_on(cluster, pod, node, budgets, profile))
    }
    least = min((cost for _, cost in found.values()), default=None)
    return {name: choice for name, (choice, cost) in found.items() if cost == least}


def victims_on(
    cluster: Cluster, pod: Doc, node: Doc, budgets: Sequence[Doc], profile: Profile
) -> Choice | None:
    """All pods of lower priority are taken away; if the pod fits then, as many as possible are
    brought back, first those whose budget would be violated, each time the most important first."""
    lower = [one for one in cluster.on(node) if priority(one) < priority(pod)]
    left = [one for one in cluster.on(node) if one not in lower]
    if not lower or not _fits(cluster, pod, node, left, profile):
        return None
    ranked = sorted(lower, key=_importance)
    violating = _over_budget(ranked, budgets)
    victims = []
    for one in [*violating, *(one for one in ranked if one not in violating)]:
        if _fits(cluster, pod, node, [*left, one], profile):
            left.append(one)
        else:
            victims.append(one)
    names = tuple(name_of(one) for one in ranked if one in victims)
    return Choice(names, sum(one in violating for one in victims))


def priority(pod: Doc) -> int:
    return int(pod["spec"].get("priority") or 0)


def _importance(pod: Doc) -> tuple[int, str]:
    """A higher priority, then an earlier start."""
    return -priority(pod), _start(pod)


def _start(pod: Doc) -> str:
    return str(pod["status"].get("startTime") or "9999")


def _fits(cluster: Cluster, pod: Doc, node: Doc, left: list[Doc], profile: Profile) -> bool:
    """Whether the pod could go to the node if only these pods were on it."""
    name = name_of(node)
    without = Cluster(cluster.nodes, {**cluster.pods, name: left}, cluster.namespaces)
    return not objections(without, pod, profile)[name]


def _over_budget(ranked: list[Doc], budgets: Sequence[Doc]) -> list[Doc]:
    """Whom a budget covers that has no disruption left when those before have taken theirs. A
    budget without a selector covers nobody."""
    allowed = [budget["status"].get("disruptionsAllowed") or 0 for budget in budgets]
    found = []
    for pod in ranked:
        for number, budget in enumerate(budgets):
            if _covers(budget, pod):
                allowed[number] -= 1
        if any(allowed[i] < 0 and _covers(budget, pod) for i, budget in enumerate(budgets)):
            found.append(pod)
    return found


def _covers(budget: Doc, pod: Doc) -> bool:
    selector = budget["spec"].get("selector")
    return (
        namespace_of(budget) == namespace_of(pod)
        and not is_empty(selector)
        and selects(selector, labels_of(pod))
        and name_of(pod) not in (budget["status"].get("disruptedPods") or {})
    )


def _cost(pods: list[Doc], choice: Choice) -> tuple[int, int, int, int, list[int]]:
    """The fewest violated budgets; then the lowest priority of the most important victim, the lowest
    sum of priorities, the fewest victims, and the latest start of the most important ones."""
    victims = [one for one in pods if name_of(one) in choice.victims]
    highest = max((priority(one) for one in victims), default=0)
    earliest = min((_start(one) for one in victims if priority(one) == highest), default="")
    return (
        choice.violations,
        highest,
        sum(priority(one) + ABOVE_ALL_NEGATIVE for one in victims),
        len(victims),
        [-ord(letter) for letter in earliest],
    )
