"""Jobs in a running world."""

from __future__ import annotations

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.job.metrics import JobMetrics
from longshore.machinery.controllers.run_all import ControllerConfig

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


async def test_pods_wait_for_their_index_by_index() -> None:
    """backoffLimitPerIndex: index 1 fails for good, the others go on."""
    async with running() as world:
        spec = {"completions": 3, "parallelism": 3, "backoffLimitPerIndex": 1}
        await world.create(kinds.JOB, job(completionMode="Indexed", **spec))
        await world.quiet()
        await end(world, [pod for pod in live(world) if index_of(pod) == 1], 1)
        await world.quiet()
        assert sorted(map(index_of, live(world))) == [0, 2]
        assert "failed" not in status(world), "it is counted when the next one knows of it"
        await world.clock.advance(11)
        await world.quiet()
        (again,) = [pod for pod in live(world) if index_of(pod) == 1]
        count = "batch.kubernetes.io/job-index-failure-count"
        assert again["metadata"]["annotations"][count] == "1"
        assert status(world)["failed"] == 1
        await end(world, [again], 1)
        await world.quiet()
        assert status(world)["failedIndexes"] == "1"
        await work(world)
        why = ("FailedIndexes", "Job has failed indexes")
        assert conditions(world) == {"FailureTarget": why, "Failed": why}
        assert status(world)["completedIndexes"] == "0,2"
        assert (status(world)["succeeded"], status(world)["failed"]) == (2, 2)


async def test_too_many_failed_indexes_end_the_job() -> None:
    async with running() as world:
        spec = {"completions": 5, "parallelism": 5, "backoffLimitPerIndex": 0}
        await world.create(kinds.JOB, job(completionMode="Indexed", maxFailedIndexes=1, **spec))
        await world.quiet()
        await end(world, live(world)[:2], 1)
        await world.quiet()
        await leave(world)
        await world.quiet()
        assert conditions(world)["Failed"] == (
            "MaxFailedIndexesExceeded",
            "Job has exceeded the specified maximal number of failed indexes",
        )
        assert live(world) == []
        assert status(world)["failed"] == 5


def _policy(*rules: Doc) -> Doc:
    return {"podFailurePolicy": {"rules": list(rules)}}


def _codes(action: str, *values: int) -> Doc:
    return {"action": action, "onExitCodes": {"operator": "In", "values": list(values)}}


async def test_an_exit_code_fails_the_job_at_once() -> None:
    async with running() as world:
        spec = {"completions": 3, "parallelism": 3, **_policy(_codes("FailJob", 42))}
        await world.create(kinds.JOB, job(**spec))
        await world.quiet()
        bad = live(world)[0]
        await end(world, [bad], 42)
        await world.quiet()
        why = (
            "PodFailurePolicy",
            f"Container c for pod default/{bad['metadata']['name']} failed with exit code 42 "
            "matching FailJob rule at index 0",
        )
        assert conditions(world) == {"FailureTarget": why}, "two pods still have to end"
        assert status(world)["terminating"] == 2
        await leave(world)
        await world.quiet()
        assert conditions(world)["Failed"] == why
        assert status(world)["failed"] == 3


async def test_disruptions_can_be_ignored() -> None:
    async with running() as world:
        disrupted = {"type": "DisruptionTarget", "status": "True"}
        rule = {"action": "Ignore", "onPodConditions": [disrupted]}
        await world.create(kinds.JOB, job(backoffLimit=0, **_policy(rule)))
        await world.quiet()
        (pod,) = live(world)
        now = pod["metadata"]["creationTimestamp"]
        gone = {**disrupted, "reason": "x", "message": "", "lastTransitionTime": now}
        await end(world, [pod], 137, conditions=[*pod["status"]["conditions"], gone])
        await world.clock.advance(11)
        await work(world)
        assert "Complete" in conditions(world)
        assert "failed" not in status(world)


