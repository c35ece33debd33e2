"""restartPolicy, restartPolicyRules and resizePolicy of containers, as they are written."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules import validate_create


def causes(*, init: bool = False, pods: str = "Always", **more: Any) -> list[str]:
    common = {"image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File"}
    one: Doc = {"name": "one", **common, **more}
    main: Doc = {"name": "main", **common}
    spec: Doc = {"restartPolicy": pods, "dnsPolicy": "Default", "containers": [main]}
    spec["initContainers" if init else "containers"] = [one]
    doc = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"containers": [main], **spec}}
    return [f"{cause.field}: {cause.message}" for cause in validate_create(kinds.POD, doc)]


def rule(action: str = "Restart", operator: str = "In", values: int = 1) -> Doc:
    return {
        "action": action,
        "exitCodes": {"operator": operator, "values": list(range(values))},
    }


@pytest.mark.parametrize("init", [False, True])
def test_what_may_be(init: bool) -> None:
    for policy in ("Always", "OnFailure", "Never"):
        assert causes(init=init, restartPolicy=policy, restartPolicyRules=[rule()]) == []
    assert causes(restartPolicy="Never", restartPolicyRules=[rule("RestartAllContainers")]) == []
    policies = [
        {"resourceName": name, "restartPolicy": "NotRequired"} for name in ("cpu", "memory")
    ]
    assert causes(init=init, pods="Never", resizePolicy=policies) == []
    restart = [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]
    assert causes(init=init, restartPolicy="Always", resizePolicy=restart) == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"restartPolicy": "Maybe"}, 'restartPolicy: Unsupported value: "Maybe"'),
        ({"restartPolicyRules": [rule()]}, "restartPolicy: Required value: must specify restartPolicy when restart rules are used"),
        ({"restartPolicy": "Never", "restartPolicyRules": [rule()] * 21}, "restartPolicyRules: Too many: 21: must have at most 20 items"),
        ({"restartPolicy": "Never", "restartPolicyRules": [rule(values=256)]}, "restartPolicyRules[0].exitCodes.values: Too many: 256"),
        ({"restartPolicy": "Never", "restartPolicyRules": [rule("Stop")]}, 'restartPolicyRules[0].action: Unsupported value: "Stop"'),
        ({"restartPolicy": "Never", "restartPolicyRules": [rule(operator="Is")]}, 'exitCodes.operator: Unsupported value: "Is"'),
        ({"restartPolicy": "Never", "restartPolicyRules": [{"action": "Restart"}]}, "exitCodes: Required value: must be specified"),
        ({"resizePolicy": [{"resourceName": "gpu", "restartPolicy": "NotRequired"}]}, 'resizePolicy: Unsupported value: "gpu": supported values: "cpu", "memory"'),
        ({"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}] * 2}, 'resizePolicy[1]: Duplicate value: "cpu"'),
        ({"pods": "Never", "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]}, "must be 'NotRequired' when pod `restartPolicy` is 'Never'"),
        ({"init": True, "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]}, "must not be set to 'RestartContainer' for non-sidecar initContainers"),
    ],
)  # fmt: skip
def test_what_may_not_be(more: Doc, said: str) -> None:
    (one,) = causes(**more)
    assert said in one
