"""Decide what a Job needs: pods to make, to end and to let go of, and what its status should say.

Pure. The rules are those of upstream's pkg/controller/job/job_controller.go; each turn is one step,
and what is not yet visible is decided in the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from longshore.base.clock import parse_rfc3339
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common.conditions import find
from longshore.machinery.controllers.common.owners import is_deleting
from longshore.machinery.controllers.job import status as statuses
from longshore.machinery.controllers.job.book import Backoff, Book
from longshore.machinery.controllers.job.facts import NO_INDEX, PodFacts
from longshore.machinery.controllers.job.indexes import Indexes
from longshore.machinery.controllers.job.policies import success_rule
from longshore.machinery.controllers.job.status import COMPLETED, FAILING, SUCCEEDING, Ending, Moves
from longshore.machinery.controllers.job.tally import (
    Tally,
    backoff_after,
    is_indexed,
    next_step,
    replaces_late,
    tallied,
)

# Pods made or ended in one turn; the next turn continues (MaxPodCreateDeletePerSync).
BURST = 500
# After a failure the next pod waits for so long, twice as long after each further one.
BACKOFF_FIRST_S, BACKOFF_MOST_S = 10.0, 600.0
MANAGER = "kubernetes.io/job-controller"

Rank = Callable[[Sequence[str]], list[str]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A pod to be made: for an index, or for none; with the failures of its index so far (None where
    they are not counted by index)."""

    index: int = NO_INDEX
    failures: int | None = None
    ignored: int = 0


@dataclass(frozen=True, slots=True)
class JobPlan:
    """create; drop: names of pods to end uncounted; end: names of pods whose end counts. Then status is
    written, and when it is durable the finalizers of released are taken off. told: type, reason and
    message of Events. wake_after_s: when to look again though nothing changes."""

    create: tuple[Wanted, ...]
    drop: tuple[str, ...]
    end: tuple[str, ...]
    status: Doc
    released: tuple[str, ...]
    backoff: Backoff
    told: tuple[statuses.Told, ...]
    wake_after_s: float | None


def is_ours(job: Doc) -> bool:
    return job["spec"].get("managedBy") in (None, MANAGER)


def plan(job: Doc, book: Book, rank: Rank, now: float) -> JobPlan:
    """book has the Job's pods as they are; rank sorts names of active pods, those whose loss is least
    first, and is asked only when some but not all must go. now is in seconds since the epoch."""
    tally = tallied(job, book)
    ending = _ending(job, book, tally, now)
    if ending is not None:
        tally = tallied(job, book, ending.type)
    backoff = backoff_after(book.backoff, tally)
    moves, wait = Moves(), None
    if ending is not None:
        moves = Moves(end=tuple(book.active))
    elif not is_deleting(job):
        moves, wait = _managed(job, book, tally, backoff, rank, now)
        if not book.active and not moves.create and _has_enough(job, tally):
            ending = COMPLETED
    step = next_step(book, tally, "" if ending is None else ending.type)
    released = tuple(_all_tracked(book)) if is_deleting(job) else step.released
    status, told = statuses.status_of(job, book, step, ending, moves, now)
    due = None if ending is not None else _deadline_in_s(job, now)
    wake = min((at for at in (wait, due) if at is not None), default=None)
    return JobPlan(
        tuple(_wanted(index, tally) for index in moves.create),
        moves.drop, moves.end, status, released, backoff, told, wake,
    )  # fmt: skip


def _all_tracked(book: Book) -> list[str]:
    pods = (*book.active.values(), *book.leaving.values(), *book.over.values())
    return [pod.name for pod in pods if pod.tracked]


# ---- whether it ends


def _ending(job: Doc, book: Book, tally: Tally, now: float) -> Ending | None:
    """Why the Job ends, if it does by anything but enough completions. Decided once, it stays."""
    for type_ in (SUCCEEDING, FAILING):
        said = find((job.get("status") or {}).get("conditions") or (), type_)
        if said is not None and said["status"] == "True":
            return Ending(type_, said.get("reason", ""), said.get("message", ""))
    return _policy_failure(tally) or _limit_failure(job, book, tally, now) or _success(job, tally)


def _policy_failure(tally: Tally) -> Ending | None:
    for pod in tally.new_failed:
        if pod.verdict.action == "FailJob":
            return Ending(FAILING, "PodFailurePolicy", pod.verdict.message)
    return None


def _limit_failure(job: Doc, book: Book, tally: Tally, now: float) -> Ending | None:
    spec, due = job["spec"], _deadline_in_s(job, now)
    if tally.failed > spec["backoffLimit"] or _restarted_too_often(spec, book):
        why = "Job has reached the specified backoff limit"
        return Ending(FAILING, "BackoffLimitExceeded", why)
    if due is not None and due <= 0:
        why = "Job was active longer than specified deadline"
        return Ending(FAILING, "DeadlineExceeded", why)
    if not tally.bad:
        return None
    if len(tally.bad) > spec.get("maxFailedIndexes", len(tally.bad)):
        why = "Job has exceeded the specified maximal number of failed indexes"
        return Ending(FAILING, "MaxFailedIndexesExceeded", why)
    if len(tally.bad) + len(tally.done) >= spec["completions"]:
        return Ending(FAILING, "FailedIndexes", "Job has failed indexes")
    return None


