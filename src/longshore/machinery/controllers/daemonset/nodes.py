"""Which nodes a DaemonSet means. Pure.

Rules: NodeShouldRunDaemonPod of upstream's pkg/controller/daemon. Room and host ports do not count:
the scheduler judges those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import Requirement, node_requirement
from longshore.core.objects.taints import tolerates

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_NODE = "node.kubernetes.io/"
# What a daemon's pods put up with: that their node is ill or closed (AddOrUpdateDaemonPodTolerations).
_TOLERATED = (
    ("not-ready", "NoExecute"),
    ("unreachable", "NoExecute"),
    ("disk-pressure", "NoSchedule"),
    ("memory-pressure", "NoSchedule"),
    ("pid-pressure", "NoSchedule"),
    ("unschedulable", "NoSchedule"),
)
_TOLERATED_ON_HOST_NETWORK = ("network-unavailable", "NoSchedule")

Term: TypeAlias = tuple[tuple[Requirement, ...], tuple[Requirement, ...]]
"""What is asked of a node's labels, and of its fields."""


@dataclass(frozen=True, slots=True)
class Meant:
    """The nodes that a pod template means. name: the only one, if not empty; terms: one of them must
    hold, if there are any at all (None: nothing is asked)."""

    name: str
    selector: Doc
    terms: tuple[Term, ...] | None
    tolerations: Sequence[Doc]


def tolerations(spec: Doc) -> list[Doc]:
    """A pod spec's, and those that all daemons have."""
    own = list(spec.get("tolerations") or ())
    more = [*_TOLERATED, *([_TOLERATED_ON_HOST_NETWORK] if spec.get("hostNetwork") else [])]
    for name, effect in more:
        usual = {"key": _NODE + name, "operator": "Exists", "effect": effect}
        if usual not in own:
            own.append(usual)
    return own


def meant_by(spec: Doc) -> Meant:
    """Of a pod template's spec."""
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get(REQUIRED)
    terms = None
    if required is not None:
        terms = tuple(_term(one) for one in required.get("nodeSelectorTerms") or ())
    name, selector = str(spec.get("nodeName") or ""), spec.get("nodeSelector") or {}
    return Meant(name, selector, terms, tolerations(spec))


class Verdict(NamedTuple):
    """Whether a pod is to be made on a node, and whether one that runs there may go on."""

    runs: bool
    goes_on: bool


def should_run(meant: Meant, node: Doc) -> Verdict:
    name, labels = node["metadata"]["name"], node["metadata"].get("labels") or {}
    if meant.name not in ("", name) or not _is_selected(meant, name, labels):
        return Verdict(False, False)
    bad = {
        taint["effect"]
        for taint in node["spec"].get("taints") or ()
        if not any(tolerates(one, taint) for one in meant.tolerations)
    }
    return Verdict(not bad & {"NoSchedule", "NoExecute"}, "NoExecute" not in bad)


def _is_selected(meant: Meant, name: str, labels: Doc) -> bool:
    if not meant.selector.items() <= labels.items():
        return False
    fields = {"metadata.name": name}
    return meant.terms is None or any(
        all(one.matches(labels) for one in by_labels)
        and all(one.matches(fields) for one in by_fields)
        for by_labels, by_fields in meant.terms
        if by_labels or by_fields  # a term that asks for nothing means no node
    )


def _term(term: Doc) -> Term:
    return (
        tuple(map(node_requirement, term.get("matchExpressions") or ())),
        tuple(map(node_requirement, term.get("matchFields") or ())),
    )
