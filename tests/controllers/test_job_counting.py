"""Completions are counted exactly: whatever ends when, whatever is interrupted where.

A small model of the API server: a Job, its pods, and writes that happen one after another, of which
each may be the last one before a crash."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from longshore.base.clock import rfc3339
from longshore.core.objects.defaults import default
from longshore.core.objects.kinds import JOB, Doc
from longshore.machinery.controllers.common.owners import reference
from longshore.machinery.controllers.job.book import Book
from longshore.machinery.controllers.job.facts import facts_of, is_tracked
from longshore.machinery.controllers.job.plan import JobPlan, plan
from longshore.machinery.controllers.job.pods import pod_from
from longshore.machinery.controllers.job.status import finished

from .jobs import INDEX, job

START = 1_800_000_000.0


@dataclass
class Model:
    """ended: what became of each pod that ended while it had the finalizer, by uid; tries: how many
    pods there were of each index."""

    job: Doc
    pods: dict[str, Doc] = field(default_factory=dict)
    now: float = START
    serial: int = 0
    book: Book | None = None
    ended: dict[str, str] = field(default_factory=dict)
    tries: Counter[int] = field(default_factory=Counter)

    # -- what happens to pods --------------------------------------------------------------------

    def live(self) -> list[Doc]:
        return [pod for pod in self.pods.values() if facts_of(pod, None).is_active]

    def end(self, number: int, phase: str) -> None:
        running = [
            pod
            for pod in self.pods.values()
            if pod["status"]["phase"] not in ("Succeeded", "Failed")
        ]
        if running:
            pod = running[number % len(running)]
            pod["status"]["phase"] = phase
            uid, uncounted = pod["metadata"]["uid"], self.job.get("status") or {}
            told = (uncounted.get("uncountedTerminatedPods") or {}).get("failed") or ()
            if is_tracked(pod) and uid not in told:  # it may succeed on its way out
                self.ended[uid] = phase

    def delete(self, pod: Doc) -> None:
        pod["metadata"]["deletionTimestamp"] = rfc3339(self.now + 30)
        if is_tracked(pod) and pod["status"]["phase"] not in ("Succeeded", "Failed"):
            self.ended.setdefault(pod["metadata"]["uid"], "Failed")
        self.sweep()

    def sweep(self) -> None:
        """Agents are done with pods that were told to go; without a finalizer they are gone."""
        for name, pod in list(self.pods.items()):
            if "deletionTimestamp" in pod["metadata"] and not is_tracked(pod):
                del self.pods[name]

    # -- a turn, write by write -------------------------------------------------------------------

    def planned(self) -> JobPlan:
        if self.book is None:
            self.book = Book("uid")
        for name in {*self.book.active, *self.book.leaving, *self.book.over, *self.pods}:
            self.book.forget(name)
            if name in self.pods:
                self.book.note(facts_of(self.pods[name], None))
        return plan(self.job, self.book, sorted, self.now)

    def writes(self) -> Iterator[None]:
        """One turn; each step is one durable write."""
        if finished(self.job):
            return
        planned = self.planned()
        owner = reference(JOB, self.job)
        for wanted in planned.create:
            pod = pod_from(self.job, owner, wanted)
            self.serial += 1
            self.tries[wanted.index] += 1
            name, uid = f"{pod['metadata']['generateName']}{self.serial}", f"uid-{self.serial}"
            stamp = rfc3339(self.now)
            pod["metadata"] |= {"name": name, "uid": uid, "creationTimestamp": stamp}
            self.pods[name] = {**pod, "status": {"phase": "Pending"}}
            self.check()
            yield
        for name in planned.drop:
            self.untrack(name)
            yield
        for name in (*planned.drop, *planned.end):
            if name in self.pods:
                self.delete(self.pods[name])
                yield
        self.job = {**self.job, "status": planned.status}
        yield
        assert self.book is not None
        self.book.backoff = planned.backoff
        for name in planned.released:
            self.untrack(name)
            yield

    def untrack(self, name: str) -> None:
        if name in self.pods:
            self.pods[name]["metadata"]["finalizers"] = []
            self.sweep()

    def check(self) -> None:
        live, spec = self.live(), self.job["spec"]
        assert len(live) <= spec["parallelism"]
        indexes = [(pod["metadata"].get("annotations") or {}).get(INDEX) for pod in live]
        if spec["completionMode"] == "Indexed":
            assert len(set(indexes)) == len(indexes), "two pods of one index"

    # -- to the end -------------------------------------------------------------------------------

    def finish(self) -> None:
        for _ in range(200):
            for _ in self.writes():
                pass
            if finished(self.job):
                return
            self.now += 700
            self.end(0, "Succeeded")
        raise AssertionError(f"the Job never ends: {self.job['status']}")


def _job(**spec: Any) -> Doc:
    made = job(**spec)
    made["metadata"] |= {"namespace": "default", "uid": "uid", "generation": 1}
    return default(JOB, {**made, "apiVersion": "batch/v1", "kind": "Job"})


def _deeds() -> st.SearchStrategy[list[tuple[str, int]]]:
    words = ("turn", "turn", "cut", "crash", "succeed", "succeed", "fail", "delete")
    return st.lists(st.tuples(st.sampled_from(words), st.integers(0, 7)), max_size=40)


def _play(model: Model, deeds: list[tuple[str, int]]) -> None:
    for word, number in deeds:
        model.now += 7
        if word == "turn":
            for _ in model.writes():
                pass
        elif word in ("cut", "crash"):
            for done, _ in enumerate(model.writes(), 1):
                if done > number:
                    break
            if word == "crash":
                model.book = None
        elif word == "delete" and (live := model.live()):
            model.delete(live[number % len(live)])
        elif word in ("succeed", "fail"):
            model.end(number, "Succeeded" if word == "succeed" else "Failed")
        model.check()


def _succeeded(model: Model) -> int:
    return sum(phase == "Succeeded" for phase in model.ended.values())


@given(_deeds(), st.integers(1, 6), st.integers(1, 4))
def test_each_end_is_counted_once(
    deeds: list[tuple[str, int]], completions: int, parallelism: int
) -> None:
    model = Model(_job(completions=completions, parallelism=parallelism, backoffLimit=1000))
    _play(model, deeds)
    model.finish()
    status = model.job["status"]
    assert finished(model.job) == "Complete"
    assert status["uncountedTerminatedPods"] == {}
    assert status["succeeded"] == completions
    failures = len(model.ended) - _succeeded(model)
    assert status.get("failed", 0) == failures
    assert not any(is_tracked(pod) for pod in model.pods.values())


@given(_deeds(), st.integers(1, 6), st.integers(1, 4))
def test_each_index_succeeds_once(
    deeds: list[tuple[str, int]], completions: int, parallelism: int
) -> None:
    spec = {"completions": completions, "parallelism": parallelism, "backoffLimit": 1000}
    model = Model(_job(completionMode="Indexed", **spec))
    _play(model, deeds)
    model.finish()
    status = model.job["status"]
    last = completions - 1
    shown = {0: "0", 1: "0,1"}.get(last, f"0-{last}")
    assert (status["succeeded"], status["completedIndexes"]) == (completions, shown)
    assert status.get("failed", 0) == len(model.ended) - _succeeded(model)


@example(
    [
        ("turn", 0),
        ("delete", 0),
        *[("turn", 0)] * 3,
        ("delete", 0),
        ("fail", 1),
        ("turn", 0),
        ("succeed", 0),
    ],
    1,
)
@example([("turn", 0), ("fail", 0), ("fail", 0), ("turn", 0), ("fail", 1), ("delete", 1)], 2)
@given(_deeds(), st.integers(0, 2))
def test_an_index_is_tried_as_often_as_it_may(deeds: list[tuple[str, int]], limit: int) -> None:
    spec = {"completions": 3, "parallelism": 3, "backoffLimitPerIndex": limit}
    model = Model(_job(completionMode="Indexed", **spec))
    _play(model, deeds)
    model.finish()
    status = model.job["status"]
    assert status.get("failed", 0) == len(model.ended) - _succeeded(model)
    # A pod that is told to go and its replacement may both succeed: the index counts once.
    assert status.get("succeeded", 0) <= _succeeded(model)
    assert max(model.tries.values()) <= limit + 1


@given(_deeds(), st.integers(0, 3))
def test_a_job_that_fails_counts_all_its_pods(deeds: list[tuple[str, int]], limit: int) -> None:
    model = Model(_job(completions=4, parallelism=2, backoffLimit=limit))
    _play(model, deeds)
    model.finish()
    status, ended = model.job["status"], model.ended
    assert status.get("succeeded", 0) + status.get("failed", 0) == len(ended)
    assert status.get("succeeded", 0) == _succeeded(model)
    if finished(model.job) == "Failed":
        assert status["failed"] > limit
    else:
        assert status["succeeded"] == 4


def test_a_cut_behind_every_write_changes_nothing() -> None:
    """One run with failures, cut once behind each of its writes, with the book lost."""

    def run(cut_at: int) -> tuple[Model, int]:
        model, done = Model(_job(completions=5, parallelism=2, backoffLimit=100)), 0
        while not finished(model.job):
            for _ in model.writes():
                done += 1
                if done == cut_at:
                    model.book = None
                    break
            model.now += 700
            model.end(0, "Failed" if len(model.ended) % 3 == 1 else "Succeeded")
        return model, done

    whole, count = run(0)
    assert count > 20
    for cut_at in range(1, count + 1):
        model, _ = run(cut_at)
        for word in ("succeeded", "failed"):
            expected = sum(phase.lower() == word for phase in model.ended.values())
            assert model.job["status"].get(word, 0) == expected, cut_at
        assert model.job["status"]["succeeded"] == whole.job["status"]["succeeded"] == 5