def _restarted_too_often(spec: Doc, book: Book) -> bool:
    """Containers that are restarted in their pods are failures of the Job's too."""
    if spec["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    return book.restarts >= max(1, int(spec["backoffLimit"]))


def _deadline_in_s(job: Doc, now: float) -> float | None:
    """Seconds until the Job is active for too long; None if it has no deadline, or is suspended."""
    deadline = job["spec"].get("activeDeadlineSeconds")
    started = statuses.started(job, now)
    if deadline is None or started is None or job["spec"].get("suspend"):
        return None
    return parse_rfc3339(started) + float(deadline) - now


def _success(job: Doc, tally: Tally) -> Ending | None:
    if not tally.indexed:
        return None
    spec = job["spec"]
    rule = success_rule(spec.get("successPolicy"), spec["completions"], tally.done)
    if rule is None:
        return None
    return Ending(SUCCEEDING, "SuccessPolicy", f"Matched rules at index {rule}")


def _has_enough(job: Doc, tally: Tally) -> bool:
    """Without a number of completions, one success is the word of all."""
    completions = job["spec"].get("completions")
    return tally.succeeded >= (1 if completions is None else completions)


# ---- how many pods


def _managed(
    job: Doc, book: Book, tally: Tally, backoff: Backoff, rank: Rank, now: float
) -> tuple[Moves, float | None]:
    """Pods to end or to make, never both in a turn; and how long to wait before more are made."""
    if job["spec"].get("suspend"):
        return Moves(drop=tuple(book.active)), None
    want = _wanted_active(job, book, tally)
    surplus = _surplus(job, book, tally, len(book.active) - want, rank)
    if surplus:
        return Moves(drop=tuple(surplus[:BURST])), None
    lack = want - len(book.active) - (len(book.leaving) if replaces_late(job) else 0)
    if lack <= 0:
        return Moves(), None
    if is_indexed(job):
        return _indexes_to_make(job, book, tally, min(lack, BURST), now)
    wait = _rest_of_backoff(backoff.failures, backoff.last_at, now)
    return (Moves(), wait) if wait > 0 else (Moves(create=(NO_INDEX,) * min(lack, BURST)), None)


def _wanted_active(job: Doc, book: Book, tally: Tally) -> int:
    spec, parallelism = job["spec"], int(job["spec"]["parallelism"])
    if (completions := spec.get("completions")) is None:
        return len(book.active) if tally.succeeded else parallelism
    return max(0, min(int(completions) - tally.succeeded, parallelism))


def _surplus(job: Doc, book: Book, tally: Tally, at_least: int, rank: Rank) -> list[str]:
    """Active pods that must go: those with no index of the Job's or one that another has, and then
    as many as are too many, first those whose index a pod on its way out has completed meanwhile."""
    doomed: list[str] = []
    if is_indexed(job) and not _is_orderly(book, int(job["spec"]["completions"])):
        doomed = _misplaced(book, int(job["spec"]["completions"]), rank)
    if len(doomed) < at_least:
        gone = set(doomed)
        left = [name for name in book.active if name not in gone]
        if at_least < len(book.active):
            left = sorted(rank(left), key=lambda name: book.active[name].index not in tally.done)
        doomed += left[: at_least - len(doomed)]
    return doomed


def _is_orderly(book: Book, completions: int) -> bool:
    """Each active pod has an index of its own. Costs as much as there are active pods."""
    return len(book.by_index) == len(book.active) and all(
        NO_INDEX < index < completions for index in book.by_index
    )


def _misplaced(book: Book, completions: int, rank: Rank) -> list[str]:
    doomed: list[str] = []
    for index, names in book.by_index.items():
        if not NO_INDEX < index < completions:
            doomed += sorted(names)
        elif len(names) > 1:
            doomed += rank(sorted(names))[:-1]
    return doomed


def _indexes_to_make(
    job: Doc, book: Book, tally: Tally, count: int, now: float
) -> tuple[Moves, float | None]:
    taken = tally.done | Indexes.of(index for index in book.by_index if index != NO_INDEX)
    if replaces_late(job):
        taken |= Indexes.of(pod.index for pod in book.leaving.values() if pod.index != NO_INDEX)
    if tally.bad is not None:
        taken |= tally.bad
    free = taken.missing(count, int(job["spec"]["completions"]))
    waits = {index: _rest_by_index(tally.held.get(index), now) for index in free}
    create = tuple(index for index, wait in waits.items() if wait <= 0)
    return Moves(create=create), min((wait for wait in waits.values() if wait > 0), default=None)


def _rest_by_index(last: PodFacts | None, now: float) -> float:
    return 0.0 if last is None else _rest_of_backoff(last.failures_now, last.finished_at, now)


def _rest_of_backoff(failures: int, last_at: float, now: float) -> float:
    """Seconds for which no pod is made yet after so many failures."""
    if not failures:
        return 0.0
    pause = min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2.0 ** min(failures - 1, 10))
    return last_at + pause - now


def _wanted(index: int, tally: Tally) -> Wanted:
    if tally.bad is None:
        return Wanted(index)
    last = tally.held.get(index)
    if last is None:
        return Wanted(index, 0)
    counts = last.verdict.counts
    return Wanted(index, last.failures + counts, last.ignored + (not counts))
