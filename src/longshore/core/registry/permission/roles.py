"""What roles grant, in a form that is quick to ask, and what all roles of a user grant together.

Rules: pkg/apis/rbac/v1/evaluation_helpers.go of Kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from longshore.core.objects.kinds import Doc
from longshore.core.objects.rbac.covering import covers_path

Action: TypeAlias = tuple[str, str, str, str]
"""Verb, API group, resource, subresource."""
ALL_NAMES: frozenset[str] = frozenset()
"""A grant without names is for all of them, as in a PolicyRule."""


class _Rule(NamedTuple):
    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str]

    def grants(self, action: Action) -> bool:
        verb, group, resource, below = action
        if verb not in self.verbs and "*" not in self.verbs:
            return False
        if group not in self.groups and "*" not in self.groups:
            return False
        if "*" in self.resources:
            return True
        if not below:
            return resource in self.resources
        return f"{resource}/{below}" in self.resources or f"*/{below}" in self.resources


class Role:
    """The rules of a Role or ClusterRole. rules are the documents: read-only."""

    __slots__ = ("_rules", "rules")

    def __init__(self, rules: Sequence[Doc]) -> None:
        self.rules = tuple(rules)
        self._rules = tuple(_compiled(rule) for rule in rules if rule.get("resources"))

    def names(self, action: Action) -> frozenset[str] | None:
        """The names that the action is granted for (ALL_NAMES: whatever the name), None: none."""
        names = [rule.names for rule in self._rules if rule.grants(action)]
        if not names:
            return None
        return ALL_NAMES if ALL_NAMES in names else frozenset().union(*names)

    def grants_path(self, verb: str, path: str) -> bool:
        return any(
            covers_path(pattern, path)
            for rule in self.rules
            if verb in rule["verbs"] or "*" in rule["verbs"]
            for pattern in rule.get("nonResourceURLs") or ()
        )


def _compiled(rule: Doc) -> _Rule:
    fields = ("verbs", "apiGroups", "resources", "resourceNames")
    return _Rule(*(frozenset(rule.get(field) or ()) for field in fields))


class Held(NamedTuple):
    """A role that somebody holds in a namespace ("": everywhere), by the binding of that key."""

    namespace: str
    role: Role
    binding: str


class Reach(NamedTuple):
    """Where an action is granted, and by what: in namespaces whatever the name ("": everywhere), and
    for single names, each with its namespace."""

    namespaces: Mapping[str, Held]
    named: Mapping[tuple[str, str], Held]

    def covers(self, namespace: str, name: str) -> bool:
        if "" in self.namespaces or namespace in self.namespaces:
            return True
        if not self.named or not name:
            return False
        return ("", name) in self.named or (namespace, name) in self.named

    def granting(self, namespace: str, name: str) -> Held | None:
        """What covers() it: the widest of what does."""
        held = self.namespaces.get("") or self.namespaces.get(namespace)
        if held is None and name:
            held = self.named.get(("", name)) or self.named.get((namespace, name))
        return held


class Holdings:
    """All that one user holds. reaches and reasons are what whoever asks remembers of it: the latter
    by binding."""

    __slots__ = ("held", "reaches", "reasons")

    def __init__(self, held: Iterable[Held]) -> None:
        self.held = tuple(held)
        self.reaches: dict[Action, Reach] = {}
        self.reasons: dict[str, str] = {}

    def reach(self, action: Action) -> Reach:
        namespaces: dict[str, Held] = {}
        named: dict[tuple[str, str], Held] = {}
        # Many bindings are of few roles: each is asked once.
        granted = {role: role.names(action) for role in {one.role for one in self.held}}
        for one in self.held:
            names = granted[one.role]
            if names is ALL_NAMES:
                namespaces.setdefault(one.namespace, one)
            for name in names or ():
                named.setdefault((one.namespace, name), one)
        return Reach(namespaces, named)

    def grants_path(self, verb: str, path: str) -> bool:
        """Paths that are no resource's are granted everywhere or not at all."""
        return any(
            role.grants_path(verb, path) for namespace, role, _ in self.held if not namespace
        )

    def rules(self, namespace: str) -> list[Doc]:
        """All rules that hold in a namespace ("": those that hold everywhere)."""
        roles = (one.role for one in self.held if one.namespace in ("", namespace))
        return [rule for role in roles for rule in role.rules]
