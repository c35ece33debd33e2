"""When a Job that is over is to be deleted. Pure.

Rules: pkg/controller/ttlafterfinished."""

from __future__ import annotations

from longshore.base.clock import parse_rfc3339
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common.conditions import find
from longshore.machinery.controllers.common.owners import is_deleting
from longshore.machinery.controllers.job.status import finished


def expires_at(job: Doc) -> float | None:
    """In seconds since the epoch; None if it is not over, or is to stay."""
    ttl, end = job["spec"].get("ttlSecondsAfterFinished"), finished(job)
    if ttl is None or not end or is_deleting(job):
        return None
    condition = find(job["status"]["conditions"], end)
    assert condition is not None, "finished() has found it"
    return parse_rfc3339(condition["lastTransitionTime"]) + float(ttl)