async def test_an_index_can_fail_at_its_first_try() -> None:
    async with running() as world:
        spec = {"completions": 2, "parallelism": 2, "backoffLimitPerIndex": 5}
        spec |= _policy(_codes("FailIndex", 3))
        await world.create(kinds.JOB, job(completionMode="Indexed", **spec))
        await work(world, lambda pod: 3 if index_of(pod) == 0 else 0)
        assert status(world)["failedIndexes"] == "0"
        assert status(world)["completedIndexes"] == "1"
        assert conditions(world)["Failed"] == ("FailedIndexes", "Job has failed indexes")


@pytest.mark.parametrize(
    ("rule", "needed"),
    [
        ({"succeededCount": 2}, [4, 3]),
        ({"succeededIndexes": "0,2-3"}, [3, 2, 0]),
        ({"succeededIndexes": "0-3", "succeededCount": 1}, [3]),
    ],
)
async def test_a_success_policy_needs_not_all(rule: Doc, needed: list[int]) -> None:
    async with running() as world:
        spec = {"completions": 5, "parallelism": 5, "successPolicy": {"rules": [rule]}}
        await world.create(kinds.JOB, job(completionMode="Indexed", **spec))
        await world.quiet()
        pods = {index_of(pod): pod for pod in live(world)}
        for index in needed:
            assert "SuccessCriteriaMet" not in conditions(world)
            await end(world, [pods[index]])
            await world.quiet()
        met = ("SuccessPolicy", "Matched rules at index 0")
        assert conditions(world) == {"SuccessCriteriaMet": met}
        assert live(world) == []
        await leave(world)
        await world.quiet()
        assert conditions(world)["Complete"] == met
        assert status(world)["succeeded"] == len(needed)


async def test_a_suspended_job_runs_nothing_and_forgets_no_success() -> None:
    async with running() as world:
        await world.create(kinds.JOB, job(suspend=True, completions=3, parallelism=3))
        await world.quiet()
        assert world.pods() == []
        assert "startTime" not in status(world)
        assert conditions(world) == {"Suspended": ("JobSuspended", "Job suspended")}
        await world.patch(kinds.JOB, "work", {"spec": {"suspend": False}})
        await world.quiet()
        assert len(live(world)) == 3
        assert conditions(world) == {}
        await end(world, live(world)[:1])
        await world.quiet()
        await world.patch(kinds.JOB, "work", {"spec": {"suspend": True}})
        await world.quiet()
        await leave(world)
        await world.quiet()
        assert live(world) == []
        assert "failed" not in status(world), "who is suspended has not failed"
        await world.patch(kinds.JOB, "work", {"spec": {"suspend": False}})
        await work(world)
        assert status(world)["succeeded"] == 3
        assert world.events("Suspended") == ["Job suspended"]
        assert world.events("Resumed") == ["Job resumed"]


async def test_a_deadline_counts_from_the_last_resumption() -> None:
    async with running() as world:
        await world.create(kinds.JOB, job(activeDeadlineSeconds=60))
        await world.quiet()
        await world.clock.advance(50)
        await world.patch(kinds.JOB, "work", {"spec": {"suspend": True}})
        await world.quiet()
        await world.clock.advance(500)
        await world.patch(kinds.JOB, "work", {"spec": {"suspend": False}})
        await world.quiet()
        await world.clock.advance(50)
        await world.quiet()
        assert conditions(world) == {}
        await world.clock.advance(11)
        await world.quiet()
        await leave(world)
        await world.quiet()
        why = ("DeadlineExceeded", "Job was active longer than specified deadline")
        assert conditions(world) == {"FailureTarget": why, "Failed": why}


async def test_pods_on_their_way_out_are_replaced_when_the_policy_says() -> None:
    for policy, expected in (("TerminatingOrFailed", 2), ("Failed", 1)):
        async with running() as world:
            await world.create(
                kinds.JOB, job(completions=2, parallelism=2, podReplacementPolicy=policy)
            )
            await world.quiet()
            await world.delete(kinds.POD, live(world)[0]["metadata"]["name"])
            await world.clock.advance(11)
            await world.quiet()
            assert len(live(world)) == expected
            assert status(world)["terminating"] == 1


