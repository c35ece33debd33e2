"""Rules for flow schemas and priority levels (pkg/apis/flowcontrol/validation)."""

from __future__ import annotations

import math
from typing import Any

from longshore.core.objects import kinds, names
from longshore.core.objects.flow_defaults import (
    FLOW_SCHEMAS,
    MANDATORY_FLOW_SCHEMAS,
    MANDATORY_PRIORITY_LEVELS,
    PRIORITY_LEVELS,
)
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.problems import SPEC, Path, Problems, Rule

_FIXED_SCHEMAS = {
    doc["metadata"]["name"]: doc["spec"]
    for doc in FLOW_SCHEMAS
    if doc["metadata"]["name"] in MANDATORY_FLOW_SCHEMAS
}
_FIXED_LEVELS = {
    doc["metadata"]["name"]: doc["spec"]
    for doc in PRIORITY_LEVELS
    if doc["metadata"]["name"] in MANDATORY_PRIORITY_LEVELS
}
_PRECEDENCE_MAX = 10_000
_METHODS = ("ByNamespace", "ByUser")
_VERBS = frozenset(
    ("get", "list", "create", "update", "delete", "deletecollection", "patch", "watch", "proxy")
)
_LEVEL_TYPES, _RESPONSES = ("Exempt", "Limited"), ("Queue", "Reject")
_SUBJECTS = {"ServiceAccount": "serviceAccount", "User": "user", "Group": "group"}
_QUEUES_MAX, _HASH_BITS_MAX = 10_000_000, 60


# ---- flow schemas


def flow_schema(doc: Doc, problems: Problems) -> None:
    spec, name = doc.get("spec", {}), doc["metadata"].get("name", "")
    _precedence(spec.get("matchingPrecedence", 0), name, problems)
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type") not in _METHODS:
        problems.unsupported(((SPEC, "distinguisherMethod"), "type"), method, _METHODS)
    level, at = spec.get("priorityLevelConfiguration", {}).get("name", ""), (SPEC, "priorityLevelConfiguration")  # fmt: skip
    if level:
        problems.all_invalid((at, "name"), level, names.subdomain_problems(level))
    else:
        problems.required((at, "name"), "must reference a priority level")
    for index, one in enumerate(spec.get("rules", ())):
        _rule(one, ((SPEC, "rules"), index), problems)
    if spec != _FIXED_SCHEMAS.get(name, spec):
        problems.invalid(SPEC, spec, f"spec of '{name}' must equal the fixed value")


def _precedence(value: int, name: str, problems: Problems) -> None:
    at = (SPEC, "matchingPrecedence")
    if value <= 0:
        problems.invalid(at, value, "must be a positive value")
    if value > _PRECEDENCE_MAX:
        problems.invalid(at, value, f"must not be greater than {_PRECEDENCE_MAX}")
    if value == 1 and name != "exempt":
        why = "only the schema named 'exempt' may have matchingPrecedence 1"
        problems.invalid(at, value, why)


def _rule(one: Doc, path: Path, problems: Problems) -> None:
    subjects, at = one.get("subjects", []), (path, "subjects")
    if not subjects:
        problems.required(at, "subjects must contain at least one value")
    for index, subject in enumerate(subjects):
        _subject(subject, (at, index), problems)
    resources, others = one.get("resourceRules", []), one.get("nonResourceRules", [])
    if not resources and not others:
        why = "at least one of resourceRules and nonResourceRules has to be non-empty"
        problems.required(path, why)
    for index, rule in enumerate(resources):
        _resource_rule(rule, ((path, "resourceRules"), index), problems)
    for index, rule in enumerate(others):
        _url_rule(rule, ((path, "nonResourceRules"), index), problems)


