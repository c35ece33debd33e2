"""What a Job's controller must know of one of its pods. Pure.

Sources: pkg/controller/job/{job_controller,indexed_job_utils,backoff_utils}.go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from longshore.base.clock import parse_rfc3339
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common import pods as pod_state
from longshore.machinery.controllers.job.policies import NONE, Verdict, judged

_PREFIX = "batch.kubernetes.io/"
TRACKING = f"{_PREFIX}job-tracking"
INDEX = f"{_PREFIX}job-completion-index"
FAILURES = f"{_PREFIX}job-index-failure-count"
IGNORED_FAILURES = f"{_PREFIX}job-index-ignored-failure-count"
NO_INDEX = -1


@dataclass(frozen=True, slots=True)
class PodFacts:
    """tracked: it has the finalizer, so its end is not counted yet. phase is "" while the pod is not
    over. failures and ignored are of pods of its index before it. finished_at (seconds since the
    epoch) and verdict are known of pods that are over or leaving."""

    name: str
    uid: str
    phase: str
    leaving: bool
    tracked: bool
    ready: bool
    restarts: int
    index: int
    failures: int
    ignored: int
    finished_at: float
    verdict: Verdict

    @property
    def is_active(self) -> bool:
        return not self.phase and not self.leaving

    @property
    def failures_now(self) -> int:
        """Of its index, when this pod has failed, those that do not count towards limits too."""
        return self.failures + self.ignored + 1

    def has_failed(self, *, only_if_over: bool) -> bool:
        """A pod on its way out has failed, unless the Job waits until it is over."""
        return self.phase == "Failed" or (self.leaving and not self.phase and not only_if_over)


def facts_of(pod: Doc, policy: Doc | None) -> PodFacts:
    """policy is the Job's podFailurePolicy, which never changes."""
    metadata = pod["metadata"]
    phase = pod_state.phase(pod) if pod_state.is_terminal(pod) else ""
    leaving = "deletionTimestamp" in metadata
    notes, ended = metadata.get("annotations") or {}, bool(phase) or leaving
    return PodFacts(
        name=metadata["name"],
        uid=metadata["uid"],
        phase=phase,
        leaving=leaving,
        tracked=is_tracked(pod),
        ready=not ended and pod_state.is_ready(pod),
        restarts=0 if phase else _restarts(pod),
        index=_number(notes.get(INDEX), NO_INDEX),
        failures=_number(notes.get(FAILURES), 0),
        ignored=_number(notes.get(IGNORED_FAILURES), 0),
        finished_at=_finished_at(pod) if ended else 0.0,
        verdict=judged(policy, pod) if ended and phase != "Succeeded" else NONE,
    )


def is_tracked(pod: Doc) -> bool:
    return TRACKING in (pod["metadata"].get("finalizers") or ())


def _number(text: str | None, otherwise: int) -> int:
    """Annotations can be changed by anybody: what is no number counts as none."""
    return int(text) if text is not None and text.isdecimal() and len(text) < 10 else otherwise


def _statuses(pod: Doc) -> tuple[list[Doc], list[Doc]]:
    status = pod.get("status") or {}
    return status.get("containerStatuses") or [], status.get("initContainerStatuses") or []


def _restarts(pod: Doc) -> int:
    """Of all its containers together."""
    return sum(int(one.get("restartCount", 0)) for part in _statuses(pod) for one in part)


def _finished_at(pod: Doc) -> float:
    """When the last container ended; else when the pod was no longer ready; else when it was told to
    go; else when it was made."""
    if (ended := _containers_ended_at(pod)) is not None:
        return ended
    ready, metadata = pod_state.condition(pod, "Ready"), pod["metadata"]
    if ready is not None and ready["status"] == "False" and ready.get("lastTransitionTime"):
        return parse_rfc3339(ready["lastTransitionTime"])
    if (until := metadata.get("deletionTimestamp")) is not None:
        return parse_rfc3339(until) - int(metadata.get("deletionGracePeriodSeconds") or 0)
    return parse_rfc3339(metadata["creationTimestamp"])


def _containers_ended_at(pod: Doc) -> float | None:
    """None while one of them has not ended. Sidecars end after the others."""
    plain, inits = _statuses(pod)
    sidecars = {
        one["name"]
        for one in pod["spec"].get("initContainers") or ()
        if one.get("restartPolicy") == "Always"
    }
    ends = [*_ends(plain), *_ends(one for one in inits if one["name"] in sidecars)]
    return max((parse_rfc3339(end) for end in ends), default=None) if all(ends) else None


def _ends(statuses: Iterable[Doc]) -> list[str]:
    return [
        ((one.get("state") or {}).get("terminated") or {}).get("finishedAt") or ""
        for one in statuses
    ]
