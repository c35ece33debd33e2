"""Rules for ResourceQuotas and LimitRanges (pkg/apis/core/validation)."""

from __future__ import annotations

from longshore.base import quantities
from longshore.core.objects import names
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules import resources
from longshore.core.objects.rules.problems import (
    NOT_NEGATIVE,
    SPEC,
    STATUS,
    Path,
    Problems,
    Rule,
    UpdateRule,
)

# pkg/apis/core/helper: standardQuotaResources, standardResources that are counted.
_COUNTED = (
    "pods", "services", "services.nodeports", "services.loadbalancers", "resourcequotas",
    "replicationcontrollers", "secrets", "configmaps", "persistentvolumeclaims",
)  # fmt: skip
_MEASURED = (
    "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.storage",
    "requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage",
)  # fmt: skip
_EXISTING = (
    "Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "CrossNamespacePodAffinity",
)  # fmt: skip
_SCOPES = (*_EXISTING, "PriorityClass", "VolumeAttributesClass")
_PODS_AND_MEASURES = frozenset((
    "pods", "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory",
))  # fmt: skip
_RESOURCES_OF = {
    "BestEffort": frozenset(("pods",)),
    **dict.fromkeys(
        ("Terminating", "NotTerminating", "NotBestEffort", "PriorityClass",
         "CrossNamespacePodAffinity"),
        _PODS_AND_MEASURES,
    ),
}  # fmt: skip
_OPPOSITES = (frozenset(("BestEffort", "NotBestEffort")), frozenset(("Terminating", "NotTerminating")))  # fmt: skip
_MUST_EXIST = (
    "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, "
    "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
    "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)


# ---- quotas


def quota(doc: Doc, problems: Problems) -> None:
    spec = doc.get("spec", {})
    _amounts(spec.get("hard", {}), (SPEC, "hard"), problems)
    _scopes(spec, problems)
    path = ((SPEC, "scopeSelector"), "matchExpressions")
    for one in spec.get("scopeSelector", {}).get("matchExpressions", ()):
        _expression(one, path, problems)


def quota_status(doc: Doc, problems: Problems) -> None:
    status = doc.get("status", {})
    for field in ("hard", "used"):
        _amounts(status.get(field, {}), (STATUS, field), problems)


def quota_update(new: Doc, old: Doc, problems: Problems) -> None:
    after, before = (doc.get("spec", {}).get("scopes", []) for doc in (new, old))
    if sorted(after) != sorted(before):
        problems.unchanged((SPEC, "scopes"), after, before)


def _amounts(given: Doc, path: Path, problems: Problems) -> None:
    for name, amount in given.items():
        at = (path, f"[{name}]")
        problems.all_invalid(at, name, _name_problems(name))
        value = quantities.parse(amount)
        if value < 0:
            problems.invalid(at, amount, NOT_NEGATIVE)
        if value.denominator != 1 and (name in _COUNTED or name.startswith("count/")):
            problems.invalid(at, amount, "must be an integer")


def _name_problems(name: str) -> tuple[str, ...]:
    wrong = names.qualified_name_problems(name)
    if wrong or "/" in name or name in _COUNTED or name in _MEASURED:
        return wrong
    if name.removeprefix("requests.").startswith("hugepages-"):
        return ()
    return ("must be a standard resource for quota",)


def _scopes(spec: Doc, problems: Problems) -> None:
    scopes, path = spec.get("scopes", []), (SPEC, "scopes")
    for scope in scopes:
        if scope not in _SCOPES:
            problems.invalid(path, scopes, "unsupported scope")
        allowed = _RESOURCES_OF.get(scope)
        for name in spec.get("hard", {}):
            if allowed is not None and name in (*_COUNTED, *_MEASURED) and name not in allowed:
                problems.invalid(path, scopes, "unsupported scope applied to resource")
    for pair in _OPPOSITES:
        if pair <= set(scopes):
            problems.invalid(path, scopes, "conflicting scopes")


def _expression(one: Doc, path: Path, problems: Problems) -> None:
    scope, operator, values = (one.get(key, "") for key in ("scopeName", "operator", "values"))
    if scope not in _SCOPES:
        problems.invalid((path, "scopeName"), scope, "unsupported scope")
    if scope in _EXISTING and operator != "Exists":
        problems.invalid((path, "operator"), operator, _MUST_EXIST)
    match operator:
        case "In" | "NotIn":
            if not values:
                why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                problems.required((path, "values"), why)
        case "Exists" | "DoesNotExist":
            if values:
                why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                problems.invalid((path, "values"), values, why)
        case _:
            problems.invalid((path, "operator"), operator, "not a valid selector operator")


# ---- limits

_FIELDS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
# A pair that must be in order, where the refusal points, and how it calls the two.
_ORDERED = (
    ("min", "max", "min", "min value", "max value"),
    ("min", "defaultRequest", "defaultRequest", "min value", "default request value"),
    ("defaultRequest", "max", "defaultRequest", "default request value", "max value"),
    ("defaultRequest", "default", "defaultRequest", "default request value", "default limit value"),
    ("min", "default", "default", "min value", "default value"),
    ("default", "max", "default", "default value", "max value"),
)


def limit_range(doc: Doc, problems: Problems) -> None:
    seen = set()
    for index, item in enumerate(doc.get("spec", {}).get("limits", ())):
        at, kind = ((SPEC, "limits"), index), item.get("type", "")
        problems.all_invalid((at, "type"), kind, _type_problems(kind))
        if kind in seen:
            problems.duplicate((at, "type"), kind)
        seen.add(kind)
        _limits(item, at, problems)


def _type_problems(kind: str) -> tuple[str, ...]:
    wrong = names.qualified_name_problems(kind)
    if wrong or "/" in kind or kind in ("Pod", "Container", "PersistentVolumeClaim"):
        return wrong
    return ("must be a standard limit type or fully qualified",)


def _limits(item: Doc, path: Path, problems: Problems) -> None:
    kind = item.get("type")
    given = {field: item.get(field, {}) for field in _FIELDS}
    if kind == "Pod":
        for field in ("default", "defaultRequest"):
            if given[field]:
                why = "may not be specified when `type` is 'Pod'"
                problems.forbidden((path, field), why)
                given[field] = {}
    if kind == "PersistentVolumeClaim" and not any("storage" in given[f] for f in ("min", "max")):
        why = "either minimum or maximum storage value is required, but neither was provided"
        problems.required(path, why)
    for field, amounts in given.items():
        for name in amounts:
            wrong = resources.resource_name_problems(name, resources.OF_NODES)
            problems.all_invalid((path, f"{field}[{name}]"), name, wrong)
    _ordered(given, path, problems)
    for name, ratio in given["maxLimitRequestRatio"].items():
        _ratio(name, ratio, given, (path, f"maxLimitRequestRatio[{name}]"), problems)


def _ordered(given: Doc, path: Path, problems: Problems) -> None:
    for less, more, blamed, one, other in _ORDERED:
        for name in given[less].keys() & given[more].keys():
            low, high = given[less][name], given[more][name]
            if quantities.parse(low) > quantities.parse(high):
                why = f"{one} {low} is greater than {other} {high}"
                problems.invalid((path, f"{blamed}[{name}]"), given[blamed][name], why)


def _ratio(name: str, ratio: str, given: Doc, path: Path, problems: Problems) -> None:
    value = quantities.parse(ratio)
    if value < 1:
        problems.invalid(path, ratio, f"ratio {ratio} is less than 1")
    low, high = (quantities.parse(given[field].get(name, "0")) for field in ("min", "max"))
    if low > 0 and name in given["max"] and value > high / low:
        why = f"ratio {ratio} is greater than max/min = {float(high / low):f}"
        problems.invalid(path, ratio, why)


RULES: dict[str, Rule] = {
    "io.k8s.api.core.v1.ResourceQuota": quota,
    "io.k8s.api.core.v1.LimitRange": limit_range,
}
UPDATE_RULES: dict[str, UpdateRule] = {"io.k8s.api.core.v1.ResourceQuota": quota_update}
STATUS_RULES: dict[str, Rule] = {"io.k8s.api.core.v1.ResourceQuota": quota_status}
