"""What a Deployment says of itself: counts and the conditions that kubectl rollout status reads.

Pure. Reasons and messages are upstream's (deploymentutil, pkg/controller/deployment/progress.go).
"""

from __future__ import annotations

from collections.abc import Sequence

from longshore.base.clock import parse_rfc3339, rfc3339
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common import conditions as cond
from longshore.machinery.controllers.deployment.sizes import Bounds

# An absent deadline stands for this in upstream's API; it means that there is none.
NO_DEADLINE = 2**31 - 1
AVAILABLE, PROGRESSING, FAILURE = "Available", "Progressing", "ReplicaFailure"
NEW_AVAILABLE, TIMED_OUT = "NewReplicaSetAvailable", "ProgressDeadlineExceeded"
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"


def counts(
    deployment: Doc, within: Bounds, new: Doc | None, sets: Sequence[Doc], now: float
) -> Doc:
    """The status with its numbers and the Available condition; other conditions as they were.
    now is in seconds since the epoch."""
    before = deployment.get("status") or {}
    replicas, ready, usable = (
        sum(_of(rs, field) for rs in sets)
        for field in ("replicas", "readyReplicas", "availableReplicas")
    )
    numbers = {
        "replicas": replicas,
        "updatedReplicas": _of(new, "replicas") if new is not None else 0,
        "readyReplicas": ready,
        "availableReplicas": usable,
        "unavailableReplicas": max(0, _spec_total(sets) - usable),
        "observedGeneration": deployment["metadata"].get("generation", 0),
        "collisionCount": before.get("collisionCount", 0),
    }
    # As Go leaves out what is zero: an unchanged status must compare equal.
    status: Doc = {name: number for name, number in numbers.items() if number}
    status["conditions"] = cond.with_condition(
        before.get("conditions") or (), _availability(usable >= within.least, now)
    )
    return status


def _of(replica_set: Doc, field: str) -> int:
    return int((replica_set.get("status") or {}).get(field, 0))


def _spec_total(sets: Sequence[Doc]) -> int:
    return sum(int(rs["spec"].get("replicas", 1)) for rs in sets)


def _availability(enough: bool, now: float) -> Doc:
    if enough:
        message = "Deployment has minimum availability."
        return condition(AVAILABLE, "True", "MinimumReplicasAvailable", message, now)
    message = "Deployment does not have minimum availability."
    return condition(AVAILABLE, "False", "MinimumReplicasUnavailable", message, now)


def condition(type_: str, status: str, reason: str, message: str, now: float) -> Doc:
    stamp = rfc3339(now)
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": stamp,
        "lastTransitionTime": stamp,
    }


def complete(deployment: Doc, status: Doc) -> bool:
    """Every pod is of the current set and available."""
    want = int(deployment["spec"].get("replicas", 1))
    fields = ("updatedReplicas", "replicas", "availableReplicas")
    return all(status.get(field, 0) == want for field in fields)


def with_progress(deployment: Doc, status: Doc, new: Doc | None, now: float) -> Doc:
    """The status with its Progressing condition, while a rollout goes on or is through."""
    listed = status["conditions"]
    if deadline_s(deployment) is None:
        return {**status, "conditions": cond.without(listed, PROGRESSING)}
    before = cond.find(listed, PROGRESSING)
    what = _subject(deployment, new)
    done = condition(
        PROGRESSING, "True", NEW_AVAILABLE, f"{what} has successfully progressed.", now
    )
    # Said of another set, it was an interrupted controller that made this one, and could not say so.
    settled = before is not None and _says(before) == _says(done)
    if settled and status.get("replicas", 0) == status.get("updatedReplicas", 0):
        return status
    if complete(deployment, status):
        return {**status, "conditions": cond.with_condition(listed, done)}
    if _moved(deployment.get("status") or {}, status):
        return {**status, "conditions": _moving(listed, f"{what} is progressing.", now)}
    if before is not None and timed_out(deployment, before, now):
        late = condition(PROGRESSING, "False", TIMED_OUT, f"{what} has timed out progressing.", now)
        return {**status, "conditions": cond.with_condition(listed, late)}
    return status


