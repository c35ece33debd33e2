"""Whether pods that wait for a node have to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from longshore.core.objects.kinds import Doc
from longshore.testing.simulator.checkers.placement import amount, is_over, requests
from longshore.testing.simulator.record import Record, Violation

_PODS, _NODES, _OFFERS = "/core/pods/", "/core/nodes/", "/scheduling.longshore.io/offers/"


def scheduled(record: Record) -> Iterator[Violation]:
    """In the end, no pod waits for a node while one has room for it, or would have without those
    who matter less."""
    there = record.objects()
    free = room(there)
    for key, pod in there.items():
        if not key.startswith(_PODS) or not waits(pod) or not _is_ours_alone(pod):
            continue
        if node := _fitting(pod, free):
            sentence = f"{key} has no node, though {node} has room for it"
            yield Violation("scheduled", sentence, (key, _NODES + node))
        elif priority(pod) and (node := _fitting(pod, room(there, priority(pod)))):
            sentence = f"{key} has no node, though less important pods are on {node}"
            yield Violation("scheduled", sentence, (key, _NODES + node))


def _is_ours_alone(pod: Doc) -> bool:
    """It waits for nothing but a node, and for nobody else to find it."""
    spec, labels = pod["spec"], pod["metadata"].get("labels") or {}
    waits_for_more = "schedulingGroup" in spec or "kueue.x-k8s.io/queue-name" in labels
    return spec.get("schedulerName") == "default-scheduler" and not waits_for_more


def priority(pod: Doc) -> int:
    return int(pod["spec"].get("priority") or 0)


def waits(pod: Doc) -> bool:
    """It needs a node and has none."""
    on_its_way_out = is_over(pod) or "deletionTimestamp" in pod["metadata"]
    return not pod["spec"].get("nodeName") and not on_its_way_out


def room(there: Mapping[str, Doc], among: int | None = None) -> dict[str, dict[str, Fraction]]:
    """What each node that takes pods has left; to those of a priority, who are above others."""
    free: dict[str, dict[str, Fraction]] = {}
    for key, doc in there.items():
        if key.startswith(_NODES) and not doc["spec"].get("unschedulable") and is_ready(doc):
            free[doc["metadata"]["name"]] = {
                name: amount(text) for name, text in doc["status"]["allocatable"].items()
            }
    for key, doc in there.items():
        if key.startswith(_OFFERS) and doc["spec"].get("nodeName"):
            free.pop(doc["spec"]["nodeName"], None)  # it was given all that was free
        left = free.get(doc["spec"].get("nodeName", "")) if key.startswith(_PODS) else None
        if left is None or is_over(doc):
            continue
        if among is None or priority(doc) >= among:
            for name, used in requests(doc).items():
                left[name] = left.get(name, Fraction(0)) - used
    return free


def is_ready(node: Doc) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _fitting(pod: Doc, free: Mapping[str, Mapping[str, Fraction]]) -> str:
    """The name of a node with room for the pod; "" if there is none."""
    asked, named = requests(pod), _named(pod)
    for name, left in free.items():
        wanted = named is None or name in named
        if wanted and all(left.get(what, 0) >= much for what, much in asked.items()):
            return name
    return ""


def _named(pod: Doc) -> list[str] | None:
    """The only nodes that a DaemonSet's pod may be on; None for other pods."""
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = required.get("nodeSelectorTerms")
    if not terms:
        return None
    return [name for term in terms for one in term["matchFields"] for name in one["values"]]
