"""What queues and pods are told of quotas. Pure.

Source: kueue.x-k8s.io/v1beta1 (ClusterQueueStatus, LocalQueueStatus), KEP-3329 (DisruptionTarget).
"""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import written
from longshore.core.registry.client import Patch
from longshore.machinery.scheduler.queues.book import Queues, Tally
from longshore.machinery.scheduler.queues.quota import Share
from longshore.machinery.scheduler.queues.settings import Local


def local_status(queues: Queues, local: Local) -> Doc:
    """Of a LocalQueue."""
    share = queues.settings.share(queues.settings.leads_to(local)[0])
    return _status(queues.tallies.get(local, Tally()), share, "")


def queue_status(queues: Queues, name: str) -> Doc:
    """Of a ClusterQueue: all of its LocalQueues together, and what it borrows."""
    total = Tally()
    for local in queues.settings.locals_of(name):
        tally = queues.tallies.get(local, Tally())
        total.pending += tally.pending
        total.admitted += tally.admitted
        total.used.update(tally.used)
    return _status(total, queues.settings.share(name), name)


def _status(tally: Tally, share: Share | None, queue: str) -> Doc:
    """queue: whose borrowing is told, or empty."""
    usage: dict[str, list[Doc]] = {}
    for resource, quota in share.quotas.items() if share else ():
        used = tally.used.get(resource, 0)
        told = {"name": resource, "total": written(resource, used)}
        if queue:
            told["borrowed"] = written(resource, max(used - quota.nominal, 0))
        usage.setdefault(quota.flavor, []).append(told)
    return {
        "pendingWorkloads": tally.pending,
        "admittedWorkloads": tally.admitted,
        "flavorsUsage": [{"name": name, "resources": told} for name, told in usage.items()],
    }


def evicted(pod: Doc, queue: str, now: str) -> Patch:
    """Says why a pod has to go. now is RFC3339."""
    metadata, conditions = pod["metadata"], (pod.get("status") or {}).get("conditions") or ()
    target = {
        "type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler",
        "message": reclaimed(queue), "lastTransitionTime": now,
    }  # fmt: skip
    others = [one for one in conditions if one["type"] != target["type"]]
    patch = {"metadata": {"uid": metadata["uid"]}, "status": {"conditions": [*others, target]}}
    return Patch(kinds.POD, metadata["namespace"], metadata["name"], patch, "status")


def reclaimed(queue: str) -> str:
    return (
        f"Preempted to accommodate a workload of ClusterQueue {queue} due to reclamation within "
        "the cohort"
    )
