"""PodTopologySpread: how evenly pods lie over domains.

kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints. skew = pods in the
domain - the least pods in any eligible domain (KEP-895; minDomains KEP-3022, inclusion policies
KEP-3094, matchLabelKeys KEP-3243).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

from longshore.core.objects.kinds import Doc

from .cluster import Cluster, Judge, Scores, is_leaving, labels_of, name_of, namespace_of
from .matching import is_empty, node_is_asked_for, selects
from .profile import SYSTEM_CONSTRAINTS, Profile
from .taint_toleration import repels

MISSING = "node(s) didn't match pod topology spread constraints (missing required label)"
UNEVEN = "node(s) didn't match pod topology spread constraints"
HOST = "kubernetes.io/hostname"

Counts = Callable[[Doc], bool]
"""Whether a pod counts."""


def judge(cluster: Cluster, pod: Doc, profile: Profile) -> Judge:
    hard = constraints(pod, profile, "DoNotSchedule")
    domains = [
        _pods_by_domain(cluster, pod, one, list(cluster.nodes.values()), hard) for one in hard
    ]

    def why(node: Doc) -> list[str]:
        for one, found in zip(hard, domains, strict=True):
            domain = labels_of(node).get(one["topologyKey"])
            if domain is None:
                return [MISSING]
            least = min(found.values(), default=0)
            if len(found) < (one.get("minDomains") or 1):
                least = 0
            if found.get(domain, 0) + _counts_itself(pod, one) - least > one["maxSkew"]:
                return [UNEVEN]
        return []

    return why


def score(cluster: Cluster, pod: Doc, among: list[Doc], profile: Profile) -> Scores | None:
    """The less crowded a node's domains the better; a node without them scores nothing."""
    if not constraints(pod, profile, "ScheduleAnyway"):
        return None
    return {name_of(node): 0.0 for node in among} | _reversed(
        crowding(cluster, pod, among, profile)
    )


def crowding(cluster: Cluster, pod: Doc, among: list[Doc], profile: Profile) -> Scores:
    """The pods in each node's domains. A domain's count weighs by the logarithm of how many domains
    there are, so that a few great ones are not watered down by many small ones. Nodes without the
    labels are not told of."""
    soft = constraints(pod, profile, "ScheduleAnyway")
    needed = [] if _is_system_default(pod, profile) else soft
    told = [node for node in among if _has_keys(node, needed)]
    sums = {name_of(node): 0.0 for node in told}
    for one in soft:
        key = one["topologyKey"]
        domains = {name_of(n) if key == HOST else _label(n, key) for n in told}
        weight = math.log(len(domains) + 2)
        found = _pods_by_domain(cluster, pod, one, list(cluster.nodes.values()), needed)
        for node in told:
            if key in labels_of(node):
                pods = (
                    _on_node(cluster, pod, one, node) if key == HOST else found[_label(node, key)]
                )
                sums[name_of(node)] += pods * weight + one["maxSkew"] - 1
    return sums


def _reversed(bad: dict[str, float]) -> Scores:
    if not bad:
        return {}
    most, least = max(bad.values()), min(bad.values())
    return {
        name: 100.0 * (most + least - value) / most if most else 100.0
        for name, value in bad.items()
    }


def constraints(pod: Doc, profile: Profile, action: str) -> list[Doc]:
    own = pod["spec"].get("topologySpreadConstraints")
    if own:
        return [one for one in own if one["whenUnsatisfiable"] == action]
    if not controller(pod):
        return []
    defaults = SYSTEM_CONSTRAINTS if profile.constraints is None else profile.constraints
    return [one for one in defaults if one["whenUnsatisfiable"] == action]


def _is_system_default(pod: Doc, profile: Profile) -> bool:
    return not pod["spec"].get("topologySpreadConstraints") and profile.constraints is None


def controller(pod: Doc) -> str:
    """Its controller's uid: for default constraints, the pods of one controller are alike."""
    for owner in pod["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner["uid"])
    return ""


def _pods_by_domain(
    cluster: Cluster, pod: Doc, one: Doc, nodes: list[Doc], needed: list[Doc]
) -> Counter[str]:
    """Pods that count in each domain, over the nodes that are eligible; one without pods is 0."""
    found: Counter[str] = Counter()
    for node in nodes:
        if _has_keys(node, needed) and _is_eligible(node, pod, one):
            found[_label(node, one["topologyKey"])] += _on_node(cluster, pod, one, node)
    return found


def _on_node(cluster: Cluster, pod: Doc, one: Doc, node: Doc) -> int:
    counts = _counted_by(pod, one)
    return sum(
        namespace_of(other) == namespace_of(pod) and not is_leaving(other) and counts(other)
        for other in cluster.on(node)
    )


def _counted_by(pod: Doc, one: Doc) -> Counts:
    if not pod["spec"].get("topologySpreadConstraints"):
        return lambda other: controller(other) == controller(pod)
    selector = _selector(pod, one)
    # Upstream counts nobody for a selector that selects everybody.
    return lambda other: not is_empty(selector) and selects(selector, labels_of(other))


def _counts_itself(pod: Doc, one: Doc) -> bool:
    if not pod["spec"].get("topologySpreadConstraints"):
        return True
    return selects(_selector(pod, one), labels_of(pod))


def _selector(pod: Doc, one: Doc) -> Doc | None:
    """With matchLabelKeys: and alike in those labels of the pod itself."""
    selector: Doc | None = one.get("labelSelector")
    keys = [key for key in one.get("matchLabelKeys") or () if key in labels_of(pod)]
    if not keys or selector is None:
        return selector
    alike = [{"key": key, "operator": "In", "values": [labels_of(pod)[key]]} for key in keys]
    return {**selector, "matchExpressions": [*(selector.get("matchExpressions") or ()), *alike]}


def _is_eligible(node: Doc, pod: Doc, one: Doc) -> bool:
    if one.get("nodeAffinityPolicy") != "Ignore" and not node_is_asked_for(pod, node):
        return False
    return one.get("nodeTaintsPolicy") != "Honor" or not repels(node, pod)


def _has_keys(node: Doc, needed: list[Doc]) -> bool:
    return all(one["topologyKey"] in labels_of(node) for one in needed)


def _label(node: Doc, key: str) -> str:
    return labels_of(node).get(key, "")
