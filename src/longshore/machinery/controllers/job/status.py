"""What a Job's status says. Pure; reasons and messages are upstream's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from longshore.base.clock import rfc3339
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common.conditions import find, without
from longshore.machinery.controllers.common.owners import is_deleting
from longshore.machinery.controllers.job.book import Book
from longshore.machinery.controllers.job.tally import Step

SUCCEEDING, FAILING = "SuccessCriteriaMet", "FailureTarget"
_FINAL = {SUCCEEDING: "Complete", FAILING: "Failed"}
Told: TypeAlias = tuple[Literal["Normal", "Warning"], str, str]


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a Job ends. type is SUCCEEDING or FAILING: the end itself is said when all its pods are over
    and counted."""

    type: str
    reason: str
    message: str


COMPLETED = Ending(SUCCEEDING, "CompletionsReached", "Reached expected number of succeeded pods")


@dataclass(frozen=True, slots=True)
class Moves:
    """Indexes of pods to make (NO_INDEX for pods without); names of pods to end, uncounted and
    counted."""

    create: tuple[int, ...] = ()
    drop: tuple[str, ...] = ()
    end: tuple[str, ...] = ()


def finished(job: Doc) -> str:
    """Complete or Failed; "" while it is neither."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    for type_ in _FINAL.values():
        said = find(conditions, type_)
        if said is not None and said["status"] == "True":
            return type_
    return ""


def started(job: Doc, now: float) -> str | None:
    """Since when the Job is active: it begins anew when it is resumed, and has not begun where it was
    made suspended."""
    status = job.get("status") or {}
    since: str | None = status.get("startTime")
    if job["spec"].get("suspend"):
        return since
    resumed = _is_true(status.get("conditions") or (), "Suspended")
    return rfc3339(now) if since is None or resumed else since


def status_of(
    job: Doc,
    book: Book,
    step: Step,
    ending: Ending | None,
    moves: Moves,
    now: float,
) -> tuple[Doc, tuple[Told, ...]]:
    """The status once the moves are made, and what to tell of it."""
    old = job.get("status") or {}
    status = {**_kept(old), **_counts(book, moves), **_counters(step)}
    since = started(job, now)
    if since is not None:
        status["startTime"] = since
    conditions: list[Doc] = list(old.get("conditions") or ())
    told: tuple[Told, ...] = ()
    if ending is not None:
        conditions, told = _ended(job, conditions, ending, now, over=_is_over(book, step))
        if told and ending.type == SUCCEEDING:
            status["completionTime"] = rfc3339(now)
    elif not is_deleting(job):
        conditions, told = _suspended(job, conditions, now)
    if conditions:
        status["conditions"] = conditions
    return status, told


def _kept(old: Doc) -> Doc:
    return {name: old[name] for name in ("startTime", "completionTime") if name in old}


def _counts(book: Book, moves: Moves) -> Doc:
    """As Go leaves out what is zero, but for what is a pointer there."""
    gone = (*moves.drop, *moves.end)
    active = len(book.active) + len(moves.create) - len(gone)
    counts = {
        "ready": book.ready - sum(book.active[name].ready for name in gone),
        "terminating": len(book.leaving) + len(gone),
    }
    return {**counts, "active": active} if active else counts


def _counters(step: Step) -> Doc:
    tally = step.tally
    uncounted = {"succeeded": step.waiting_succeeded, "failed": step.waiting_failed}
    told: Doc = {
        "uncountedTerminatedPods": {word: list(uids) for word, uids in uncounted.items() if uids}
    }
    succeeded = len(tally.done) if tally.indexed else tally.settled_succeeded
    counts = {"succeeded": succeeded, "failed": tally.settled_failed}
    told |= {word: count for word, count in counts.items() if count}
    if tally.done:
        told["completedIndexes"] = str(tally.done)
    if tally.bad is not None:
        told["failedIndexes"] = str(tally.bad)
    return told


def _is_over(book: Book, step: Step) -> bool:
    """Nothing runs, and everything is counted."""
    waits = step.waiting_succeeded or step.waiting_failed
    return not (book.active or book.leaving or book.tracked or waits)


def _ended(
    job: Doc, conditions: list[Doc], ending: Ending, now: float, *, over: bool
) -> tuple[list[Doc], tuple[Told, ...]]:
    if not _is_true(conditions, ending.type):
        conditions.append(_condition(ending.type, "True", ending.reason, ending.message, now))
    if not over:
        return conditions, ()
    final = _FINAL[ending.type]
    conditions.append(_condition(final, "True", ending.reason, ending.message, now))
    if ending.type == FAILING:
        return conditions, (("Warning", ending.reason, ending.message),)
    return conditions, (("Normal", "Completed", "Job completed"),)


def _suspended(job: Doc, conditions: list[Doc], now: float) -> tuple[list[Doc], tuple[Told, ...]]:
    """Whether it is, is only said of a Job that was suspended at some time."""
    said, wanted = _is_true(conditions, "Suspended"), bool(job["spec"].get("suspend"))
    if said == wanted:
        return conditions, ()
    word, status = ("suspended", "True") if wanted else ("resumed", "False")
    new = _condition("Suspended", status, f"Job{word.capitalize()}", f"Job {word}", now)
    told: Told = ("Normal", word.capitalize(), f"Job {word}")
    return [*without(conditions, "Suspended"), new], (told,)


def _is_true(conditions: Sequence[Doc], type_: str) -> bool:
    found = find(conditions, type_)
    return found is not None and found["status"] == "True"


def _condition(type_: str, status: str, reason: str, message: str, now: float) -> Doc:
    at = rfc3339(now)
    return {
        "type": type_,
        "status": status,
        "lastProbeTime": at,
        "lastTransitionTime": at,
        "reason": reason,
        "message": message,
    }
