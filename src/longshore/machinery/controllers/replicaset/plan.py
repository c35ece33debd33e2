"""Decide what a ReplicaSet needs: pods to make, pods to end, and what its status should say.

Pure. The rules are those of upstream's pkg/controller/replicaset; the order in which pods are ended
is controller.ActivePodsWithRanks.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from longshore.base.clock import parse_rfc3339
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common import pods as pod_state
from longshore.machinery.controllers.common.owners import is_deleting

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
# Pods made or ended in one turn; the next turn continues (upstream's BurstReplicas).
BURST = 500


@dataclass(frozen=True, slots=True)
class ReplicaPlan:
    """create is a number of pods; delete are documents; wake_after_s is when a ready pod will
    count as available, if one is waiting for that."""

    create: int
    delete: tuple[Doc, ...]
    status: Doc
    wake_after_s: float | None


def plan(
    replica_set: Doc, pods: Sequence[Doc], related: Callable[[], Iterable[Doc]], now: float
) -> ReplicaPlan:
    """pods are those that the set controls; related gives the pods of all sets of the same owner,
    asked for only when some but not all pods must go. now is in seconds since the epoch."""
    active = [pod for pod in pods if pod_state.is_active(pod)]
    want = int(replica_set["spec"].get("replicas", 1))
    status, wake = _status(replica_set, active, now)
    if is_deleting(replica_set) or len(active) == want:
        return ReplicaPlan(0, (), status, wake)
    if len(active) < want:
        return ReplicaPlan(min(want - len(active), BURST), (), status, wake)
    surplus = min(len(active) - want, BURST)
    if surplus < len(active):
        active = in_order_of_ending(active, related(), now)
    return ReplicaPlan(0, tuple(active[:surplus]), status, wake)


def says_nothing(replica_set: Doc, pods: Sequence[Doc]) -> bool:
    """Whether all that the status could say before the first pods come is that there are none."""
    status = replica_set.get("status") or {}
    return not (pods or status.get("replicas") or status.get("conditions"))


def in_order_of_ending(active: Sequence[Doc], related: Iterable[Doc], now: float) -> list[Doc]:
    """The pods whose loss is least first."""
    crowd = Counter(pod_state.node_name(pod) for pod in related if pod_state.is_active(pod))
    return sorted(active, key=lambda pod: _worth(pod, crowd, now))


def _worth(pod: Doc, crowd: Counter[str], now: float) -> tuple[object, ...]:
    """Compared in order: on a node, running, ready, cost, how crowded its node is, how long it
    has been ready, how seldom it restarted, how old it is. Ages count by powers of two, so that
    pods of about one age are ended evenly (LogarithmicScaleDown)."""
    node, since = pod_state.node_name(pod), pod_state.ready_since(pod)
    cost = (pod["metadata"].get("annotations") or {}).get(DELETION_COST, "0")
    created = parse_rfc3339(pod["metadata"]["creationTimestamp"])
    return (
        bool(node),
        {"Pending": 0, "Unknown": 1}.get(pod_state.phase(pod), 2),
        since is not None,
        int(cost) if cost.lstrip("-").isdigit() else 0,
        -crowd[node],
        0 if since is None else _age_rank(now - since),
        -pod_state.restarts(pod),
        _age_rank(now - created),
        pod["metadata"].get("uid", ""),
    )


def _age_rank(seconds: float) -> int:
    """Of nanoseconds, as upstream's, so that the same pods end."""
    return int(math.log2(seconds * 1e9)) if seconds > 0 else -1


def _status(replica_set: Doc, active: Sequence[Doc], now: float) -> tuple[Doc, float | None]:
    spec = replica_set["spec"]
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    waits = [pod_state.available_in_s(p, int(spec.get("minReadySeconds", 0)), now) for p in active]
    ready = [wait for wait in waits if wait is not None]
    labelled = sum(labels.items() <= (p["metadata"].get("labels") or {}).items() for p in active)
    counts = {
        "replicas": len(active),
        "fullyLabeledReplicas": labelled,
        "readyReplicas": len(ready),
        "availableReplicas": sum(wait == 0 for wait in ready),
        "observedGeneration": replica_set["metadata"].get("generation", 0),
    }
    # As Go leaves out what is zero: an unchanged status must compare equal. replicas always stands.
    status: Doc = {name: n for name, n in counts.items() if n or name == "replicas"}
    if conditions := (replica_set.get("status") or {}).get("conditions"):
        status["conditions"] = conditions
    return status, min((wait for wait in ready if wait > 0), default=None)


def failed(status: Doc, reason: str, message: str, now: str) -> Doc:
    """The status with a ReplicaFailure condition. reason: FailedCreate or FailedDelete. One that is
    there stays, as upstream's (replica_set_utils.go: SetCondition): messages name another pod at
    every try, and a set that hears of its own change would try again at once."""
    others = [c for c in status.get("conditions") or () if c["type"] != "ReplicaFailure"]
    before = [c for c in status.get("conditions") or () if c["type"] == "ReplicaFailure"]
    if before and before[0]["reason"] == reason:
        return status
    failure = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": now,
    }
    return {**status, "conditions": [*others, failure]}


def recovered(status: Doc) -> Doc:
    """The status without a ReplicaFailure condition."""
    left = [c for c in status.get("conditions") or () if c["type"] != "ReplicaFailure"]
    rest = {name: value for name, value in status.items() if name != "conditions"}
    return {**rest, "conditions": left} if left else rest


def pod_from(replica_set: Doc, owner: Doc) -> Doc:
    """A pod as the set's template says; owner is the set's controller reference. Parts are shared
    with the set's document, so that many pods cost little."""
    template, metadata = replica_set["spec"]["template"], replica_set["metadata"]
    made: Doc = {
        "generateName": f"{metadata['name']}-",
        "namespace": metadata["namespace"],
        "ownerReferences": [owner],
    }
    for field in ("labels", "annotations", "finalizers"):
        if value := (template.get("metadata") or {}).get(field):
            made[field] = value
    return {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": template["spec"]}
