"""What is told of which request (audit.k8s.io/v1 Policy; apiserver/pkg/audit/policy/checker.go)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from longshore.base.users import User
from longshore.core.objects import names
from longshore.core.objects.kinds import Doc

NONE, METADATA, REQUEST, RESPONSE = "None", "Metadata", "Request", "RequestResponse"
LEVELS = (NONE, METADATA, REQUEST, RESPONSE)
RECEIVED, STARTED, COMPLETE, PANIC = (
    "RequestReceived", "ResponseStarted", "ResponseComplete", "Panic",
)  # fmt: skip
STAGES = (RECEIVED, STARTED, COMPLETE, PANIC)
API_VERSION = "audit.k8s.io/v1"


class BadPolicy(Exception):
    """A policy that cannot be followed; the message has every reason, each with its place."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What is judged: who does what to a resource, or to a path that is no resource's (resource
    empty)."""

    who: User
    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """How much is told, at which stages nothing is, and whether without managedFields."""

    level: str
    omitted: frozenset[str] = frozenset()
    without_managed_fields: bool = False

    def tells(self, stage: str) -> bool:
        return self.level != NONE and stage not in self.omitted


@dataclass(frozen=True, slots=True)
class _Resources:
    group: str
    resources: tuple[str, ...]
    names: tuple[str, ...]

    def covers(self, deed: Deed) -> bool:
        if self.group not in ("*", deed.group):
            return False
        if not self.resources:
            return True
        if self.names and deed.name not in self.names:
            return False
        return any(_names(resource, deed) for resource in self.resources)


@dataclass(frozen=True, slots=True)
class _Rule:
    judgement: Judgement
    users: frozenset[str]
    groups: frozenset[str]
    verbs: frozenset[str]
    namespaces: frozenset[str]
    resources: tuple[_Resources, ...]
    paths: tuple[str, ...]

    def covers(self, deed: Deed) -> bool:
        if self.users and deed.who.name not in self.users:
            return False
        if self.groups and self.groups.isdisjoint(deed.who.groups):
            return False
        if self.verbs and deed.verb not in self.verbs:
            return False
        if self.namespaces or self.resources:
            return bool(deed.resource) and self._covers_resource(deed)
        if self.paths:
            return not deed.resource and any(_matches(one, deed.path) for one in self.paths)
        return True

    def _covers_resource(self, deed: Deed) -> bool:
        if self.namespaces and deed.namespace not in self.namespaces:
            return False
        return not self.resources or any(one.covers(deed) for one in self.resources)


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules in their order: the first that covers a deed says what is told of it. by_name: whether
    one of them looks at names of objects."""

    rules: tuple[_Rule, ...]
    otherwise: Judgement
    by_name: bool

    def judge(self, deed: Deed) -> Judgement:
        return next((rule.judgement for rule in self.rules if rule.covers(deed)), self.otherwise)


def parse(doc: Any) -> Policy:
    """Raises BadPolicy."""
    if not isinstance(doc, dict) or (doc.get("apiVersion"), doc.get("kind")) != (
        API_VERSION,
        "Policy",
    ):
        raise BadPolicy(f"an audit policy is a Policy of {API_VERSION}")
    problems = list(_problems(doc))
    if problems:
        raise BadPolicy("; ".join(problems))
    omitted = frozenset(doc.get("omitStages") or ())
    bare = bool(doc.get("omitManagedFields"))
    rules = tuple(_rule(rule, omitted, bare) for rule in doc.get("rules") or ())
    by_name = any(one.names for rule in rules for one in rule.resources)
    return Policy(rules, Judgement(NONE, omitted, bare), by_name)


def _rule(rule: Doc, omitted: frozenset[str], bare: bool) -> _Rule:
    without = rule.get("omitManagedFields")
    judgement = Judgement(
        rule["level"],
        omitted | set(rule.get("omitStages") or ()),
        bare if without is None else without,
    )
    resources = tuple(
        _Resources(
            one.get("group", ""),
            tuple(one.get("resources") or ()),
            tuple(one.get("resourceNames") or ()),
        )
        for one in rule.get("resources") or ()
    )
    return _Rule(
        judgement,
        users=_set(rule, "users"),
        groups=_set(rule, "userGroups"),
        verbs=_set(rule, "verbs"),
        namespaces=_set(rule, "namespaces"),
        resources=resources,
        paths=tuple(rule.get("nonResourceURLs") or ()),
    )


def _set(rule: Doc, part: str) -> frozenset[str]:
    return frozenset(rule.get(part) or ())


def _names(resource: str, deed: Deed) -> bool:
    whole = f"{deed.resource}/{deed.subresource}" if deed.subresource else deed.resource
    if resource in ("*", whole):
        return True
    if resource.startswith("*/"):
        return bool(deed.subresource) and resource[2:] == deed.subresource
    return resource.endswith("/*") and resource[:-2] == deed.resource


def _matches(pattern: str, path: str) -> bool:
    if pattern.endswith("*"):
        return path.startswith(pattern[:-1])
    return path == pattern


