"""What is refused of PodGroups, and in which words."""

from __future__ import annotations

import pytest

from longshore.core.objects import kinds, meta
from longshore.core.objects.defaults import default
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules import validate_create, validate_update

from .valid import valid


def group(**spec: object) -> Doc:
    doc = valid(kinds.POD_GROUP)
    return default(kinds.POD_GROUP, {**doc, "spec": {**doc["spec"], **spec}})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"schedulingPolicy": {}},
         "spec.schedulingPolicy: Invalid value: {}: must specify one of: `basic`, `gang`"),
        ({"schedulingPolicy": {"gang": {"minCount": 1}, "basic": {}}},
         'spec.schedulingPolicy: Invalid value: {"basic":{},"gang":{"minCount":1}}: must specify '
         "exactly one of: `basic`, `gang`"),
        ({"schedulingPolicy": {"gang": {"minCount": 0}}},
         "spec.schedulingPolicy.gang.minCount: Invalid value: 0: must be greater than or equal to 1"),
        ({"schedulingPolicy": {"gang": {}}},
         "spec.schedulingPolicy.gang.minCount: Required value"),
        ({"schedulingConstraints": {"topology": [{"key": "rack"}]}},
         "spec.schedulingConstraints: Forbidden: topology constraints of a pod group are not supported"),
        ({"disruptionMode": {"all": {}}},
         "spec.disruptionMode.all: Forbidden: disrupting a pod group as a whole is not supported"),
        ({"preemptionPolicy": "PreemptLowerPriority"},
         "spec.preemptionPolicy: Forbidden: pod groups never preempt"),
    ],
)  # fmt: skip
def test_what_is_refused(spec: Doc, message: str) -> None:
    causes = validate_create(kinds.POD_GROUP, group(**spec))
    assert [f"{cause.field}: {cause.message}" for cause in causes] == [message]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Invalid value: null: must specify one of: `podGroupName`"),
        (
            {"podGroupName": "A"},
            'Invalid value: "A": a lowercase RFC 1123 subdomain must consist of',
        ),
        ({"podGroupName": "team"}, None),
    ],
)
def test_what_a_pod_says_of_its_group(given: Doc, message: str | None) -> None:
    pod = valid(kinds.POD)
    pod["spec"] = {**pod["spec"], "schedulingGroup": given}
    causes = validate_create(kinds.POD, default(kinds.POD, pod))
    told = [(cause.field, cause.message) for cause in causes]
    if message is None:
        assert told == []
    else:
        ((field, why),) = told
        assert field == "spec.schedulingGroup.podGroupName"
        assert why.startswith(message)


def test_the_least_number_may_change_and_the_policy_may_not() -> None:
    def said(policy: Doc) -> list[str]:
        old, new = group(), group(schedulingPolicy=policy)
        new = meta.prepare_update(kinds.POD_GROUP, new, old)
        return [cause.message for cause in validate_update(kinds.POD_GROUP, new, old)]

    assert said({"gang": {"minCount": 9}}) == []
    assert said({"basic": {}}) == [
        'Invalid value: {"basic":{}}: the policy of a pod group may not change'
    ]
