"""What holds a pod besides the rules: its gates, its group, its queue. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.queues.settings import queue_name


def group_of(pod: Doc) -> str:
    """The PodGroup that it names; empty if it names none."""
    return str((pod["spec"].get("schedulingGroup") or {}).get("podGroupName") or "")


def notes(pod: Doc, group: Doc | None, queue: Doc | None) -> Iterator[str]:
    """Sentences; group and queue are those that the pod names, None if they do not exist."""
    gates = [one["name"] for one in pod["spec"].get("schedulingGates") or ()]
    if gates:
        yield f"it is held by its scheduling gates: {', '.join(gates)}"
    if name := group_of(pod):
        yield _of_group(name, group)
    if name := queue_name(pod):
        yield _of_queue(name, queue)


def _of_group(name: str, group: Doc | None) -> str:
    if group is None:
        return f"its group, PodGroup {name}, does not exist"
    gang = (group["spec"].get("schedulingPolicy") or {}).get("gang")
    least = (
        f"at least {gang['minCount']} of its pods run together" if gang else "its pods stand alone"
    )
    conditions = (group.get("status") or {}).get("conditions") or ()
    said = [f"{one['reason']}: {one['message']}" for one in conditions if one["status"] == "False"]
    return f"it is of PodGroup {name}: {'; '.join([least, *said])}"


def _of_queue(name: str, queue: Doc | None) -> str:
    if queue is None:
        return f"its queue, LocalQueue {name}, does not exist"
    status = queue.get("status") or {}
    waiting, admitted = status.get("pendingWorkloads", 0), status.get("admittedWorkloads", 0)
    return (
        f"it is in LocalQueue {name} of ClusterQueue {queue['spec']['clusterQueue']}: "
        f"{waiting} wait, {admitted} are admitted"
    )
