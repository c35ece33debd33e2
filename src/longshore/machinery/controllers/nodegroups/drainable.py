"""What keeps a pod where it is when its node is to go. Pure.

Rules: cluster-autoscaler/simulator/drainability/rules, whose answers to "what types of pods can prevent
CA from removing a node?" are in its FAQ.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import Selector
from longshore.machinery.controllers.common.owners import controller, is_deleting
from longshore.machinery.controllers.common.pods import is_terminal

_PREFIX = "cluster-autoscaler.kubernetes.io/"
SAFE_TO_EVICT = f"{_PREFIX}safe-to-evict"
SAFE_VOLUMES = f"{_PREFIX}safe-to-evict-local-volumes"
MIRROR = "kubernetes.io/config.mirror"

# Upstream's names of reasons (utils/drain: BlockingPodReason).
NOT_REPLICATED = "NotReplicated"
LOCAL_STORAGE = "LocalStorageRequested"
NOT_SAFE = "NotSafeToEvictAnnotation"
SYSTEM_POD = "UnmovableKubeSystemPod"
NOT_ENOUGH_PDB = "NotEnoughPdb"


@dataclass(frozen=True, slots=True)
class Budget:
    """A PodDisruptionBudget: whom it is about, and how many may go now."""

    namespace: str
    selector: Selector
    allowed: int

    def covers(self, pod: Doc) -> bool:
        metadata = pod["metadata"]
        return metadata["namespace"] == self.namespace and self.selector.matches(
            metadata.get("labels")
        )


def is_mirror(pod: Doc) -> bool:
    """Whether a node made it of a file: it goes with the node."""
    return MIRROR in (pod["metadata"].get("annotations") or {})


def is_daemon(pod: Doc) -> bool:
    """Whether it is there because the node is."""
    owner = controller(pod)
    return owner is not None and owner["kind"] == "DaemonSet"


def must_move(pod: Doc) -> bool:
    """Whether somebody would miss it: it neither goes with the node, nor is over or on its way out."""
    return not (is_mirror(pod) or is_daemon(pod) or is_terminal(pod) or is_deleting(pod))


def local_storage(pod: Doc) -> list[str]:
    """Names of the volumes whose content ends with the pod's stay on its node (emptyDir in memory is
    no data, hostPath is)."""
    return [
        volume["name"]
        for volume in pod["spec"].get("volumes") or ()
        if "hostPath" in volume or ("emptyDir" in volume and not _in_memory(volume))
    ]


def hindrance(pod: Doc, budgets: Iterable[Budget]) -> str:
    """The reason for which a pod that must move may not be, by upstream's name; empty if it may."""
    notes = pod["metadata"].get("annotations") or {}
    if notes.get(SAFE_TO_EVICT) == "false":
        return NOT_SAFE
    covering = [one for one in budgets if one.covers(pod)]
    if notes.get(SAFE_TO_EVICT) != "true" and (why := _own_reason(pod, notes, bool(covering))):
        return why
    return NOT_ENOUGH_PDB if any(one.allowed < 1 for one in covering) else ""


def _own_reason(pod: Doc, notes: Doc, has_budget: bool) -> str:
    if controller(pod) is None:
        return NOT_REPLICATED
    if pod["metadata"]["namespace"] == "kube-system" and not has_budget:
        return SYSTEM_POD
    safe = {name.strip() for name in str(notes.get(SAFE_VOLUMES) or "").split(",")}
    return LOCAL_STORAGE if any(name not in safe for name in local_storage(pod)) else ""


def _in_memory(volume: Doc) -> bool:
    return (volume["emptyDir"] or {}).get("medium") == "Memory"