def _says(one: Doc) -> tuple[str, str]:
    return one["reason"], one["message"]


def _subject(deployment: Doc, new: Doc | None) -> str:
    if new is None:
        return f'Deployment "{deployment["metadata"]["name"]}"'
    return f'ReplicaSet "{new["metadata"]["name"]}"'


def _moved(before: Doc, after: Doc) -> bool:
    """More of the new, fewer of the old, or more that work."""

    def old(status: Doc) -> int:
        return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))

    more = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return old(after) < old(before) or any(after.get(f, 0) > before.get(f, 0) for f in more)


def _moving(listed: Sequence[Doc], message: str, now: float) -> list[Doc]:
    """Each step renews lastUpdateTime, from which the deadline counts."""
    step = condition(PROGRESSING, "True", "ReplicaSetUpdated", message, now)
    before = cond.find(listed, PROGRESSING)
    if before is not None and before["status"] == "True":
        step["lastTransitionTime"] = before["lastTransitionTime"]
    return [*cond.without(listed, PROGRESSING), step]


def timed_out(deployment: Doc, before: Doc, now: float) -> bool:
    deadline = deadline_s(deployment)
    if deadline is None or before.get("reason") == NEW_AVAILABLE:
        return False
    if before.get("reason") == TIMED_OUT:
        return True
    return parse_rfc3339(before["lastUpdateTime"]) + deadline < now


def deadline_s(deployment: Doc) -> int | None:
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds is None or seconds == NO_DEADLINE else int(seconds)


def wake_after_s(deployment: Doc, status: Doc, now: float) -> float | None:
    """When to look whether the deadline has passed; None if nothing is under way."""
    deadline, before = deadline_s(deployment), cond.find(status["conditions"], PROGRESSING)
    if deadline is None or before is None or deployment["spec"].get("paused"):
        return None
    if complete(deployment, status) or before.get("reason") in (TIMED_OUT, NEW_AVAILABLE):
        return None
    # One second more, as the stamps are whole seconds.
    return max(0.0, parse_rfc3339(before["lastUpdateTime"]) + deadline - now) + 1.0


def with_failures(status: Doc, new: Doc | None, sets: Sequence[Doc]) -> Doc:
    """The status with the ReplicaFailure condition of the current set, or of any other."""
    failure = next(
        (
            found
            for rs in [*([new] if new is not None else []), *sets]
            if (found := cond.find((rs.get("status") or {}).get("conditions") or (), FAILURE))
        ),
        None,
    )
    listed = cond.without(status["conditions"], FAILURE)
    if failure is not None:
        stamp = {"lastUpdateTime": failure["lastTransitionTime"]}
        listed.append({**stamp, **failure})
    return {**status, "conditions": listed}


def with_pause(deployment: Doc, status: Doc, now: float) -> Doc:
    """The status with Progressing Unknown when the Deployment was paused or has been resumed."""
    listed = status["conditions"]
    before = cond.find(listed, PROGRESSING)
    paused = bool(deployment["spec"].get("paused"))
    if deadline_s(deployment) is None or (before and before.get("reason") == TIMED_OUT):
        return status
    was_paused = before is not None and before.get("reason") == PAUSED
    if paused == was_paused:
        return status
    reason, message = (
        (PAUSED, "Deployment is paused") if paused else (RESUMED, "Deployment is resumed")
    )
    new = condition(PROGRESSING, "Unknown", reason, message, now)
    return {**status, "conditions": cond.with_condition(listed, new)}


def noted(deployment: Doc, status: Doc, reason: str, message: str, now: float) -> Doc:
    """The status with Progressing set to a reason, if the Deployment has a deadline at all."""
    if deadline_s(deployment) is None:
        return status
    progress = "False" if reason == "ReplicaSetCreateError" else "True"
    new = condition(PROGRESSING, progress, reason, message, now)
    return {**status, "conditions": cond.with_condition(status["conditions"], new)}
