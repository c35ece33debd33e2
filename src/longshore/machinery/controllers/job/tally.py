"""What of a Job's pods is counted, and what is to be counted next. Pure.

Each end of a pod is counted once, whatever is interrupted (KEP-2307): its uid goes into
status.uncountedTerminatedPods while the pod has the finalizer, then the finalizer goes, and only then
the uid becomes one more in status.succeeded or status.failed. A completion index that succeeded is in
status.completedIndexes, which says as much as a uid would."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.job.book import Backoff, Book
from longshore.machinery.controllers.job.facts import PodFacts
from longshore.machinery.controllers.job.indexes import Indexes

# Uids in a status at a time, so that it stays below 20 KB (MaxUncountedPods).
UNCOUNTED_MAX = 500


def is_indexed(job: Doc) -> bool:
    return bool(job["spec"].get("completionMode") == "Indexed")


def replaces_late(job: Doc) -> bool:
    """Whether a pod is replaced only when it is over, rather than on its way out."""
    spec = job["spec"]
    return spec.get("podReplacementPolicy") == "Failed" or "podFailurePolicy" in spec


@dataclass(frozen=True, slots=True)
class Tally:
    """settled_*: the status' counters, with what can be added to them now. waiting_*: uids in the
    status whose pods still have the finalizer. new_*: pods that are in neither. done and bad are the
    indexes that succeeded and failed, new ones among them; bad is None where failures are not counted
    by index. held: of each index that waits for another try, the pod that failed last: it stays until
    the next one knows how often it failed."""

    settled_succeeded: int
    settled_failed: int
    waiting_succeeded: tuple[str, ...]
    waiting_failed: tuple[str, ...]
    new_succeeded: tuple[PodFacts, ...]
    new_failed: tuple[PodFacts, ...]
    done: Indexes
    bad: Indexes | None
    held: dict[int, PodFacts]
    indexed: bool

    @property
    def succeeded(self) -> int:
        if self.indexed:
            return len(self.done)
        return self.settled_succeeded + len(self.waiting_succeeded) + len(self.new_succeeded)

    @property
    def failed(self) -> int:
        fresh = sum(pod.verdict.counts for pod in self.new_failed)
        return self.settled_failed + len(self.waiting_failed) + fresh


def tallied(job: Doc, book: Book, ending: str = "") -> Tally:
    """ending: the condition by which the Job ends, if it does. Where it fails, whatever has not
    succeeded has failed."""
    spec, status, indexed = job["spec"], job.get("status") or {}, is_indexed(job)
    below = int(spec["completions"]) if indexed else 0
    settled, still = _uncounted(status, book)
    fresh = _fresh(book, {*still["succeeded"], *still["failed"]}, below if indexed else None)
    good = tuple(pod for pod in fresh if pod.phase == "Succeeded")
    late = replaces_late(job) and ending != "FailureTarget"
    failed = tuple(pod for pod in fresh if pod.has_failed(only_if_over=late))
    done = Indexes.parse(status.get("completedIndexes") or "", below)
    done |= Indexes.of({pod.index for pod in good} if indexed else ())
    bad = _bad_indexes(spec, status, failed, below)
    held = {} if bad is None or ending else _held(failed, book, done | bad)
    return Tally(
        settled["succeeded"], settled["failed"], still["succeeded"], still["failed"],
        good, failed, done, bad, held, indexed,
    )  # fmt: skip


def _uncounted(status: Doc, book: Book) -> tuple[dict[str, int], dict[str, tuple[str, ...]]]:
    """The counters with what can be added to them, and the uids whose pods have the finalizer still."""
    uncounted, settled, still = status.get("uncountedTerminatedPods") or {}, {}, {}
    for word in ("succeeded", "failed"):
        uids = uncounted.get(word) or ()
        still[word] = tuple(uid for uid in uids if uid in book.tracked)
        settled[word] = int(status.get(word, 0)) + len(uids) - len(still[word])
    return settled, still


def _fresh(book: Book, known: set[str], below: int | None) -> list[PodFacts]:
    """Pods that are over or leave, of which the status says nothing; of an indexed Job, those of its
    indexes."""
    return [
        pod
        for pod in (*book.over.values(), *book.leaving.values())
        if pod.tracked and pod.uid not in known and (below is None or 0 <= pod.index < below)
    ]


def _bad_indexes(spec: Doc, status: Doc, failed: Iterable[PodFacts], below: int) -> Indexes | None:
    limit = spec.get("backoffLimitPerIndex")
    if limit is None:
        return None
    new = {
        pod.index
        for pod in failed
        if pod.verdict.action == "FailIndex" or (pod.verdict.counts and pod.failures >= limit)
    }
    return Indexes.parse(status.get("failedIndexes") or "", below) | Indexes.of(new)


def _held(failed: Iterable[PodFacts], book: Book, settled: Indexes) -> dict[int, PodFacts]:
    held: dict[int, PodFacts] = {}
    for pod in failed:
        if pod.index in settled or pod.index in book.by_index:
            continue
        last = held.get(pod.index)
        if last is None or _later(last) <= _later(pod):
            held[pod.index] = pod
    return held


def _later(pod: PodFacts) -> tuple[int, float]:
    return pod.failures_now, pod.finished_at


def backoff_after(before: Backoff, tally: Tally) -> Backoff:
    """Failures in a row with those that are new; a success ends a row."""
    failures = sorted(pod.finished_at for pod in tally.new_failed)
    row = before.failures
    if tally.new_succeeded:
        success, row = max(pod.finished_at for pod in tally.new_succeeded), 0
        failures = [at for at in failures if at > success]
        before = Backoff()
    return Backoff(row + len(failures), failures[-1]) if failures else before


@dataclass(frozen=True, slots=True)
class Step:
    """What the next status tells of pods: uids to wait for, and the pods whose finalizer can go once
    it is durable."""

    tally: Tally
    waiting_succeeded: tuple[str, ...]
    waiting_failed: tuple[str, ...]
    released: tuple[str, ...]


def next_step(book: Book, tally: Tally, ending: str) -> Step:
    """As many ends as there is room for; of the others the finalizers stay."""
    room = UNCOUNTED_MAX - len(tally.waiting_succeeded) - len(tally.waiting_failed)
    good = tally.new_succeeded if tally.indexed else tally.new_succeeded[: max(0, room)]
    room -= 0 if tally.indexed else len(good)
    failed = [pod for pod in tally.new_failed if tally.held.get(pod.index) is not pod]
    failed = failed[: max(0, room)]
    told = {pod.name for pod in (*good, *failed)}
    waits = {*tally.waiting_succeeded, *tally.waiting_failed}
    new = {pod.name for pod in (*tally.new_succeeded, *tally.new_failed)}
    rest = [
        pod.name
        for pod in (*book.over.values(), *book.leaving.values())
        if pod.tracked and pod.name not in new and (pod.phase or ending or pod.uid in waits)
    ]
    return Step(
        tally,
        (*tally.waiting_succeeded, *(() if tally.indexed else (pod.uid for pod in good))),
        (*tally.waiting_failed, *(pod.uid for pod in failed if pod.verdict.counts)),
        (*sorted(told), *rest),
    )
