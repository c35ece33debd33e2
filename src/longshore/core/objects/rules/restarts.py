"""When containers are started again, of themselves and when their resources change
(pkg/apis/core/validation: validateContainerRestartPolicy, validateResizePolicy)."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.problems import Path, Problems, repeats

_POLICIES = ("Always", "Never", "OnFailure")
_ACTIONS = ("Restart", "RestartAllContainers")
_OPERATORS = ("In", "NotIn")
_RULES_MAX = 20
_VALUES_MAX = 255
_RESIZABLE = ("cpu", "memory")
_WHEN_RESIZED = ("NotRequired", "RestartContainer")


def restarts(one: Doc, field: str, of_pod: str, path: Path, problems: Problems) -> None:
    """field is the list that the container is in, of_pod its pod's restart policy."""
    if one.get("restartPolicy") is not None or one.get("restartPolicyRules"):
        _policy(one, path, problems)
    if one.get("resizePolicy"):
        _resize(one, field, of_pod, path, problems)


def _policy(one: Doc, path: Path, problems: Problems) -> None:
    policy, at = one.get("restartPolicy"), (path, "restartPolicy")
    if policy is None:
        problems.required(at, "must specify restartPolicy when restart rules are used")
    elif policy not in _POLICIES:
        problems.unsupported(at, policy, _POLICIES)
    rules = one.get("restartPolicyRules") or []
    if len(rules) > _RULES_MAX:
        problems.too_many((path, "restartPolicyRules"), len(rules), _RULES_MAX)
    for index, rule in enumerate(rules):
        _rule(rule, ((path, "restartPolicyRules"), index), problems)


def _rule(rule: Doc, path: Path, problems: Problems) -> None:
    if rule.get("action") not in _ACTIONS:
        problems.unsupported((path, "action"), rule.get("action", ""), _ACTIONS)
    codes, at = rule.get("exitCodes"), (path, "exitCodes")
    if codes is None:
        problems.required(at, "must be specified")
        return
    if codes.get("operator") not in _OPERATORS:
        problems.unsupported((at, "operator"), codes.get("operator", ""), _OPERATORS)
    values = codes.get("values") or []
    if len(values) > _VALUES_MAX:
        problems.too_many((at, "values"), len(values), _VALUES_MAX)


def _resize(one: Doc, field: str, of_pod: str, path: Path, problems: Problems) -> None:
    policies, at = one["resizePolicy"], (path, "resizePolicy")
    for index in sorted(repeats(policy.get("resourceName") for policy in policies)):
        problems.duplicate((at, index), policies[index].get("resourceName"))
    for index, policy in enumerate(policies):
        problems.one_of(at, policy.get("resourceName", ""), _RESIZABLE)
        when = policy.get("restartPolicy", "")
        problems.one_of(at, when, _WHEN_RESIZED)
        if of_pod == "Never" and when != "NotRequired":
            why = "must be 'NotRequired' when pod `restartPolicy` is 'Never'"
            problems.invalid(at, when, why)
        if _only_once(one, field) and when == "RestartContainer":
            why = "must not be set to 'RestartContainer' for non-sidecar initContainers"
            problems.invalid(((at, index), "restartPolicy"), when, why)


def _only_once(one: Doc, field: str) -> bool:
    return field == "initContainers" and one.get("restartPolicy") != "Always"
