"""Jobs and CronJobs through kubectl, on hollow nodes: what the conformance suite asks of them (its
tests of apps/v1 Job and CronJob, one each here)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .driver import Cluster, eventually, within

pytestmark = pytest.mark.slow
_INDEX = "batch.kubernetes.io/job-completion-index"


@pytest.fixture(scope="module")
def kube(hollow: Cluster) -> Iterator[Cluster]:
    with within(hollow, "jobs") as own:
        yield own


def job(name: str, ends: str = "0", **spec: Any) -> dict[str, Any]:
    """ends says how its pods do, see docs/testing.md."""
    container = {"name": "c", "image": "busybox"}
    template = {
        "metadata": {"annotations": {"longshore.io/hollow-exit": ends}},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    return {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "labels": {"t": name}},
        "spec": {"template": template, **spec},
    }  # fmt: skip


def indexed(name: str, ends: str = "0", **spec: Any) -> dict[str, Any]:
    return job(name, ends, completionMode="Indexed", **spec)


def cron(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": {"name": name, "labels": {"t": name}},
        "spec": {"schedule": "@every 1s", "jobTemplate": {"spec": job("x")["spec"]}, **spec},
    }  # fmt: skip


def pods_of(kube: Cluster, name: str) -> list[dict[str, Any]]:
    return kube.pods(f"batch.kubernetes.io/job-name={name}", "jobs")


def ended(kube: Cluster, name: str, how: str = "Complete") -> dict[str, Any]:
    """The Job's status once it is over."""
    kube.kubectl("wait", f"job/{name}", f"--for=condition={how}", "--timeout=120s")
    found: dict[str, Any] = kube.get("job", name)["status"]
    return found


def reason(status: dict[str, Any], type_: str) -> str:
    return next(str(c["reason"]) for c in status["conditions"] if c["type"] == type_)


async def test_pods_are_adopted_and_released(kube: Cluster) -> None:
    kube.apply(job("adopt", "0 after 600", parallelism=2, completions=2))
    await eventually(lambda: len(pods_of(kube, "adopt")) == 2, "two pods")
    pod = pods_of(kube, "adopt")[0]
    name, owned = pod["metadata"]["name"], "{.metadata.ownerReferences[0].name}"
    kube.kubectl("patch", "pod", name, "--type=json", "-p",
                 '[{"op":"remove","path":"/metadata/ownerReferences"}]')  # fmt: skip
    await eventually(
        lambda: kube.kubectl("get", "pod", name, f"-o=jsonpath={owned}") == "adopt",
        "the pod is adopted",
    )
    keys = [f"{key}-" for key in pod["metadata"]["labels"]]
    kube.kubectl("label", "pod", name, *keys)
    await eventually(
        lambda: not kube.get("pod", name)["metadata"].get("ownerReferences"), "the pod is released"
    )
    await eventually(lambda: len(pods_of(kube, "adopt")) == 2, "two pods")


async def test_disruptions_are_ignored(kube: Cluster) -> None:
    rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
    policy = {"rules": [rule]}
    kube.apply(job("disrupted", "0 after 3", backoffLimit=0, podFailurePolicy=policy))
    await eventually(lambda: len(pods_of(kube, "disrupted")) == 1, "a pod")
    name = pods_of(kube, "disrupted")[0]["metadata"]["name"]
    eviction = {
        "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name},
        "deleteOptions": {"gracePeriodSeconds": 1},
    }  # fmt: skip
    path = f"/api/v1/namespaces/jobs/pods/{name}/eviction"
    kube.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
    status = ended(kube, "disrupted")
    assert (status["succeeded"], status.get("failed")) == (1, None)


def test_an_exit_code_fails_the_job(kube: Cluster) -> None:
    codes = {"operator": "In", "values": [7]}
    policy = {"rules": [{"action": "FailJob", "onExitCodes": codes}]}
    kube.apply(job("fatal", "7", podFailurePolicy=policy))
    status = ended(kube, "fatal", "Failed")
    assert reason(status, "Failed") == "PodFailurePolicy"
    assert "failed with exit code 7 matching FailJob rule at index 0" in str(status)


def test_the_status_is_a_subresource(kube: Cluster) -> None:
    kube.apply(job("told", "0 after 600"))
    condition = {"type": "Mine", "status": "True"}
    patch = json.dumps({"status": {"conditions": [condition]}})
    kube.kubectl("patch", "job", "told", "--subresource=status", "--type=merge", "-p", patch)
    shown = kube.kubectl("get", "job", "told", "--subresource=status", "-o", "json")
    assert "Mine" in {one["type"] for one in json.loads(shown)["status"]["conditions"]}


def test_every_index_succeeds(kube: Cluster) -> None:
    kube.apply(indexed("indexed", completions=4, parallelism=2))
    assert ended(kube, "indexed")["completedIndexes"] == "0-3"
    indexes = {pod["metadata"]["annotations"][_INDEX] for pod in pods_of(kube, "indexed")}
    assert indexes == {"0", "1", "2", "3"}
    shown = kube.kubectl("get", "jobs", "indexed").split()
    assert shown[6:8] == ["Complete", "4/4"]
    assert "Completed Indexes:  0-3" in kube.kubectl("describe", "job", "indexed")


async def test_a_deleted_job_takes_its_pods_along(kube: Cluster) -> None:
    kube.apply(job("gone", "0 after 600", parallelism=2, completions=2))
    await eventually(lambda: len(pods_of(kube, "gone")) == 2, "two pods")
    kube.kubectl("delete", "job", "gone", "--timeout=120s")
    await eventually(lambda: not pods_of(kube, "gone"), "its pods are gone")


