"""Which pods a node takes while it is short of something. Pure. Source: pkg/kubelet/eviction, Admit."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc
from longshore.core.objects.taints import tolerates
from longshore.machinery.kubelet.lifecycle.model import Verdict
from longshore.machinery.kubelet.lifecycle.qos import qos_class
from longshore.machinery.kubelet.resources.eviction.ranking import is_critical
from longshore.machinery.kubelet.resources.eviction.words import REASON

_TAINT = {"key": "node.kubernetes.io/memory-pressure", "effect": "NoSchedule"}


def under_pressure(pod: Doc, conditions: frozenset[str]) -> Verdict | None:
    """Why a pod that just came is not taken; conditions are those of the node that are True. Where
    memory alone is short, pods that ask for some are welcome, and those that tolerate it."""
    if not conditions or is_critical(pod):
        return None
    if conditions == {"MemoryPressure"} and (_asks(pod) or _tolerates(pod)):
        return None
    return Verdict(REASON, f"The node had condition: [{' '.join(sorted(conditions))}]. ")


def _asks(pod: Doc) -> bool:
    return qos_class(pod["spec"]) != "BestEffort"


def _tolerates(pod: Doc) -> bool:
    return any(tolerates(one, _TAINT) for one in pod["spec"].get("tolerations") or ())
