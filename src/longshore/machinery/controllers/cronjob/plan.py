"""Decide what a CronJob does now: a Job to make, Jobs to end, and what its status should say.

Pure. The rules are those of upstream's pkg/controller/cronjob/cronjob_controllerv2.go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from longshore.base.clock import rfc3339
from longshore.core.objects.cron import BadSchedule, parse_schedule, time_zone_problem
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common.owners import is_deleting
from longshore.machinery.controllers.cronjob.times import NoTimes, due
from longshore.machinery.controllers.job.status import finished

SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
Told: TypeAlias = tuple[Literal["Normal", "Warning"], str, str]


@dataclass(frozen=True, slots=True)
class CronPlan:
    """delete: Jobs to end, before create, the Job to make, if there is one; at: the time it is made
    for. status is without the new Job, see started(). told: type, reason and message of Events. wake_at:
    when to look again. Times are seconds since the epoch."""

    status: Doc
    told: tuple[Told, ...]
    delete: tuple[Doc, ...]
    create: Doc | None = None
    at: float = 0.0
    wake_at: float | None = None

    def saying(self, *news: Told) -> CronPlan:
        return replace(self, told=(*self.told, *news))


def plan(cron: Doc, jobs: Sequence[Doc], owner: Doc, now: float) -> CronPlan:
    """jobs are those that the CronJob controls; owner is the reference that a new one gets. now is in
    seconds since the epoch."""
    told, spec = _News(), cron["spec"]
    status = _status(cron, jobs, told)
    base = CronPlan(status, tuple(told), tuple(_beyond_history(spec, jobs)))
    if is_deleting(cron) or spec.get("suspend"):
        return base
    if (obstacle := _obstacle(spec)) is not None:
        return base.saying(obstacle)
    zone = ZoneInfo(spec.get("timeZone") or "UTC")
    try:
        when = due(cron, parse_schedule(spec["schedule"]), zone, now)
    except NoTimes as error:
        why = f"invalid schedule: {spec['schedule']} : {error}"
        return base.saying(("Warning", "InvalidSchedule", why))
    base = replace(base, wake_at=when.wake_at)
    if when.at is None or _is_done(cron, status, when.at):
        return base
    if when.many:
        base = base.saying(_MANY_MISSED)
    if (reason := _why_not(spec, status, when.at, now)) is not None:
        return base.saying(reason)
    replaced = _still_active(status, jobs) if spec["concurrencyPolicy"] == "Replace" else []
    kept = {**status, "active": []} if replaced else status
    return replace(
        base,
        status=_without_nothing(kept),
        delete=(*base.delete, *replaced),
        create=job_from(cron, owner, when.at, zone),
        at=when.at,
    )


_MANY_MISSED: Told = (
    "Warning",
    "TooManyMissedTimes",
    "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew",
)


class _News(list[Told]):
    """What there is to tell, in order."""

    def normal(self, reason: str, message: str) -> None:
        self.append(("Normal", reason, message))

    def warn(self, reason: str, message: str) -> None:
        self.append(("Warning", reason, message))


# ---- how it stands


def _status(cron: Doc, jobs: Sequence[Doc], told: _News) -> Doc:
    """The status with what became of its Jobs."""
    old = cron.get("status") or {}
    active, there = list(old.get("active") or ()), {job["metadata"]["uid"] for job in jobs}
    listed = {ref["uid"] for ref in active}
    over: set[str] = set()
    for job in jobs:
        name, uid, end = job["metadata"]["name"], job["metadata"]["uid"], finished(job)
        if end and uid in listed:
            over.add(uid)
            told.normal("SawCompletedJob", f"Saw completed job: {name}, condition: {end}")
        elif not end and uid not in listed:
            why = f"Saw a job that the controller did not create or forgot: {name}"
            told.warn("UnexpectedJob", why)
    for ref in active:
        if ref["uid"] not in there:
            told.normal("MissingJob", f"Active job went missing: {ref['name']}")
    left = [ref for ref in active if ref["uid"] in there - over]
    ended = [job["status"].get("completionTime") for job in jobs if finished(job) == "Complete"]
    newest = max((t for t in (old.get("lastSuccessfulTime"), *ended) if t), default=None)
    return _without_nothing({**old, "active": left, "lastSuccessfulTime": newest})


def _without_nothing(status: Doc) -> Doc:
    """As Go leaves out what is empty."""
    return {name: value for name, value in status.items() if value}


def _beyond_history(spec: Doc, jobs: Sequence[Doc]) -> list[Doc]:
    """The oldest of those that are over, as many as are too many of their kind."""
    limits = {
        "Complete": spec.get("successfulJobsHistoryLimit"),
        "Failed": spec.get("failedJobsHistoryLimit"),
    }
    doomed: list[Doc] = []
    for end, limit in limits.items():
        those = sorted((job for job in jobs if finished(job) == end), key=_age)
        if limit is not None:
            doomed += those[: max(0, len(those) - limit)]
    return [job for job in doomed if not is_deleting(job)]


def _age(job: Doc) -> tuple[bool, str, str]:
    """The first to start comes first; what never started comes last."""
    start = (job.get("status") or {}).get("startTime") or ""
    return not start, start, job["metadata"]["name"]


def _still_active(status: Doc, jobs: Sequence[Doc]) -> list[Doc]:
    listed = {ref["uid"] for ref in status.get("active") or ()}
    return [job for job in jobs if job["metadata"]["uid"] in listed]


# ---- whether it is time


def _obstacle(spec: Doc) -> Told | None:
    """What validation refuses, if it is there all the same: time zones can be taken away."""
    zone, schedule = spec.get("timeZone"), spec["schedule"]
    if zone is not None and (wrong := time_zone_problem(zone)):
        return "Warning", "UnknownTimeZone", f'invalid timeZone: "{zone}": {wrong}'
    try:
        parse_schedule(schedule)
    except BadSchedule as error:
        return "Warning", "UnparseableSchedule", f'unparseable schedule: "{schedule}" : {error}'
    return None


def _is_done(cron: Doc, status: Doc, at: float) -> bool:
    name = job_name(cron, at)
    if any(ref["name"] == name for ref in status.get("active") or ()):
        return True
    return status.get("lastScheduleTime") == rfc3339(at)


def _why_not(spec: Doc, status: Doc, at: float, now: float) -> Told | None:
    deadline = spec.get("startingDeadlineSeconds")
    if deadline is not None and at + float(deadline) < now:
        shown = datetime.fromtimestamp(at, UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
        return "Warning", "MissSchedule", f"Missed scheduled time to start a job: {shown}"
    if spec["concurrencyPolicy"] == "Forbid" and status.get("active"):
        why = "Not starting job because prior execution is running and concurrency policy is Forbid"
        return "Normal", "JobAlreadyActive", why
    return None


# ---- the Job


def job_name(cron: Doc, at: float) -> str:
    """One name for each minute, so that no Job is made twice."""
    return f"{cron['metadata']['name']}-{int(at) // 60}"


def job_from(cron: Doc, owner: Doc, at: float, zone: ZoneInfo) -> Doc:
    template = cron["spec"]["jobTemplate"]
    given = template.get("metadata") or {}
    local = datetime.fromtimestamp(at, zone).isoformat().replace("+00:00", "Z")
    metadata: Doc = {
        "name": job_name(cron, at),
        "namespace": cron["metadata"]["namespace"],
        "annotations": {**(given.get("annotations") or {}), SCHEDULED_AT: local},
        "ownerReferences": [owner],
    }
    if labels := given.get("labels"):
        metadata["labels"] = labels
    return {"metadata": metadata, "spec": template["spec"]}


def started(status: Doc, job: Doc, at: float) -> Doc:
    """The status with a Job that was made for a time."""
    metadata = job["metadata"]
    reference = {
        "kind": "Job",
        "apiVersion": "batch/v1",
        **{field: metadata[field] for field in ("namespace", "name", "uid", "resourceVersion")},
    }
    active = [*(status.get("active") or ()), reference]
    return {**status, "active": active, "lastScheduleTime": rfc3339(at)}
