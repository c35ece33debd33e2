"""What is refused of workloads, jobs, autoscalers, claims, quotas and budgets, in which words."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from longshore.core.objects import meta
from longshore.core.objects.defaults import default
from longshore.core.objects.kinds import (
    CONTROLLER_REVISION,
    CRON_JOB,
    DAEMON_SET,
    HPA,
    JOB,
    LIMIT_RANGE,
    PDB,
    PV,
    PVC,
    REPLICATION_CONTROLLER,
    RESOURCE_QUOTA,
    STATEFUL_SET,
    Doc,
    Kind,
)
from longshore.core.objects.rules import validate_create, validate_update
from longshore.core.objects.validation import check

from .minimal import CASES, CLAIM, CONTAINER, ENDING, TEMPLATE, identified, minimal


def made(kind: Kind, doc: Doc) -> Doc:
    """As the registry would store it."""
    fresh = default(kind, meta.prepare_create(kind, orjson.loads(orjson.dumps(doc))))
    return meta.identified(kind, identified(fresh))


def said(kind: Kind, doc: Doc) -> list[str]:
    return [f"{c.field}: {c.message}" for c in validate_create(kind, made(kind, doc))]


def said_of_update(kind: Kind, old: Doc, spec: Doc) -> list[str]:
    """Of putting other fields into the spec of a stored object."""
    new = orjson.loads(orjson.dumps({**old, "spec": {**old["spec"], **spec}}))
    update = meta.prepare_update(kind, default(kind, new), old)
    return [f"{c.field}: {c.message}" for c in validate_update(kind, update, old)]


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.name)
def test_the_smallest_objects_pass_and_have_all_their_defaults(kind: Kind) -> None:
    doc = made(kind, minimal(kind))
    assert said(kind, minimal(kind)) == []
    assert default(kind, orjson.loads(orjson.dumps(doc))) == doc
    assert check(kind, doc).causes == []
    assert check(kind, doc).unknown == []


NEVER_ENDS = {**TEMPLATE, "spec": {"containers": [CONTAINER], "restartPolicy": "Never"}}
OTHER = {**TEMPLATE, "metadata": {"labels": {"app": "other"}}}
MISMATCH = '"other"}: `selector` does not match template `labels`'
INDEXED = {"completionMode": "Indexed", "completions": 3}


def failing(*rules: Doc) -> Doc:
    return {"podFailurePolicy": {"rules": list(rules)}}


def exits(**codes: Any) -> Doc:
    return failing({"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1], **codes}})


def succeeding(**rule: Any) -> Doc:
    return {**INDEXED, "successPolicy": {"rules": [rule]}}


FAILURE = "spec.podFailurePolicy.rules[0]"
ENDINGS = 'valid values: "OnFailure", "Never"'


@pytest.mark.parametrize(
    ("kind", "spec", "refusal"),
    [
        (REPLICATION_CONTROLLER, {"selector": {"app": "other"}},
         'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match '
         "template `labels`"),
        (REPLICATION_CONTROLLER, {"replicas": -1},
         "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        (DAEMON_SET, {"template": OTHER},
         'spec.template.metadata.labels: Invalid value: {"app":' + MISMATCH),
        (DAEMON_SET, {"selector": {}},
         "spec.selector: Invalid value: {}: empty selector is invalid for daemonset"),
        (DAEMON_SET, {"template": NEVER_ENDS},
         'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'),
        (DAEMON_SET, {"updateStrategy": {"rollingUpdate": {"maxSurge": 1}}},
         "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when "
         "maxUnavailable is non-zero"),
        (DAEMON_SET, {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0}}},
         "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when "
         "maxSurge is 0"),
        (DAEMON_SET, {"updateStrategy": {"type": "Never"}},
         'spec.updateStrategy.type: Unsupported value: "Never": supported values: "OnDelete", '
         '"RollingUpdate"'),
        (STATEFUL_SET, {"podManagementPolicy": "Random"},
         'spec.podManagementPolicy: Invalid value: "Random": must be \'OrderedReady\' or \'Parallel\''),
        (STATEFUL_SET, {"updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}}},
         'spec.updateStrategy.rollingUpdate: Invalid value: {"partition":1}: only allowed for '
         "updateStrategy 'RollingUpdate'"),
        (STATEFUL_SET, {"updateStrategy": {"rollingUpdate": {"partition": -1}}},
         "spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or "
         "equal to 0"),
        (STATEFUL_SET, {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Keep"}},
         'spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: "Keep": supported '
         'values: "Delete", "Retain"'),
        (STATEFUL_SET, {"ordinals": {"start": -1}},
         "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0"),
        (JOB, {"template": TEMPLATE}, f"spec.template.spec.restartPolicy: Required value: {ENDINGS}"),
        (JOB, {"parallelism": -1},
         "spec.parallelism: Invalid value: -1: must be greater than or equal to 0"),
        (JOB, {"completionMode": "Sorted"},
         'spec.completionMode: Unsupported value: "Sorted": supported values: "Indexed", "NonIndexed"'),
        (JOB, {"completionMode": "Indexed", "parallelism": 1},
         "spec.completions: Required value: when completion mode is Indexed"),
        (JOB, {**INDEXED, "parallelism": 100_001},
         "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when "
         "completion mode is Indexed"),
        (JOB, {"backoffLimitPerIndex": 1},
         "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"),
        (JOB, {**INDEXED, "maxFailedIndexes": 1},
         "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"),
        (JOB, {"podReplacementPolicy": "Always"},
         'spec.podReplacementPolicy: Unsupported value: "Always": supported values: "Failed", '
         '"TerminatingOrFailed"'),
        (JOB, failing({"action": "FailJob"}),
         f"{FAILURE}: Invalid value: specifying one of OnExitCodes and OnPodConditions is required"),
        (JOB, exits(values=[2, 1]),
         f"{FAILURE}.onExitCodes.values: Invalid value: [2,1]: must be ordered"),
        (JOB, exits(values=[0]),
         f"{FAILURE}.onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator"),
        (JOB, exits(containerName="x"),
         f'{FAILURE}.onExitCodes.containerName: Invalid value: "x": must be one of the container or '
         "init container names in the pod template"),
        (JOB, failing({"action": "FailIndex", "onPodConditions": [{"type": "DisruptionTarget"}]}),
         f'{FAILURE}.action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set'),
        (JOB, succeeding(),
         "spec.successPolicy.rules[0]: Required value: at least one of succeededCount or "
         "succeededIndexes must be specified"),
        (JOB, succeeding(succeededCount=4),
         "spec.successPolicy.rules[0].succeededCount: Invalid value: 4: must be less than or equal "
         "to 3 (the number of specified completions)"),
        (JOB, succeeding(succeededIndexes="0-1", succeededCount=3),
         "spec.successPolicy.rules[0].succeededCount: Invalid value: 3: must be less than or equal "
         "to 2 (the number of indexes in the specified succeededIndexes field)"),
        (JOB, succeeding(succeededIndexes="2,1"),
         'spec.successPolicy.rules[0].succeededIndexes: Invalid value: "2,1": error parsing '
         "succeededIndexes: non-increasing order, previous: 2, current: 1"),
        (JOB, {"manualSelector": True}, "spec.selector: Required value"),
        (CRON_JOB, {"schedule": ""}, "spec.schedule: Required value"),
        (CRON_JOB, {"schedule": "* * *"},
         'spec.schedule: Invalid value: "* * *": expected exactly 5 fields, found 3: [* * *]'),
        (CRON_JOB, {"schedule": "TZ=UTC * * * * *"},
         'spec.schedule: Invalid value: "TZ=UTC * * * * *": cannot use TZ or CRON_TZ in schedule, use '
         "timeZone field instead"),
        (CRON_JOB, {"timeZone": "Mars/Olympus"},
         'spec.timeZone: Invalid value: "Mars/Olympus": unknown time zone Mars/Olympus'),
        (CRON_JOB, {"concurrencyPolicy": "Queue"},
         'spec.concurrencyPolicy: Unsupported value: "Queue": supported values: "Allow", "Forbid", '
         '"Replace"'),
        (CRON_JOB, {"jobTemplate": {"spec": {"template": TEMPLATE}}},
         f"spec.jobTemplate.spec.template.spec.restartPolicy: Required value: {ENDINGS}"),
        (CRON_JOB, {"jobTemplate": {"spec": {"template": ENDING, "selector": {}}}},
         "spec.jobTemplate.spec.selector: Invalid value: {}: `selector` will be auto-generated"),
        (HPA, {"minReplicas": 0},
         "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1"),
        (HPA, {"minReplicas": 4},
         "spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`"),
        (HPA, {"scaleTargetRef": {"kind": "Deployment", "name": "a/b"}},
         "spec.scaleTargetRef.name: Invalid value: \"a/b\": may not contain '/'"),
        (HPA, {"metrics": [{"type": "Pods"}]},
         "spec.metrics[0].pods: Required value: must populate information for the given metric source"),
        (HPA, {"metrics": [{"type": "Resource", "resource": {
            "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 0}}}]},
         "spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0"),
        (HPA, {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 3601}}},
         "spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 3601: must be less than "
         "or equal to 3600"),
        (PDB, {"minAvailable": "101%"},
         'spec.minAvailable: Invalid value: "101%": must not be greater than 100%'),
        (PDB, {"unhealthyPodEvictionPolicy": "Never"},
         'spec.unhealthyPodEvictionPolicy: Unsupported value: "Never": supported values: '
         '"AlwaysAllow", "IfHealthyBudget"'),
        (PVC, {"accessModes": []},
         "spec.accessModes: Required value: at least 1 access mode is required"),
        (PVC, {"accessModes": ["ReadWriteOnce", "ReadWriteOncePod"]},
         "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"),
        (PVC, {"resources": {}}, "spec.resources[storage]: Required value"),
        (PVC, {"resources": {"requests": {"storage": "0"}}},
         'spec.resources.requests[storage]: Invalid value: "0": must be greater than zero'),
        (PVC, {"volumeMode": "Tape"},
         'spec.volumeMode: Unsupported value: "Tape": supported values: "Block", "Filesystem"'),
        (PV, {"nfs": {"server": "s", "path": "/"}},
         "spec.nfs: Forbidden: may not specify more than 1 volume type"),
        (PV, {"hostPath": {"path": "/a", "type": "Folder"}},
         'spec.hostPath.type: Unsupported value: "Folder": supported values: "", "BlockDevice", '
         '"CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"'),
        (PV, {"persistentVolumeReclaimPolicy": "Burn"},
         'spec.persistentVolumeReclaimPolicy: Unsupported value: "Burn": supported values: "Delete", '
         '"Recycle", "Retain"'),
        (RESOURCE_QUOTA, {"hard": {"shoes": "1"}},
         'spec.hard[shoes]: Invalid value: "shoes": must be a standard resource for quota'),
        (RESOURCE_QUOTA, {"hard": {"pods": "500m"}},
         'spec.hard[pods]: Invalid value: "500m": must be an integer'),
        (RESOURCE_QUOTA, {"scopes": ["Terminating", "NotTerminating"]},
         'spec.scopes: Invalid value: ["Terminating","NotTerminating"]: conflicting scopes'),
        (LIMIT_RANGE, {"limits": [{"type": "Pod", "default": {"cpu": "1"}}]},
         "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"),
        (LIMIT_RANGE, {"limits": [{"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "1"},
                                   "default": {"cpu": "2"}, "defaultRequest": {"cpu": "2"}}]},
         'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1'),
        (LIMIT_RANGE, {"limits": [{"type": "Container"}, {"type": "Container"}]},
         'spec.limits[1].type: Duplicate value: "Container"'),
    ],
)  # fmt: skip
def test_a_wrong_field_is_refused_by_name(kind: Kind, spec: Doc, refusal: str) -> None:
    assert refusal in said(kind, minimal(kind, **spec))


def test_all_causes_are_told_at_once() -> None:
    causes = said(JOB, minimal(JOB, parallelism=-1, completions=-1, template=TEMPLATE))
    assert [cause.partition(":")[0] for cause in causes] == [
        "spec.parallelism", "spec.completions", "spec.template.spec.restartPolicy",
    ]  # fmt: skip


def test_a_revision_has_data_that_stays() -> None:
    old = made(CONTROLLER_REVISION, minimal(CONTROLLER_REVISION))
    assert said(CONTROLLER_REVISION, {**old, "data": None}) == [
        "data: Required value: data is mandatory"
    ]
    new = meta.prepare_update(CONTROLLER_REVISION, {**old, "data": {"x": 1}, "revision": 2}, old)
    found = validate_update(CONTROLLER_REVISION, new, old)
    assert [c.message for c in found] == ['Invalid value: {"x":1}: field is immutable']


def test_a_job_may_not_claim_the_pods_of_another() -> None:
    labels = {"job-name": "other"}
    template = {**ENDING, "metadata": {"labels": labels}}
    found = said(JOB, minimal(JOB, template=template))
    assert len(found) == 1
    assert found[0].startswith("spec.template.metadata.labels[job-name]: Invalid value: {")
    assert found[0].endswith("must be 'web'")


@pytest.mark.parametrize(
    ("kind", "spec", "refused"),
    [
        (DAEMON_SET, {"selector": {"matchLabels": {"app": "x"}}}, "field is immutable"),
        (STATEFUL_SET, {"serviceName": "other"}, "for fields other than 'replicas', 'ordinals', "),
        (STATEFUL_SET, {"replicas": 5, "minReadySeconds": 3}, ""),
        (JOB, {"completions": 4}, "field is immutable"),
        (JOB, {"parallelism": 4, "suspend": True, "backoffLimit": 2}, ""),
        (JOB, {"completionMode": "Indexed"}, "field is immutable"),
        (PVC, {"accessModes": ["ReadWriteMany"]}, "spec is immutable after creation except "),
        (PVC, {"volumeName": "v"}, ""),
        (PV, {"hostPath": {"path": "/other"}}, "spec.persistentvolumesource is immutable after "),
        (PV, {"persistentVolumeReclaimPolicy": "Delete"}, ""),
        (RESOURCE_QUOTA, {"scopes": ["BestEffort"], "hard": {"pods": "1"}}, "field is immutable"),
        (RESOURCE_QUOTA, {"hard": {"pods": "9"}}, ""),
    ],
)  # fmt: skip
def test_what_may_change(kind: Kind, spec: Doc, refused: str) -> None:
    found = said_of_update(kind, made(kind, minimal(kind)), spec)
    assert bool(found) == bool(refused)
    assert refused in " ".join(found)


def test_a_suspended_job_that_never_started_may_move() -> None:
    old = made(JOB, minimal(JOB, suspend=True))
    template = orjson.loads(orjson.dumps(old["spec"]["template"]))
    template["spec"]["nodeSelector"] = {"disk": "ssd"}
    assert said_of_update(JOB, old, {"template": template}) == []
    started = {**old, "status": {"startTime": "2026-01-01T00:00:00Z"}}
    assert said_of_update(JOB, started, {"template": template}) != []


def test_an_indexed_job_grows_with_its_parallelism() -> None:
    old = made(JOB, minimal(JOB, **INDEXED))
    assert said_of_update(JOB, old, {"completions": 5, "parallelism": 5}) == []
    assert said_of_update(JOB, old, {"completions": 5, "parallelism": 4}) == [
        "spec.completions: Invalid value: 5: can only be modified in tandem with spec.parallelism"
    ]


def test_a_bound_claim_grows_and_shrinks_to_what_there_is() -> None:
    bound = {"phase": "Bound", "capacity": {"storage": "1Gi"}}
    old = {**made(PVC, minimal(PVC)), "status": bound}
    bigger = {"resources": {"requests": {"storage": "2Gi"}}}
    assert said_of_update(PVC, old, bigger) == []
    grown = {**old, "spec": {**old["spec"], **bigger}}
    assert said_of_update(PVC, grown, {"resources": CLAIM["resources"]}) == []
    assert said_of_update(PVC, grown, {"resources": {"requests": {"storage": "512Mi"}}}) == [
        "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"
    ]


@pytest.mark.parametrize(
    ("kind", "status", "refusal"),
    [
        (JOB, {"failed": -1}, "status.failed: Invalid value: -1: must be greater than or equal to 0"),
        (PDB, {"expectedPods": -1},
         "status.expectedPods: Invalid value: -1: must be greater than or equal to 0"),
        (STATEFUL_SET, {"replicas": 1, "readyReplicas": 2},
         "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"),
    ],
)  # fmt: skip
def test_a_status_must_make_sense(kind: Kind, status: Doc, refusal: str) -> None:
    old = made(kind, minimal(kind))
    new = meta.prepare_update(kind, {**old, "status": status}, old, "status")
    assert [f"{c.field}: {c.message}" for c in validate_update(kind, new, old)] == [refusal]


def test_a_negative_count_of_all_is_refused_also_where_no_part_is_given() -> None:
    old = made(STATEFUL_SET, minimal(STATEFUL_SET))
    status = {"replicas": -1}
    new = meta.prepare_update(STATEFUL_SET, {**old, "status": status}, old, "status")
    said = [f"{c.field}: {c.message}" for c in validate_update(STATEFUL_SET, new, old)]
    assert (
        "status.replicas: Invalid value: -1: must be greater than or equal to 0" in said
        and "status.readyReplicas: Invalid value: 0: cannot be greater than status.replicas" in said
    )