async def test_a_job_shrinks_and_grows_with_its_indexes() -> None:
    async with running() as world:
        await world.create(kinds.JOB, job(completionMode="Indexed", completions=5, parallelism=5))
        await world.quiet()
        await end(world, [pod for pod in live(world) if index_of(pod) in (0, 4)])
        await world.quiet()
        await world.patch(kinds.JOB, "work", {"spec": {"completions": 2, "parallelism": 2}})
        await world.quiet()
        await leave(world)
        await world.quiet()
        assert list(map(index_of, live(world))) == [1]
        assert status(world)["completedIndexes"] == "0"
        await world.patch(kinds.JOB, "work", {"spec": {"completions": 3, "parallelism": 3}})
        await work(world)
        assert status(world)["completedIndexes"] == "0-2"


async def test_less_parallelism_ends_pods_that_do_not_count() -> None:
    async with running() as world:
        await world.create(kinds.JOB, job(completions=6, parallelism=4))
        await world.quiet()
        await world.patch(kinds.JOB, "work", {"spec": {"parallelism": 1}})
        await world.quiet()
        await leave(world)
        await world.quiet()
        assert len(live(world)) == 1
        assert "failed" not in status(world)


async def test_who_is_managed_by_others_is_left_alone() -> None:
    async with running() as world:
        await world.create(kinds.JOB, job(managedBy="example.com/mine"))
        await world.quiet()
        assert world.pods() == []
        assert not world.get(kinds.JOB, "work").get("status")


async def test_restarts_of_containers_count_as_failures() -> None:
    async with running() as world:
        template = {**job()["spec"]["template"]["spec"], "restartPolicy": "OnFailure"}
        await world.create(kinds.JOB, job(backoffLimit=3, template={"spec": template}))
        await world.play()
        (pod,) = live(world)
        container = {
            "name": "c", "image": "one", "imageID": "", "ready": True, "restartCount": 3,
            "state": {"running": {}},
        }  # fmt: skip
        patch = {"status": {"containerStatuses": [container]}}
        await world.patch(kinds.POD, pod["metadata"]["name"], patch, "status")
        await world.play()
        assert conditions(world)["Failed"][0] == "BackoffLimitExceeded"


async def test_a_pod_is_released_and_adopted_by_its_labels() -> None:
    async with running() as world:
        await world.create(kinds.JOB, job())
        await world.quiet()
        (pod,) = world.pods()
        name, labels = pod["metadata"]["name"], pod["metadata"]["labels"]
        await world.patch(kinds.POD, name, {"metadata": {"labels": dict.fromkeys(labels, None)}})
        await world.quiet()
        released = world.get(kinds.POD, name)["metadata"]
        assert "ownerReferences" not in released
        assert "finalizers" not in released
        (other,) = (one for one in world.pods() if one["metadata"]["name"] != name)
        await world.delete(kinds.POD, other["metadata"]["name"], grace_s=0)
        await world.patch(kinds.POD, name, {"metadata": {"labels": labels}})
        await world.quiet()
        adopted = world.get(kinds.POD, name)["metadata"]
        assert adopted["ownerReferences"][0]["kind"] == "Job"
        assert adopted["finalizers"] == ["batch.kubernetes.io/job-tracking"]


async def test_pods_of_a_deleted_job_are_not_held() -> None:
    for propagation in ("Background", "Foreground", "Orphan"):
        async with running() as world:
            await world.create(kinds.JOB, job(completions=3, parallelism=3))
            await world.play()
            await end(world, live(world)[:1])
            await world.delete(kinds.JOB, "work", propagation=propagation)
            await world.play()
            assert world.missing(kinds.JOB, "work")
            left = world.cache.all(kinds.POD, "default")
            assert len(left) == (3 if propagation == "Orphan" else 0)
            assert not any(pod["metadata"].get("finalizers") for pod in left)


