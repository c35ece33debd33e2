"""Jobs count what succeeded exactly, and come to their end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from longshore.core.objects.kinds import Doc
from longshore.testing.simulator.checkers.placement import is_over
from longshore.testing.simulator.checkers.scheduling import waits
from longshore.testing.simulator.medium import Entry
from longshore.testing.simulator.record import Record, Violation

_JOBS, _PODS = "/batch/jobs/", "/core/pods/"
_TRACKING = "batch.kubernetes.io/job-tracking"
_INDEX = "batch.kubernetes.io/job-completion-index"
# The longest that a Job waits after failures before it makes another pod; and how long a pod takes.
_BACKOFF_S, _WORK_S = 600.0, 30.0


@dataclass(slots=True)
class _Seen:
    """Of one Job, by the log: uids of its pods that succeeded while they had the finalizer, with their
    indexes; those that it has taken for failures before that; when one of its pods changed last, and when one
    failed."""

    succeeded: dict[str, str] = field(default_factory=dict)
    given_up: set[str] = field(default_factory=set)
    changed_at: float = float("-inf")
    failed_at: float = float("-inf")

    def count(self) -> int:
        """Each index counts once; pods without one all bear the same, "", and count each."""
        there = [index for uid, index in self.succeeded.items() if uid not in self.given_up]
        return len(there) - sum(map(bool, there)) + len(set(filter(None, there)))


def exact(record: Record) -> Iterator[Violation]:
    """At no time a Job has counted more successes than there were."""
    seen: dict[str, _Seen] = defaultdict(_Seen)
    for entry, doc in record.decoded():
        if why := _see(seen, entry, doc):
            yield Violation("completions", f"{entry.key} {why} at {entry.revision}", (entry.key,))


def done(record: Record) -> Iterator[Violation]:
    """In the end a Job has counted all successes, and is Complete unless it is suspended, at work, waits
    for room, or lets time pass after a failure."""
    seen: dict[str, _Seen] = defaultdict(_Seen)
    for entry, doc in record.decoded():
        _see(seen, entry, doc)
    last_at, there = record.log[-1].at if record.log else 0.0, record.objects()
    for key, job in there.items():
        if key.startswith(_JOBS) and (why := _unfinished(job, there, seen, last_at)):
            yield Violation("done", f"{key}: {why}", (key,))


def _see(seen: Mapping[str, _Seen], entry: Entry, doc: Doc | None) -> str:
    """Take in what was written; what is wrong with it."""
    if doc is not None and entry.key.startswith(_PODS):
        _see_pod(seen, doc, entry.at)
    if doc is None or not entry.key.startswith(_JOBS):
        return ""
    known, counted = seen[doc["metadata"]["uid"]], _counted(doc)
    known.given_up.update(_uncounted(doc, "failed"))
    return f"has counted {counted} of {known.count()}" if counted > known.count() else ""


def _see_pod(seen: Mapping[str, _Seen], pod: Doc, at: float) -> None:
    metadata = pod["metadata"]
    owner = next((o for o in metadata.get("ownerReferences") or () if o["kind"] == "Job"), None)
    if owner is None:
        return
    known, phase = seen[owner["uid"]], (pod.get("status") or {}).get("phase")
    known.changed_at = at
    if phase == "Succeeded" and _TRACKING in (metadata.get("finalizers") or ()):
        known.succeeded[metadata["uid"]] = (metadata.get("annotations") or {}).get(_INDEX, "")
    elif phase == "Failed" or "deletionTimestamp" in metadata:
        known.failed_at = at


def _uncounted(job: Doc, word: str) -> list[str]:
    return ((job.get("status") or {}).get("uncountedTerminatedPods") or {}).get(word) or []


def _counted(job: Doc) -> int:
    return int((job.get("status") or {}).get("succeeded", 0)) + len(_uncounted(job, "succeeded"))


def _unfinished(
    job: Doc, there: Mapping[str, Doc], seen: Mapping[str, _Seen], last_at: float
) -> str:
    uid, known = job["metadata"]["uid"], seen[job["metadata"]["uid"]]
    pods = [
        doc
        for key, doc in there.items()
        if key.startswith(_PODS)
        and any(owner["uid"] == uid for owner in doc["metadata"].get("ownerReferences") or ())
    ]
    live = [pod for pod in pods if not is_over(pod)]
    if any(map(waits, live)):
        return ""
    status, spec = job.get("status") or {}, job["spec"]
    if status.get("succeeded", 0) != known.count():
        return f"succeeded is {status.get('succeeded', 0)}, and {known.count()} did"
    true = {c["type"] for c in status.get("conditions") or () if c["status"] == "True"}
    if spec.get("suspend") and "Complete" not in true:
        return f"it is suspended, and {len(live)} pods are there" if live else ""
    if "Complete" in true:
        short = status.get("succeeded", 0) != spec["completions"]
        return f"it is Complete with {status.get('succeeded', 0)}" if short else ""
    since, most = (known.changed_at, _WORK_S) if live else (known.failed_at, _BACKOFF_S)
    return "" if last_at - since < most else f"it is not Complete, but {sorted(true)}"
