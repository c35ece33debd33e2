"""Jobs in a running world."""

from __future__ import annotations

import pytest

from longshore.core.objects import kinds

from .jobs import conditions, end, index_of, job, leave, live, status, work
from .world import running

REACHED = ("CompletionsReached", "Reached expected number of succeeded pods")


async def test_a_job_of_one_pod_completes() -> None:
    async with running() as world:
        await world.create(kinds.JOB, job())
        await world.quiet()
        (pod,) = world.pods()
        assert pod["metadata"]["name"].startswith("work-")
        assert pod["metadata"]["finalizers"] == ["batch.kubernetes.io/job-tracking"]
        assert status(world)["active"] == 1
        assert status(world)["startTime"]
        await work(world)
        assert status(world)["succeeded"] == 1
        assert "active" not in status(world)
        assert status(world)["uncountedTerminatedPods"] == {}
        assert conditions(world) == {"SuccessCriteriaMet": REACHED, "Complete": REACHED}
        assert status(world)["completionTime"]
        assert "finalizers" not in world.pods()[0]["metadata"]
        assert world.events("Completed") == ["Job completed"]


async def test_never_more_pods_than_parallelism_nor_than_are_left_to_complete() -> None:
    async with running() as world:
        await world.create(kinds.JOB, job(completions=5, parallelism=3))
        await world.quiet()
        assert len(live(world)) == 3
        await end(world, live(world)[:1])
        await world.quiet()
        assert len(live(world)) == 3
        await end(world, live(world)[:2])
        await world.quiet()
        assert len(live(world)) == 2
        await work(world)
        assert status(world)["succeeded"] == 5
        assert len(world.pods()) == 5


async def test_without_completions_one_success_is_enough() -> None:
    async with running() as world:
        await world.create(kinds.JOB, job(parallelism=3))
        await world.quiet()
        await end(world, live(world)[:1])
        await world.quiet()
        assert len(live(world)) == 2, "those that run go on, no other is made"
        assert "Complete" not in conditions(world)
        await end(world, live(world), 1)
        await world.quiet()
        assert "Complete" in conditions(world)
        assert (status(world)["succeeded"], status(world)["failed"]) == (1, 2)


async def test_failed_pods_are_replaced_ever_later_until_the_limit() -> None:
    async with running() as world:
        await world.create(kinds.JOB, job(backoffLimit=2))
        await world.quiet()
        for pause in (10, 20):
            await end(world, live(world), 1)
            await world.quiet()
            assert not live(world)
            await world.clock.advance(pause - 3)
            await world.quiet()
            assert not live(world), f"no sooner than {pause} s"
            await world.clock.advance(4)
            await world.quiet()
            assert len(live(world)) == 1
        await end(world, live(world), 1)
        await world.quiet()
        why = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
        assert conditions(world) == {"FailureTarget": why, "Failed": why}
        assert status(world)["failed"] == 3
        assert world.events("BackoffLimitExceeded") == [why[1]]


async def test_indexed_pods_have_index_and_hostname() -> None:
    async with running() as world:
        await world.create(kinds.JOB, job(completionMode="Indexed", completions=4, parallelism=2))
        await world.quiet()
        pods = sorted(live(world), key=index_of)
        assert [index_of(pod) for pod in pods] == [0, 1]
        assert [pod["spec"]["hostname"] for pod in pods] == ["work-0", "work-1"]
        assert pods[1]["metadata"]["name"].startswith("work-1-")
        assert pods[1]["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"] == "1"
        (variable,) = pods[0]["spec"]["containers"][0]["env"]
        assert variable["name"] == "JOB_COMPLETION_INDEX"
        path = "metadata.labels['batch.kubernetes.io/job-completion-index']"
        assert variable["valueFrom"]["fieldRef"]["fieldPath"] == path
        await end(world, pods[1:])
        await world.quiet()
        assert sorted(map(index_of, live(world))) == [0, 2]
        assert status(world)["completedIndexes"] == "1"
        await end(world, [pod for pod in live(world) if index_of(pod) == 2])
        await world.quiet()
        assert status(world)["completedIndexes"] == "1,2"
        await work(world)
        assert status(world)["completedIndexes"] == "0-3"
        assert status(world)["succeeded"] == 4
        assert "Complete" in conditions(world)