def test_an_index_that_fails_leaves_the_others_alone(kube: Cluster) -> None:
    kube.apply(indexed("some", "1 at 1,3; 0", completions=4, parallelism=4, backoffLimitPerIndex=0))
    status = ended(kube, "some", "Failed")
    assert (status["completedIndexes"], status["failedIndexes"]) == ("0,2", "1,3")
    assert reason(status, "Failed") == "FailedIndexes"


def test_a_rule_fails_an_index(kube: Cluster) -> None:
    codes = {"operator": "In", "values": [3]}
    policy = {"rules": [{"action": "FailIndex", "onExitCodes": codes}]}
    spec = {"completions": 2, "parallelism": 2, "backoffLimitPerIndex": 6}
    kube.apply(indexed("rule", "3 at 0; 0", podFailurePolicy=policy, **spec))
    status = ended(kube, "rule", "Failed")
    assert (status["completedIndexes"], status["failedIndexes"]) == ("1", "0")


def test_too_many_failed_indexes(kube: Cluster) -> None:
    spec = {"completions": 6, "parallelism": 3, "backoffLimitPerIndex": 0, "maxFailedIndexes": 1}
    kube.apply(indexed("toomany", "1", **spec))
    status = ended(kube, "toomany", "Failed")
    assert reason(status, "Failed") == "MaxFailedIndexesExceeded"
    assert "completedIndexes" not in status


async def test_the_life_of_a_job(kube: Cluster) -> None:
    kube.apply(job("life", "0 after 1", suspend=True, completions=2, parallelism=1))
    kube.kubectl("wait", "job/life", "--for=condition=Suspended", "--timeout=120s")
    assert pods_of(kube, "life") == []
    kube.kubectl("patch", "job", "life", "-p", '{"spec":{"parallelism":2}}')
    there = kube.get("job", "life")
    there["spec"]["suspend"] = False
    kube.kubectl("replace", "-f", "-", stdin=json.dumps(there))
    assert ended(kube, "life")["succeeded"] == 2
    kube.kubectl("delete", "jobs", "-l", "t=life", "--timeout=120s")
    assert kube.get("jobs", "-l", "t=life")["items"] == []
    await eventually(lambda: not pods_of(kube, "life"), "its pods are gone")


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("all", {"succeededIndexes": "0-2"}),
        ("count", {"succeededCount": 1}),
        ("named", {"succeededIndexes": "0", "succeededCount": 1}),
    ],
)
def test_a_success_policy(kube: Cluster, name: str, rule: dict[str, Any]) -> None:
    ends = "0" if name == "all" else "0 at 0; 1 after 600"
    spec = {"completions": 3, "parallelism": 3, "successPolicy": {"rules": [rule]}}
    document = indexed(f"success-{name}", ends, **spec)
    document["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 1
    kube.apply(document)
    status = ended(kube, f"success-{name}")
    assert reason(status, "Complete") == ("SuccessPolicy")
    assert status["completedIndexes"] == ("0-2" if name == "all" else "0")


async def test_a_cron_job_makes_jobs_and_a_suspended_one_makes_none(kube: Cluster) -> None:
    kube.apply(cron("tick"))
    kube.apply(cron("still", suspend=True))
    found = "{.status.active[*].name}{.status.lastSuccessfulTime}"
    await eventually(
        lambda: bool(kube.kubectl("get", "cronjob", "tick", f"-o=jsonpath={found}")),
        "a Job was made",
    )
    made = [one["metadata"]["name"] for one in kube.get("jobs")["items"]]
    assert any(name.startswith("tick-") for name in made)
    assert not any(name.startswith("still-") for name in made)
    kube.kubectl("delete", "cronjob", "tick", "still", "--timeout=120s")
    await eventually(lambda: "tick-" not in kube.kubectl("get", "jobs"), "its Jobs go with it")


def test_a_job_from_a_cron_job(kube: Cluster) -> None:
    kube.apply(cron("nightly", schedule="0 0 1 1 *", timeZone="Europe/Vienna"))
    kube.kubectl("create", "job", "now", "--from=cronjob/nightly")
    assert ended(kube, "now")["succeeded"] == 1
    (owner,) = kube.get("job", "now")["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("CronJob", "nightly")
    shown = kube.kubectl("get", "cronjob", "nightly").split("\n")[1].split()
    assert shown == ["nightly", "0", "0", "1", "1", "*", "Europe/Vienna", "False", "0", "<none>",
                     shown[-1]]  # fmt: skip


def test_the_life_of_a_cron_job(kube: Cluster) -> None:
    kube.apply(cron("api", schedule="0 0 1 1 *"))
    kube.kubectl("annotate", "cronjob", "api", "patched=true")
    there = kube.get("cronjob", "api")
    there["spec"]["concurrencyPolicy"] = "Forbid"
    kube.kubectl("replace", "-f", "-", stdin=json.dumps(there))
    patch = '{"status":{"lastScheduleTime":"2026-01-01T00:00:00Z"}}'
    kube.kubectl("patch", "cronjob", "api", "--subresource=status", "--type=merge", "-p", patch)
    assert "2026-01-01" in kube.kubectl("get", "cronjob", "api", "-o", "yaml")
    assert "Concurrency Policy:            Forbid" in kube.kubectl("describe", "cronjob", "api")
    kube.kubectl("delete", "cronjobs", "-l", "t=api", "--timeout=120s")
    assert kube.get("cronjobs", "-l", "t=api")["items"] == []


def test_they_are_measured(kube: Cluster) -> None:
    kube.apply(job("measured"))
    ended(kube, "measured")
    told = kube.kubectl("get", "--raw", "/metrics")
    assert 'job_controller_jobs_finished_total{completion_mode="NonIndexed"' in told