def _subject(one: Doc, path: Path, problems: Problems) -> None:
    kind = one.get("kind", "")
    if kind not in _SUBJECTS:
        problems.unsupported((path, "kind"), kind, _SUBJECTS)
        return
    for other, field in _SUBJECTS.items():
        if other != kind and field in one:
            why = f"{field} is forbidden when subject kind is not '{other}'"
            problems.forbidden((path, field), why)
    field = _SUBJECTS[kind]
    given, at = one.get(field), (path, field)
    if given is None:
        problems.required(at, f"{field} is required when subject kind is '{kind}'")
        return
    name = given.get("name", "")
    if not name:
        problems.required((at, "name"))
    elif kind == "ServiceAccount" and name != "*":
        problems.all_invalid((at, "name"), name, names.subdomain_problems(name))
    if kind == "ServiceAccount":
        _account_namespace(given.get("namespace", ""), (at, "namespace"), problems)


def _account_namespace(namespace: str, path: Path, problems: Problems) -> None:
    if namespace:
        problems.all_invalid(path, namespace, names.label_problems(namespace))
    else:
        problems.required(path, "must specify namespace for service account")


def _verbs(rule: Doc, path: Path, problems: Problems) -> None:
    verbs, at = rule.get("verbs", []), (path, "verbs")
    if not verbs:
        problems.required(at, "verbs must contain at least one value")
    elif "*" not in verbs and not _VERBS.issuperset(verbs):
        problems.unsupported(at, verbs, _VERBS)
    _alone(verbs, "verbs", at, problems)


def _alone(values: list[str], what: str, path: Path, problems: Problems) -> None:
    """A wildcard stands for all, so it stands alone."""
    if "*" in values and len(values) > 1:
        problems.invalid(path, values, f"if '*' is present, must not specify other {what}")


def _resource_rule(rule: Doc, path: Path, problems: Problems) -> None:
    _verbs(rule, path, problems)
    for field, one, many in (
        ("apiGroups", "api group", "api groups"),
        ("resources", "resource", "resources"),
    ):
        values = rule.get(field, [])
        if not values:
            problems.required((path, field), f"resource rules must supply at least one {one}")
        _alone(values, many, (path, field), problems)
    _namespaces(rule, (path, "namespaces"), problems)


def _namespaces(rule: Doc, path: Path, problems: Problems) -> None:
    given = rule.get("namespaces", [])
    if not given and not rule.get("clusterScope"):
        why = "resource rules that are not cluster scoped must supply at least one namespace"
        problems.required(path, why)
    _alone(given, "namespaces", path, problems)
    if "*" in given:
        return
    for index, name in enumerate(given):
        for why in names.label_problems(name):
            intro = "each member of this list must be '*' or a DNS-1123 label; "
            problems.invalid((path, index), name, intro + why)


def _url_rule(rule: Doc, path: Path, problems: Problems) -> None:
    _verbs(rule, path, problems)
    urls, at = rule.get("nonResourceURLs", []), (path, "nonResourceURLs")
    if not urls:
        problems.required(at, "nonResourceURLs must contain at least one value")
    _alone(urls, "non-resource URLs", at, problems)
    if "*" in urls:
        return
    for index, url in enumerate(urls):
        why = _url_problem(url)
        if why:
            problems.invalid((at, index), url, why)


def _url_problem(url: str) -> str:
    if not url:
        return "must not be empty"
    if not url.startswith("/"):
        return "must start with slash"
    if " " in url:
        return "must not contain white-space"
    if "//" in url:
        return "must not contain double slash"
    stars = url.count("*")
    if stars > 1 or (stars == 1 and not url.endswith("/*")):
        return "wildcard can only do suffix matching"
    return ""


# ---- priority levels


