"""NodeUnschedulable and TaintToleration.

kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration: "start with all of a node's
taints, then ignore the ones for which the pod has a matching toleration"; what remains with
NoSchedule or NoExecute keeps the pod off, what remains with PreferNoSchedule is counted.
"""

from __future__ import annotations

from longshore.core.objects.kinds import Doc

from .cluster import Cluster, Judge, Scores, name_of
from .profile import Profile

REASON = "node(s) had untolerated taint(s)"
CORDONED = "node(s) were unschedulable"
CORDON = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def judge_cordon(cluster: Cluster, pod: Doc, profile: Profile) -> Judge:
    """A cordoned node counts as one with a taint of that name."""
    welcome = is_tolerated(CORDON, pod)
    return lambda node: [CORDONED] if node["spec"].get("unschedulable") and not welcome else []


def judge(cluster: Cluster, pod: Doc, profile: Profile) -> Judge:
    return lambda node: [REASON] if repels(node, pod) else []


def score(cluster: Cluster, pod: Doc, among: list[Doc], profile: Profile) -> Scores:
    """The fewer taints that would rather not, the better; all the same is all 100."""
    bad = {name_of(node): _discouraging(node, pod) for node in among}
    most = max(bad.values())
    return {name: 100.0 - 100.0 * count / most if most else 100.0 for name, count in bad.items()}


def repels(node: Doc, pod: Doc) -> bool:
    return any(
        taint["effect"] in ("NoSchedule", "NoExecute") and not is_tolerated(taint, pod)
        for taint in node["spec"].get("taints") or ()
    )


def _discouraging(node: Doc, pod: Doc) -> int:
    return sum(
        taint["effect"] == "PreferNoSchedule" and not is_tolerated(taint, pod)
        for taint in node["spec"].get("taints") or ()
    )


def is_tolerated(taint: Doc, pod: Doc) -> bool:
    return any(matches(one, taint) for one in pod["spec"].get("tolerations") or ())


def matches(toleration: Doc, taint: Doc) -> bool:
    """ "The keys are the same and the effects are the same, and the operator is Exists or the
    values are equal"; an empty key with Exists matches every taint, an empty effect every effect. With
    Gt and Lt the taint's value is greater or less than the toleration's, both being integers."""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    exists = toleration.get("operator") == "Exists"
    if not toleration.get("key"):
        return exists
    mine, its = toleration.get("value") or "", taint.get("value") or ""
    if toleration.get("operator") in ("Gt", "Lt"):
        if not (mine.lstrip("-").isdigit() and its.lstrip("-").isdigit()):
            return False
        holds = int(its) > int(mine) if toleration["operator"] == "Gt" else int(its) < int(mine)
    else:
        holds = mine == its
    return toleration["key"] == taint["key"] and (exists or holds)
