"""How far a rollout is, in kubectl's words (kubectl/pkg/polymorphichelpers/rollout_status.go). Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.testing.console.refusals import Complaint


def progress(kind: Kind, doc: Doc) -> str:
    """The one sentence of rollout status."""
    status = doc.get("status") or {}
    if doc["metadata"]["generation"] > status.get("observedGeneration", 0):
        called = {kinds.DAEMON_SET: "daemon set"}.get(kind, kind.singular)
        return f"Waiting for {called} spec update to be observed..."
    return _PROGRESS[kind](doc, status)


def _of_deployment(deployment: Doc, status: Doc) -> str:
    name = deployment["metadata"]["name"]
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    if conditions.get("Progressing", {}).get("reason") == "ProgressDeadlineExceeded":
        raise Complaint(f'deployment "{name}" exceeded its progress deadline')
    waits = f'Waiting for deployment "{name}" rollout to finish: '
    wanted, there = deployment["spec"]["replicas"], status.get("replicas", 0)
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < wanted:
        return f"{waits}{updated} out of {wanted} new replicas have been updated..."
    if there > updated:
        return f"{waits}{there - updated} old replicas are pending termination..."
    if available < updated:
        return f"{waits}{available} of {updated} updated replicas are available..."
    return f'deployment "{name}" successfully rolled out'


def _of_daemon_set(daemon_set: Doc, status: Doc) -> str:
    _only_rolling(daemon_set)
    name, wanted = daemon_set["metadata"]["name"], status["desiredNumberScheduled"]
    waits = f'Waiting for daemon set "{name}" rollout to finish: '
    updated, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    if updated < wanted:
        return f"{waits}{updated} out of {wanted} new pods have been updated..."
    if available < wanted:
        return f"{waits}{available} of {wanted} updated pods are available..."
    return f'daemon set "{name}" successfully rolled out'


def _of_stateful_set(stateful: Doc, status: Doc) -> str:
    _only_rolling(stateful)
    wanted, ready = stateful["spec"]["replicas"], status.get("readyReplicas", 0)
    if ready < wanted:
        return f"Waiting for {wanted - ready} pods to be ready..."
    updated = status.get("updatedReplicas", 0)
    reached = wanted - stateful["spec"]["updateStrategy"]["rollingUpdate"]["partition"]
    if updated < reached:
        return (
            f"Waiting for partitioned roll out to finish: {updated} out of {reached} new pods have "
            "been updated..."
        )
    return f"partitioned roll out complete: {updated} new pods have been updated..."


def _only_rolling(doc: Doc) -> None:
    if doc["spec"]["updateStrategy"]["type"] != "RollingUpdate":
        raise Complaint("rollout status is only available for RollingUpdate strategy type")


_PROGRESS: Mapping[Kind, Callable[[Doc, Doc], str]] = {
    kinds.DEPLOYMENT: _of_deployment,
    kinds.DAEMON_SET: _of_daemon_set,
    kinds.STATEFUL_SET: _of_stateful_set,
}
