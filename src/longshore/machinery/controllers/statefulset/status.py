"""What a StatefulSet says of its pods. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common import pods as pod_state
from longshore.machinery.controllers.common.owners import is_deleting
from longshore.machinery.controllers.statefulset.identity import revision_of

# Counts that stand when they are zero too; Go leaves the others out.
_ALWAYS = ("replicas", "availableReplicas", "collisionCount")


def is_ready(pod: Doc) -> bool:
    return pod_state.phase(pod) == "Running" and pod_state.is_ready(pod)


def available_in_s(stateful: Doc, pod: Doc, now: float) -> float | None:
    """Seconds until the pod counts as available: 0 if it does, None if it is not ready."""
    wait_s = int(stateful["spec"].get("minReadySeconds", 0))
    return pod_state.available_in_s(pod, wait_s, now)


def is_available(stateful: Doc, pod: Doc, now: float) -> bool:
    return available_in_s(stateful, pod, now) == 0


def counts(
    stateful: Doc, pods: Sequence[Doc], current: str, update: str, collisions: int, now: float
) -> Doc:
    """The status. current and update are names of revisions; now is in seconds since the epoch."""
    ready = [pod for pod in pods if is_ready(pod)]
    staying = [revision_of(pod) for pod in pods if not is_deleting(pod)]
    numbers = {
        "observedGeneration": stateful["metadata"].get("generation", 0),
        "replicas": len(pods),
        "readyReplicas": len(ready),
        "currentReplicas": staying.count(current),
        "updatedReplicas": staying.count(update),
        "availableReplicas": sum(is_available(stateful, pod, now) for pod in ready),
        "collisionCount": collisions,
    }
    if _is_through(stateful, numbers):
        current, numbers["currentReplicas"] = update, numbers["updatedReplicas"]
    status: Doc = {name: n for name, n in numbers.items() if n or name in _ALWAYS}
    status |= {"currentRevision": current, "updateRevision": update}
    if conditions := (stateful.get("status") or {}).get("conditions"):
        status["conditions"] = conditions
    return status


def _is_through(stateful: Doc, numbers: dict[str, int]) -> bool:
    """A rolling update is over when all pods are of its revision and ready."""
    spec = stateful["spec"]
    rolling = (spec.get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"
    every = ("updatedReplicas", "readyReplicas", "replicas")
    return rolling and all(numbers[name] == spec.get("replicas", 1) for name in every)
