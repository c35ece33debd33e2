"""Upstream's defaults of workloads, jobs, autoscalers, claims and limits."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from longshore.core.objects.defaults import default
from longshore.core.objects.kinds import (
    CRON_JOB,
    DAEMON_SET,
    HPA,
    JOB,
    LIMIT_RANGE,
    POD,
    PV,
    PVC,
    REPLICATION_CONTROLLER,
    STATEFUL_SET,
    Doc,
    Kind,
)

from .minimal import CLAIM, LABELS, minimal
from .samples import pod


def defaulted(kind: Kind, doc: Doc) -> Doc:
    return default(kind, orjson.loads(orjson.dumps(doc)))


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (REPLICATION_CONTROLLER, {"replicas": 1, "selector": LABELS}),
        (DAEMON_SET, {
            "revisionHistoryLimit": 10,
            "updateStrategy": {"type": "RollingUpdate",
                               "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}}),
        (STATEFUL_SET, {
            "replicas": 1, "podManagementPolicy": "OrderedReady", "revisionHistoryLimit": 10,
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "updateStrategy": {"type": "RollingUpdate",
                               "rollingUpdate": {"partition": 0, "maxUnavailable": 1}}}),
        (JOB, {"completions": 1, "parallelism": 1, "backoffLimit": 6, "suspend": False,
               "completionMode": "NonIndexed", "podReplacementPolicy": "TerminatingOrFailed"}),
        (CRON_JOB, {"concurrencyPolicy": "Allow", "suspend": False, "successfulJobsHistoryLimit": 3,
                    "failedJobsHistoryLimit": 1}),
        (PVC, {"volumeMode": "Filesystem"}),
        (PV, {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem",
              "hostPath": {"path": "/data", "type": ""}}),
        (HPA, {"minReplicas": 1, "metrics": [{"type": "Resource", "resource": {
            "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]}),
    ],
)  # fmt: skip
def test_what_nobody_set(kind: Kind, fields: dict[str, Any]) -> None:
    spec = defaulted(kind, minimal(kind))["spec"]
    assert {name: spec[name] for name in fields} == fields


def test_a_job_has_limits_that_fit_together() -> None:
    spec = defaulted(JOB, minimal(JOB, parallelism=3))["spec"]
    assert "completions" not in spec  # any success ends it
    by_index = defaulted(JOB, minimal(JOB, completionMode="Indexed", backoffLimitPerIndex=1))
    assert by_index["spec"]["backoffLimit"] == 2**31 - 1
    policy = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}
    spec = defaulted(JOB, minimal(JOB, podFailurePolicy=policy))["spec"]
    assert spec["podReplacementPolicy"] == "Failed"
    assert spec["podFailurePolicy"]["rules"][0]["onPodConditions"][0]["status"] == "True"


def test_labels_of_the_template_become_those_of_the_object() -> None:
    assert defaulted(REPLICATION_CONTROLLER, minimal(REPLICATION_CONTROLLER))["metadata"][
        "labels"
    ] == (LABELS)


def test_a_job_inside_a_schedule_is_defaulted_only_when_it_is_made() -> None:
    job = defaulted(CRON_JOB, minimal(CRON_JOB))["spec"]["jobTemplate"]["spec"]
    assert job["template"]["spec"]["dnsPolicy"] == "ClusterFirst"
    assert set(job) == {"template"}


def test_templates_of_claims_are_claims() -> None:
    claims = [{"metadata": {"name": "data"}, "spec": CLAIM}]
    [claim] = defaulted(STATEFUL_SET, minimal(STATEFUL_SET, volumeClaimTemplates=claims))["spec"][
        "volumeClaimTemplates"
    ]
    assert (claim["apiVersion"], claim["kind"]) == ("v1", "PersistentVolumeClaim")
    assert claim["spec"]["volumeMode"] == "Filesystem"
    assert claim["status"] == {"phase": "Pending"}


def test_behavior_is_completed_on_both_sides() -> None:
    given = {"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}}
    behavior = defaulted(HPA, minimal(HPA, behavior=given))["spec"]["behavior"]
    assert behavior == {
        "scaleDown": {**given["scaleDown"], "selectPolicy": "Max"},
        "scaleUp": {
            "stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [
                {"type": "Pods", "value": 4, "periodSeconds": 15},
                {"type": "Percent", "value": 100, "periodSeconds": 15},
            ],
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "filled"),
    [
        ("Container", {"default": {"cpu": "2"}, "defaultRequest": {"cpu": "2", "memory": "1Mi"}}),
        ("Pod", {}),
    ],
)
def test_limits_of_containers_follow_from_one_another(kind: str, filled: Doc) -> None:
    item = {"type": kind, "max": {"cpu": "2"}, "min": {"cpu": "1", "memory": "1Mi"}}
    doc = defaulted(LIMIT_RANGE, minimal(LIMIT_RANGE, limits=[item]))
    assert doc["spec"]["limits"] == [{**item, **filled}]


@pytest.mark.parametrize(
    ("volume", "filled"),
    [
        ({"image": {"reference": "a:1"}}, {"image": {"reference": "a:1", "pullPolicy": "IfNotPresent"}}),
        ({"image": {"reference": "a"}}, {"image": {"reference": "a", "pullPolicy": "Always"}}),
        ({"ephemeral": {"volumeClaimTemplate": {"spec": CLAIM}}},
         {"ephemeral": {"volumeClaimTemplate": {"spec": {**CLAIM, "volumeMode": "Filesystem"}}}}),
        ({"iscsi": {"lun": 0}}, {"iscsi": {"lun": 0, "iscsiInterface": "default"}}),
    ],
)  # fmt: skip
def test_sources_of_volumes(volume: Doc, filled: Doc) -> None:
    doc = defaulted(POD, pod(volumes=[{"name": "v", **volume}]))
    assert doc["spec"]["volumes"] == [{"name": "v", **filled}]


_LIMITS = {"cpu": "2", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("whole", "containers", "made"),
    [
        # What containers ask for is asked for, else what the limit is.
        ({"limits": _LIMITS}, [{"requests": {"cpu": "1"}}],
         {"limits": _LIMITS, "requests": {"cpu": "1", "memory": "1Gi"}}),
        ({"limits": _LIMITS}, [{"requests": {"cpu": "1"}}, {"requests": {"cpu": "500m"}}],
         {"limits": _LIMITS, "requests": {"cpu": "1500m", "memory": "1Gi"}}),
        # Where each container has a limit the pod has one: their sum, or its request.
        ({"requests": {"cpu": "1"}}, [{"limits": {"cpu": "1"}}, {"limits": {"cpu": "2"}}],
         {"requests": {"cpu": "1"}, "limits": {"cpu": "3"}}),
        ({"requests": {"cpu": "5"}}, [{"limits": {"cpu": "1"}}],
         {"requests": {"cpu": "5"}, "limits": {"cpu": "5"}}),
        ({"requests": {"cpu": "1"}}, [{"limits": {"cpu": "1"}}, {}], {"requests": {"cpu": "1"}}),
        ({"requests": {"cpu": "1"}}, [{"limits": {"hugepages-2Mi": "4Mi", "memory": "1Gi"}}],
         {"requests": {"cpu": "1", "hugepages-2Mi": "4Mi", "memory": "1Gi"},
          "limits": {"hugepages-2Mi": "4Mi", "memory": "1Gi"}}),
        ({}, [{"limits": {"cpu": "1"}}], {}),
    ],
)  # fmt: skip
def test_a_whole_pods_resources_follow_its_containers(
    whole: Doc, containers: list[Doc], made: Doc
) -> None:
    listed = [
        {"name": f"c{number}", "image": "a:1", "resources": resources}
        for number, resources in enumerate(containers)
    ]
    doc = defaulted(POD, pod(containers=listed, resources=whole))
    assert doc["spec"]["resources"] == made


def test_a_grace_below_nothing_is_one_second() -> None:
    doc = defaulted(POD, pod(terminationGracePeriodSeconds=-3))
    assert doc["spec"]["terminationGracePeriodSeconds"] == 1
