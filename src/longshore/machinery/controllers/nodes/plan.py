"""Decide what a node's silence means: its conditions, its taints, and which pods must leave it.

Pure. Rules: upstream's pkg/controller/nodelifecycle and tainteviction. One more than upstream: pods
that were told to leave a silent node are removed after a while without its agent's word (see
NodeRules.removal_s), since there is nobody left to say it. Not so those of StatefulSets: they may run
on, and their names must not be given to others until the node is back, deleted, or declared to be
out of service.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from longshore.base.clock import parse_rfc3339, rfc3339
from longshore.core.objects.kinds import Doc
from longshore.core.objects.taints import tolerates
from longshore.machinery.controllers.common import conditions as cond
from longshore.machinery.controllers.common import pods as pod_state
from longshore.machinery.controllers.common.owners import controller
from longshore.machinery.controllers.nodes.zones import Rates

UNREACHABLE = "node.kubernetes.io/unreachable"
NOT_READY = "node.kubernetes.io/not-ready"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
# Conditions that keep new pods away while they hold, and the taints that say so.
PRESSURES = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
_OURS = frozenset({UNREACHABLE, NOT_READY, UNSCHEDULABLE, *PRESSURES.values()})
# What a silent node is no longer believed about.
_DOUBTED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


@dataclass(frozen=True, slots=True)
class NodeRules:
    """grace_s: a node silent for so long is unreachable (upstream: 40 s, of late 50). removal_s:
    pods that should have left an unreachable node are removed so long after their time. rates: how
    fast nodes are told to let go of their pods."""

    grace_s: float = 40.0
    removal_s: float = 30.0
    rates: Rates = field(default_factory=Rates)


Eviction: TypeAlias = Literal["now", "later", "never"]
"""Whether a node that is not ready may be told to let go of its pods: later is not yet, and leaves one
that was told so as it is; never takes it back."""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """conditions and taints as they should be, or None if they are. silenced: it became
    unreachable or not ready just now, so its pods are not ready either. evicts: the taints are
    the first that tell it to let go of its pods."""

    conditions: list[Doc] | None
    taints: list[Doc] | None
    silenced: bool
    evicts: bool
    wake_after_s: float | None


def plan_node(
    node: Doc, heard_ago_s: float, now: float, rules: NodeRules, eviction: Eviction
) -> NodePlan:
    """heard_ago_s: seconds since its agent last gave a sign of life. now is in seconds since the epoch."""
    silent = heard_ago_s >= rules.grace_s
    before = (node.get("status") or {}).get("conditions") or []
    after = _doubted(node, before, now) if silent else before
    ready_before, ready = _ready(before), _ready(after)
    told = is_evicting(node)
    taints = _taints(node, after, now, evicting=eviction == "now" or (told and eviction == "later"))
    return NodePlan(
        conditions=after if after != before else None,
        taints=taints if taints != (node["spec"].get("taints") or []) else None,
        silenced=ready_before == "True" and ready != "True",
        evicts=not told and any(_drives_out(one) for one in taints),
        wake_after_s=None if silent else rules.grace_s - heard_ago_s,
    )


def is_evicting(node: Doc) -> bool:
    """Whether it has been told to let go of its pods because it is not ready."""
    return any(_drives_out(one) for one in node["spec"].get("taints") or ())


def is_to_evict(node: Doc) -> bool:
    """Whether it is to be told so and has not been. Nobody is sent away from a node that has yet to say
    its first word."""
    ready = _ready((node.get("status") or {}).get("conditions") or ())
    return ready not in ("", "True") and not is_evicting(node)


def _drives_out(taint: Doc) -> bool:
    return taint["effect"] == "NoExecute" and taint["key"] in (UNREACHABLE, NOT_READY)


def _ready(conditions: Sequence[Doc]) -> str:
    """The status of Ready; empty for a node that has only just been registered."""
    found = cond.find(conditions, "Ready")
    return str(found["status"]) if found is not None else ""


def _doubted(node: Doc, before: Sequence[Doc], now: float) -> list[Doc]:
    after = list(before)
    for type_ in _DOUBTED:
        known = cond.find(after, type_)
        if known is not None and known["status"] == "Unknown":
            continue
        after = [*cond.without(after, type_), _unknown(node, type_, known, now)]
    return after


def _unknown(node: Doc, type_: str, known: Doc | None, now: float) -> Doc:
    if known is None:
        reason, message = "NodeStatusNeverUpdated", "Kubelet never posted node status."
        heartbeat = node["metadata"]["creationTimestamp"]
    else:
        reason, message = "NodeStatusUnknown", "Kubelet stopped posting node status."
        heartbeat = known.get("lastHeartbeatTime", rfc3339(now))
    return {
        "type": type_,
        "status": "Unknown",
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": heartbeat,
        "lastTransitionTime": rfc3339(now),
    }


def _taints(node: Doc, conditions: Sequence[Doc], now: float, *, evicting: bool) -> list[Doc]:
    """The node's taints: others' as they are, ours as the conditions ask."""
    spec = node["spec"]
    before: list[Doc] = spec.get("taints") or []
    wanted: list[tuple[str, str]] = []
    ready = _ready(conditions)
    if ready != "True":
        key = UNREACHABLE if ready == "Unknown" else NOT_READY
        wanted.append((key, "NoSchedule"))
        if ready and evicting:
            wanted.append((key, "NoExecute"))
    for type_, key in PRESSURES.items():
        found = cond.find(conditions, type_)
        if found is not None and found["status"] == "True":
            wanted.append((key, "NoSchedule"))
    if spec.get("unschedulable"):
        wanted.append((UNSCHEDULABLE, "NoSchedule"))
    kept = [
        one for one in before if one["key"] not in _OURS or (one["key"], one["effect"]) in wanted
    ]
    there = {(one["key"], one["effect"]) for one in kept}
    return kept + [_taint(*pair, now) for pair in wanted if pair not in there]


def _taint(key: str, effect: str, now: float) -> Doc:
    return {"key": key, "effect": effect, "timeAdded": rfc3339(now)}


# --- pods ---


@dataclass(frozen=True, slots=True)
class PodsPlan:
    """evict: to be deleted in order; counted: to be evicted later, if nothing changes; remove: to be
    forgotten at once; unready: still marked ready though their node is not."""

    evict: tuple[Doc, ...]
    counted: tuple[Doc, ...]
    remove: tuple[Doc, ...]
    unready: tuple[Doc, ...]
    wake_after_s: float | None


def plan_pods(node: Doc, pods: Iterable[Doc], now: float, rules: NodeRules) -> PodsPlan:
    """node with the taints and conditions that it has; pods are all that are bound to it."""
    taints = [one for one in node["spec"].get("taints") or () if one["effect"] == "NoExecute"]
    ready = _ready((node.get("status") or {}).get("conditions") or ())
    is_off = ready != "True" and _is_out_of_service(node)
    evict: list[Doc] = []
    remove: list[Doc] = []
    counted: list[Doc] = []
    waits: list[float] = []
    here = [pod for pod in pods if not pod_state.is_terminal(pod)]
    for pod in here:
        leaving = "deletionTimestamp" in pod["metadata"]
        if leaving:
            due = now if is_off else _removal_due(pod, ready, rules)
        else:
            due = _eviction_due(pod, taints, now)
        if due is None:
            continue
        if due > now:
            waits.append(due - now)
            counted.extend(() if leaving else (pod,))
        else:
            (remove if leaving else evict).append(pod)
    unready = tuple(pod for pod in here if ready != "True" and pod_state.is_ready(pod))
    wake_after_s = min(waits, default=None)
    return PodsPlan(tuple(evict), tuple(counted), tuple(remove), unready, wake_after_s)


def _is_unique(pod: Doc) -> bool:
    """There may be one of its name only, wherever it runs."""
    owner = controller(pod)
    return owner is not None and owner["kind"] == "StatefulSet"


def _is_out_of_service(node: Doc) -> bool:
    """Somebody has seen to it that nothing runs there (KEP-2268)."""
    return any(one["key"] == OUT_OF_SERVICE for one in node["spec"].get("taints") or ())


def _removal_due(pod: Doc, ready: str, rules: NodeRules) -> float | None:
    """When a pod that was told to leave counts as gone without its agent's word; None: never.
    deletionTimestamp is when its grace ends."""
    if ready != "Unknown" or _is_unique(pod):
        return None
    return parse_rfc3339(pod["metadata"]["deletionTimestamp"]) + rules.removal_s


def _eviction_due(pod: Doc, taints: Sequence[Doc], now: float) -> float | None:
    """When a pod must leave: at once if it does not tolerate a taint, else when the shortest of
    its tolerations has run out; None if it may stay."""
    due: list[float] = []
    for taint in taints:
        covering = [one for one in pod["spec"].get("tolerations") or () if tolerates(one, taint)]
        if not covering:
            return now
        limits = [one["tolerationSeconds"] for one in covering if "tolerationSeconds" in one]
        if limits:
            added = taint.get("timeAdded")
            since = parse_rfc3339(added) if added else now
            due.append(since + max(0, min(limits)))
    return min(due, default=None)