async def test_a_quota_that_is_full_is_told_of_and_tried_again() -> None:
    async with running() as world:
        quota = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "2"}}}
        await world.create(kinds.RESOURCE_QUOTA, quota)
        await world.quiet()
        await world.create(kinds.JOB, job(completions=4, parallelism=4))
        await world.clock.advance(1)
        assert len(live(world)) == 2
        assert status(world)["active"] == 2
        assert any("exceeded quota" in one for one in world.events("FailedCreate"))
        await world.patch(kinds.RESOURCE_QUOTA, "q", {"spec": {"hard": {"pods": "9"}}})
        await world.clock.advance(120)
        assert len(live(world)) == 4


async def test_many_completions_cost_a_few_turns() -> None:
    async with running(nodes=10) as world:
        await world.create(kinds.JOB, job(completions=600, parallelism=600))
        await work(world)
        assert status(world)["succeeded"] == 600
        assert len(world.pods()) == 600


async def test_a_pod_that_never_had_a_node_is_replaced_though_only_failed_ones_are() -> None:
    async with running(nodes=0) as world:
        await world.create(kinds.JOB, job(podReplacementPolicy="Failed"))
        await world.quiet()
        (pod,) = world.pods()
        await world.delete(kinds.POD, pod["metadata"]["name"])
        await world.clock.advance(11)
        await world.quiet()
        (other,) = world.pods()
        assert other["metadata"]["name"] != pod["metadata"]["name"]
        assert status(world)["failed"] == 1


async def test_a_pod_of_a_node_that_is_gone_can_be_ignored() -> None:
    async with running(nodes=1) as world:
        disrupted = {"type": "DisruptionTarget", "status": "True"}
        rule = {"action": "Ignore", "onPodConditions": [disrupted]}
        await world.create(kinds.JOB, job(backoffLimit=0, **_policy(rule)))
        await world.play()
        await world.delete(kinds.NODE, "n0")
        await world.clock.advance(120)
        await world.node("n1")
        await work(world)
        assert "Complete" in conditions(world)
        assert "failed" not in status(world)


async def test_a_taint_that_drives_out_says_so() -> None:
    async with running(nodes=1) as world:
        await world.create(kinds.JOB, job())
        await world.play()
        (pod,) = world.pods()
        taint = {"key": "k", "effect": "NoExecute"}
        await world.patch(kinds.NODE, "n0", {"spec": {"taints": [taint]}})
        await world.quiet()
        told = world.get(kinds.POD, pod["metadata"]["name"])
        target = next(c for c in told["status"]["conditions"] if c["type"] == "DisruptionTarget")
        assert target["reason"] == "DeletionByTaintManager"


async def test_what_is_counted_has_upstream_names() -> None:
    metrics = JobMetrics()
    async with running(ControllerConfig(jobs=metrics)) as world:
        await world.create(kinds.JOB, job(completions=2, backoffLimit=0))
        await work(world)
        await world.create(kinds.JOB, job("bad", backoffLimit=0))
        await work(world, lambda pod: 1)
        told = set(metrics.lines())
    mode = 'completion_mode="NonIndexed"'
    reached, limit = 'reason="CompletionsReached"', 'reason="BackoffLimitExceeded"'
    expected = {
        f'job_controller_jobs_finished_total{{{mode},result="succeeded",{reached}}} 1',
        f'job_controller_jobs_finished_total{{{mode},result="failed",{limit}}} 1',
        f'job_controller_job_pods_finished_total{{{mode},result="succeeded"}} 2',
        f'job_controller_job_pods_finished_total{{{mode},result="failed"}} 1',
        'job_controller_job_pods_creation_total{reason="new",status="succeeded"} 3',
    }
    assert expected <= told, told