# --- what is wrong with a policy (pkg/apis/audit/validation) ---


def _problems(doc: Doc) -> Iterable[str]:
    yield from _stage_problems(doc, "omitStages")
    rules = doc.get("rules") or []
    if not isinstance(rules, list):
        yield "rules: expected a list"
        return
    if not rules:
        yield "rules: Required value: without rules nothing is told"
    for index, rule in enumerate(rules):
        where = f"rules[{index}]"
        if not isinstance(rule, dict):
            yield f"{where}: expected an object"
            continue
        wrong = [part for part in _LISTS if not _is_list_of_texts(rule.get(part))]
        if wrong:
            yield from (f"{where}.{part}: expected a list of strings" for part in wrong)
            continue
        yield from _rule_problems(rule, where)


_LISTS = ("users", "userGroups", "verbs", "namespaces", "nonResourceURLs", "omitStages")


def _rule_problems(rule: Doc, where: str) -> Iterable[str]:
    level = rule.get("level")
    if not level:
        yield f"{where}.level: Required value"
    elif level not in LEVELS:
        known = ", ".join(f'"{one}"' for one in LEVELS)
        yield f'{where}.level: Unsupported value: "{level}": supported values: {known}'
    yield from _stage_problems(rule, f"{where}.omitStages")
    yield from _path_problems(rule.get("nonResourceURLs") or [], f"{where}.nonResourceURLs")
    yield from _resource_problems(rule.get("resources") or [], f"{where}.resources")
    if rule.get("nonResourceURLs") and (rule.get("resources") or rule.get("namespaces")):
        yield (
            f"{where}.nonResourceURLs: Invalid value: rules cannot apply to both regular resources "
            f"and non-resource URLs"
        )


def _stage_problems(doc: Doc, where: str) -> Iterable[str]:
    stages = doc.get("omitStages")
    if not _is_list_of_texts(stages):
        yield f"{where}: expected a list of strings"
        return
    for index, stage in enumerate(stages or ()):
        if stage not in STAGES:
            yield f'{where}[{index}]: Invalid value: "{stage}": allowed stages are {",".join(STAGES)}'


def _path_problems(paths: list[str], where: str) -> Iterable[str]:
    for index, path in enumerate(paths):
        told = f'{where}[{index}]: Invalid value: "{path}": '
        if path != "*" and not path.startswith("/"):
            yield told + "non-resource URL rules must begin with a '/' character"
        if "*" in path[:-1]:
            yield told + "non-resource URL wildcards '*' must be the final character of the rule"


def _resource_problems(resources: Any, where: str) -> Iterable[str]:
    if not isinstance(resources, list) or not all(isinstance(one, dict) for one in resources):
        yield f"{where}: expected a list of objects"
        return
    for index, one in enumerate(resources):
        place = f"{where}[{index}]"
        if not all(_is_list_of_texts(one.get(part)) for part in ("resources", "resourceNames")):
            yield f"{place}: expected lists of strings in resources and resourceNames"
            continue
        group = one.get("group", "")
        if group not in ("", "*"):
            wrong = names.subdomain_problems(group)
            yield from (f'{place}.group: Invalid value: "{group}": {why}' for why in wrong)
        if one.get("resourceNames") and not one.get("resources"):
            yield f"{place}.resourceNames: Invalid value: using resourceNames requires at least one resource"


def _is_list_of_texts(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(one, str) for one in value))


# --- what is told when nobody says what to tell ---

_QUIET = [
    # What a cluster says to itself all the time.
    {"level": NONE, "resources": [
        {"group": "coordination.k8s.io", "resources": ["leases"]},
        {"group": "", "resources": ["events"]},
        {"group": "events.k8s.io", "resources": ["events"]},
        {"group": "metrics.k8s.io"},
        {"group": "custom.metrics.k8s.io"},
        {"group": "external.metrics.k8s.io"},
    ]},
    {"level": NONE, "userGroups": ["system:nodes"], "verbs": ["get", "list", "watch"]},
    {"level": NONE, "userGroups": ["system:nodes"], "resources": [
        {"group": "", "resources": ["nodes/status", "pods/status"]},
    ]},
]  # fmt: skip
_PRIVATE = {
    # Who looked is told; what was seen is not.
    "level": METADATA,
    "resources": [
        {"group": "", "resources": ["secrets", "configmaps", "serviceaccounts/token"]},
        {"group": "authentication.k8s.io", "resources": ["tokenreviews"]},
        {"group": "", "resources": ["pods/exec", "pods/attach", "pods/portforward", "pods/proxy",
                                    "services/proxy", "nodes/proxy", "pods/log"]},
    ],
}  # fmt: skip
DEFAULT: Doc = {
    "apiVersion": API_VERSION,
    "kind": "Policy",
    "omitStages": [RECEIVED],
    "omitManagedFields": True,
    "rules": [
        *_QUIET,
        _PRIVATE,
        {"level": NONE, "verbs": ["get", "list", "watch", "head"]},
        {"level": METADATA},
    ],
}
"""Every change and every look at a secret, by whom and with what outcome; no contents."""
