"""What is refused of offers and queues, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects import kinds, meta
from longshore.core.objects.defaults import default
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.rules import validate_create, validate_update

from .valid import valid


def made(kind: Kind, **spec: Any) -> Doc:
    doc = valid(kind)
    return default(kind, {**doc, "spec": {**doc["spec"], **spec}})


def group(*names: str, flavors: int = 1, **quota: Any) -> Doc:
    quotas = [{"name": name, "nominalQuota": "4", **quota} for name in names]
    each = [{"name": f"f{number}", "resources": quotas} for number in range(flavors)]
    return {"coveredResources": ["cpu"], "flavors": each}


@pytest.mark.parametrize(
    ("kind", "spec", "message"),
    [
        (kinds.OFFER, {"schedulerName": ""}, "spec.schedulerName: Required value"),
        (kinds.OFFER, {"nodeName": "n1"},
         "spec.resources: Required value: an offer of a node says what is offered of it"),
        (kinds.OFFER, {"leaseDurationSeconds": 3601},
         "spec.leaseDurationSeconds: Invalid value: 3601: must be between 1 and 3600, inclusive"),
        (kinds.CLUSTER_QUEUE, {"resourceGroups": [group("cpu", flavors=2)]},
         'spec.resourceGroups[0].flavors: Invalid value: ["f0","f1"]: exactly one flavor is supported'),
        (kinds.CLUSTER_QUEUE, {"resourceGroups": [group("memory")]},
         "spec.resourceGroups[0].flavors[0].resources: Invalid value: must match coveredResources, in "
         "the same order"),
        (kinds.CLUSTER_QUEUE, {"resourceGroups": [group("cpu"), group("cpu")]},
         'spec.resourceGroups: Duplicate value: "cpu"'),
        (kinds.CLUSTER_QUEUE, {"resourceGroups": [group("cpu", borrowingLimit="1")]},
         'spec.resourceGroups[0].flavors[0].resources[0].borrowingLimit: Invalid value: "1": must be '
         "nil when cohort is empty"),
        (kinds.CLUSTER_QUEUE, {"stopPolicy": "HoldAndDrain"},
         'spec.stopPolicy: Unsupported value: "HoldAndDrain": supported values: "Hold", "None"'),
        (kinds.CLUSTER_QUEUE, {"preemption": {"reclaimWithinCohort": "LowerPriority"}},
         'spec.preemption.reclaimWithinCohort: Unsupported value: "LowerPriority": supported values: '
         '"Any", "Never"'),
        (kinds.CLUSTER_QUEUE, {"fairSharing": {"weight": "-1"}},
         'spec.fairSharing.weight: Invalid value: "-1": must be greater than or equal to 0'),
        (kinds.LOCAL_QUEUE, {"clusterQueue": ""}, "spec.clusterQueue: Required value"),
    ],
)  # fmt: skip
def test_what_is_refused(kind: Kind, spec: Doc, message: str) -> None:
    causes = validate_create(kind, made(kind, **spec))
    assert [f"{cause.field}: {cause.message}" for cause in causes] == [message]


def test_what_may_change_of_an_offer() -> None:
    def said(before: Doc, after: Doc) -> list[str]:
        old, new = made(kinds.OFFER, **before), made(kinds.OFFER, **after)
        causes = validate_update(kinds.OFFER, meta.prepare_update(kinds.OFFER, new, old), old)
        return [cause.field for cause in causes]

    amounts = {"cpu": "1"}
    given = {"nodeName": "n1", "resources": amounts}
    assert said({"resources": amounts}, given) == [], "it may be given a node"
    assert said(given, {**given, "resources": {"cpu": "2"}}) == ["spec.resources"]
    assert said(given, {"resources": amounts}) == ["spec.nodeName"]
    assert said({}, {"leaseDurationSeconds": 9}) == ["spec.leaseDurationSeconds"]


def test_defaults() -> None:
    assert made(kinds.OFFER)["spec"]["leaseDurationSeconds"] == 30
    assert made(kinds.CLUSTER_QUEUE)["spec"] == {
        "queueingStrategy": "BestEffortFIFO", "stopPolicy": "None",
        "preemption": {"reclaimWithinCohort": "Never"},
    }  # fmt: skip