def priority_level(doc: Doc, problems: Problems) -> None:
    spec, name = doc.get("spec", {}), doc["metadata"].get("name", "")
    kind, at = spec.get("type", ""), (SPEC, "type")
    if (name == "exempt") != (kind == "Exempt"):
        why = "must be 'Exempt' if and only if `name` is 'exempt'"
        problems.invalid(at, kind, why)
    problems.one_of(at, kind, _LEVEL_TYPES)
    if kind == "Exempt" and "limited" in spec:
        problems.forbidden((SPEC, "limited"), "must be nil if the type is not Limited")
    if kind == "Limited":
        _limited_only(spec, problems)
    if kind == "Exempt" and "exempt" in spec:
        _shares(spec["exempt"], (SPEC, "exempt"), problems)
    _fixed(spec, name, problems)


def _limited_only(spec: Doc, problems: Problems) -> None:
    if "exempt" in spec:
        problems.forbidden((SPEC, "exempt"), "must be nil if the type is Limited")
    if "limited" not in spec:
        problems.required((SPEC, "limited"), "must not be empty when type is Limited")
        return
    limited, path = spec["limited"], (SPEC, "limited")
    _shares(limited, path, problems)
    borrowed = limited.get("borrowingLimitPercent", 0)
    if borrowed < 0:
        why = "if specified, must be a non-negative integer"
        problems.invalid((path, "borrowingLimitPercent"), borrowed, why)
    _response(limited.get("limitResponse", {}), (path, "limitResponse"), problems)


def _shares(given: Doc, path: Path, problems: Problems) -> None:
    shares, lendable = given.get("nominalConcurrencyShares", 0), given.get("lendablePercent", 0)
    if shares < 0:
        why = "must be a non-negative integer"
        problems.invalid((path, "nominalConcurrencyShares"), shares, why)
    if not 0 <= lendable <= 100:
        why = "must be between 0 and 100, inclusive"
        problems.invalid((path, "lendablePercent"), lendable, why)


def _response(response: Doc, path: Path, problems: Problems) -> None:
    kind, queuing = response.get("type", ""), response.get("queuing")
    at = (path, "queuing")
    problems.one_of((path, "type"), kind, _RESPONSES)
    if kind == "Reject" and queuing is not None:
        why = "must be nil if limited.limitResponse.type is not Limited"
        problems.forbidden(at, why)
    elif kind == "Queue" and queuing is None:
        why = "must not be empty if limited.limitResponse.type is Limited"
        problems.required(at, why)
    elif kind == "Queue":
        _queuing(queuing or {}, at, problems)


def _queuing(given: Doc, path: Path, problems: Problems) -> None:
    queues, hand = given.get("queues", 0), given.get("handSize", 0)
    for field in ("queueLengthLimit", "queues", "handSize"):
        if given.get(field, 0) <= 0:
            problems.invalid((path, field), given.get(field, 0), "must be positive")
    if queues > _QUEUES_MAX:
        problems.invalid((path, "queues"), queues, f"must not be greater than {_QUEUES_MAX}")
    if queues <= 0 or hand <= 0:
        return
    bits = math.ceil(math.log2(queues) * hand)
    if hand > queues:
        why = f"should not be greater than queues ({queues})"
        problems.invalid((path, "handSize"), hand, why)
    elif bits > _HASH_BITS_MAX:
        why = (
            f"required entropy bits of deckSize {queues} and handSize {hand} should not be "
            f"greater than {_HASH_BITS_MAX}"
        )
        problems.invalid((path, "handSize"), hand, why)


def _fixed(spec: Doc, name: str, problems: Problems) -> None:
    """Mandatory levels are what they are; how much the exempt one lends may be set."""
    fixed: Any = _FIXED_LEVELS.get(name)
    if fixed is None:
        return
    if name == "exempt":
        if {**spec, "exempt": fixed["exempt"]} != fixed:
            why = "spec of 'exempt' except the 'spec.exempt' field must equal the fixed value"
            problems.invalid(SPEC, spec, why)
    elif spec != fixed:
        problems.invalid(SPEC, spec, f"spec of '{name}' must equal the fixed value")


RULES: dict[str, Rule] = {
    kinds.FLOW_SCHEMA.schema: flow_schema,
    kinds.PRIORITY_LEVEL.schema: priority_level,
}
