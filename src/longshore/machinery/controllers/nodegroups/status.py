"""The ConfigMap kube-system/cluster-autoscaler-status, in upstream's form since 1.30
(cluster-autoscaler/clusterstate/api/types.go). Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from longshore.base.clock import rfc3339
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.nodegroups.protocol import NodeGroup
from longshore.machinery.controllers.nodegroups.roll import Machine, State

NAMESPACE, NAME = "kube-system", "cluster-autoscaler-status"
UPDATED = "cluster-autoscaler.kubernetes.io/last-updated"
_PROBE, _SINCE = "lastProbeTime", "lastTransitionTime"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look came to. growing, failed, wanting: names of groups that nodes are coming for, that
    are in backoff, and that pods wait for; candidates: names of nodes that are not needed, with
    their groups."""

    groups: Sequence[NodeGroup]
    machines: Sequence[Machine]
    failed: frozenset[str]
    candidates: Mapping[str, str]


def counts(machines: Iterable[Machine]) -> dict[str, int]:
    """How many machines are how, by the words of upstream's metrics and status."""
    found = Counter(_word(one) for one in machines)
    words = ("ready", "unready", "notStarted", "unregistered", "beingDeleted")
    return {word: found[word] for word in words}


def described(seen: Seen, before: Doc, now: float) -> Doc:
    """The status; before is the one until now (empty if there is none), whose transition times
    live on."""
    at = rfc3339(now)
    old_groups = {one["name"]: one for one in before.get("nodeGroups") or ()}
    return {
        "time": at,
        "autoscalerStatus": "Running",
        "clusterWide": _part(
            seen, seen.machines, [*seen.candidates], before.get("clusterWide") or {}, at
        ),
        "nodeGroups": [
            _group(seen, group, old_groups.get(group.name, {}), at) for group in seen.groups
        ],
    }


def same(one: Doc, other: Doc) -> bool:
    """Whether two say the same, at whatever time they were written."""
    return bool(_timeless(one) == _timeless(other))


def config_map(status: Doc, write: Callable[[Doc], str]) -> Doc:
    """write makes YAML of it."""
    return {
        "metadata": {
            "namespace": NAMESPACE,
            "name": NAME,
            "annotations": {UPDATED: status["time"]},
        },
        "data": {"status": write(status)},
    }


def _group(seen: Seen, group: NodeGroup, before: Doc, at: str) -> Doc:
    machines = [one for one in seen.machines if one.group == group.name]
    candidates = [name for name, of in seen.candidates.items() if of == group.name]
    part = _part(seen, machines, candidates, before, at)
    health = part["health"]
    health |= {
        "cloudProviderTarget": group.size,
        "minSize": group.min_size,
        "maxSize": group.max_size,
    }
    if group.name in seen.failed:
        part["scaleUp"] = _condition("Backoff", before.get("scaleUp"), at)
    return {"name": group.name, **part}


def _part(
    seen: Seen, machines: Sequence[Machine], candidates: Sequence[str], before: Doc, at: str
) -> Doc:
    number = counts(machines)
    coming = number["notStarted"] + number["unregistered"]
    scale_down = _condition(
        "CandidatesPresent" if candidates else "NoCandidates", before.get("scaleDown"), at
    )
    if candidates:
        scale_down["candidates"] = len(candidates)
    return {
        "health": _condition("Healthy", before.get("health"), at) | {"nodeCounts": _told(number)},
        "scaleUp": _condition("InProgress" if coming else "NoActivity", before.get("scaleUp"), at),
        "scaleDown": scale_down,
    }


def _told(number: Mapping[str, int]) -> Doc:
    registered = sum(number.values()) - number["unregistered"]
    return {
        "registered": {
            "total": registered,
            "ready": number["ready"],
            "notStarted": number["notStarted"],
            "beingDeleted": number["beingDeleted"],
            "unready": {"total": number["unready"], "resourceUnready": 0},
        },
        "longUnregistered": 0,
        "unregistered": number["unregistered"],
    }


def _condition(status: str, before: Doc | None, at: str) -> Doc:
    held = before is not None and before.get("status") == status
    since = before[_SINCE] if held and before is not None else at
    return {"status": status, _PROBE: at, _SINCE: since}


def _word(machine: Machine) -> str:
    if machine.state is State.LEAVING:
        return "beingDeleted"
    if machine.node is None:
        return "unregistered"
    return {State.READY: "ready", State.UNREADY: "unready"}.get(machine.state, "notStarted")


def _timeless(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _timeless(one) for key, one in value.items() if key not in (_PROBE, _SINCE, "time")
        }
    return [_timeless(one) for one in value] if isinstance(value, list) else value
