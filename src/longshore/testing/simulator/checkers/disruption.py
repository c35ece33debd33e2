"""Who had to go for others, and what disruption budgets say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from longshore.core.objects.kinds import Doc
from longshore.testing.simulator.record import Record, Violation

_PODS, _BUDGETS = "/core/pods/", "/policy/poddisruptionbudgets/"


def preempted(record: Record) -> Iterator[Violation]:
    """Whoever the scheduler removed from a node was less important than somebody for whom that node
    was kept by then."""
    kept: dict[str, int] = {}
    told: set[str] = set()
    for entry, doc in record.decoded():
        if doc is None or not entry.key.startswith(_PODS):
            continue
        priority, uid = _priority(doc), doc["metadata"]["uid"]
        node = (doc.get("status") or {}).get("nominatedNodeName")
        if node:
            kept[node] = max(priority, kept.get(node, priority))
        if uid not in told and _is_victim(doc):
            told.add(uid)
            node = doc["spec"].get("nodeName", "")
            if node not in kept or kept[node] <= priority:
                sentence = f"{entry.key} was removed from {node} for nobody more important"
                yield Violation("preempted", sentence, (entry.key,))


def counted(record: Record) -> Iterator[Violation]:
    """In the end, budgets tell how many of their pods are ready, and allow no more disruptions than
    those can spare."""
    there = record.objects()
    for key, budget in there.items():
        if key.startswith(_BUDGETS):
            healthy = sum(map(_is_healthy, _covered(budget, there)))
            status = budget.get("status") or {}
            if status.get("currentHealthy") != healthy:
                said = f"{key} tells of {status.get('currentHealthy')} healthy pods of {healthy}"
                yield Violation("counted", said, (key,))
            spare = max(0, healthy - status.get("desiredHealthy", 0))
            if status.get("disruptionsAllowed", 0) > spare:
                said = f"{key} allows {status['disruptionsAllowed']} disruptions of {spare}"
                yield Violation("counted", said, (key,))


def _priority(pod: Doc) -> int:
    return int(pod["spec"].get("priority") or 0)


def _is_victim(pod: Doc) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(
        one["type"] == "DisruptionTarget"
        and one.get("reason") == "PreemptionByScheduler"
        # Not for a node, but for what a queue takes back.
        and "ClusterQueue" not in one["message"]
        for one in conditions
    )


def _covered(budget: Doc, there: Mapping[str, Doc]) -> list[Doc]:
    prefix = f"{_PODS}{budget['metadata']['namespace']}/"
    wanted = budget["spec"]["selector"]["matchLabels"].items()
    return [
        doc for key, doc in there.items()
        if key.startswith(prefix) and wanted <= (doc["metadata"].get("labels") or {}).items()
    ]  # fmt: skip


def _is_healthy(pod: Doc) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]
