"""Who may do what beyond what the default roles and bindings grant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

from longshore.cluster.audit_config.evidence import Evidence
from longshore.core.objects.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    ROLE,
    ROLE_BINDING,
    Doc,
    Kind,
)
from longshore.core.objects.rbac.defaults import default_objects

_Key = tuple[str, str, str]


class Grant(NamedTuple):
    """Somebody ("User jane", "Group devs", "ServiceAccount ns/name") holds a rule of a role.
    namespace is "" where it holds everywhere."""

    subject: str
    role: str
    namespace: str
    rule: Doc


class Right(NamedTuple):
    """One of the verbs on one of the resources ("pods", "nodes/proxy") of a group."""

    verbs: tuple[str, ...]
    group: str
    resources: tuple[str, ...]


def grants_beyond_defaults(evidence: Evidence) -> list[Grant]:
    """What bindings grant that no default binding grants by a default rule."""
    roles = _roles(evidence)
    bindings = [*evidence.all(CLUSTER_ROLE_BINDING), *evidence.all(ROLE_BINDING)]
    return [grant for binding in bindings for grant in _granted(binding, roles)]


def _granted(binding: Doc, roles: dict[_Key, Doc]) -> Iterator[Grant]:
    metadata, ref = binding["metadata"], binding["roleRef"]
    namespace = metadata.get("namespace", "")
    place = namespace if ref["kind"] == "Role" else ""
    role = roles.get((ref["kind"], place, ref["name"]))
    rules, added = _rules(role), own_rules(role) if role else []
    usual = _subjects(_default(_kind_of(binding), namespace, metadata["name"]))
    for subject in binding.get("subjects") or ():
        held = added if subject_of(subject, namespace) in usual else rules
        for rule in held:
            yield Grant(subject_of(subject, namespace), ref["name"], namespace, rule)


def own_rules(role: Doc) -> list[Doc]:
    """The rules of a role that are not of the default role of that name."""
    metadata = role["metadata"]
    default = _default(_kind_of(role), metadata.get("namespace", ""), metadata["name"])
    usual = _rules(default)
    return [rule for rule in _rules(role) if rule not in usual]


def allows(rule: Doc, right: Right) -> bool:
    """Whether a rule grants it for objects of any name."""
    groups, resources = rule.get("apiGroups") or (), rule.get("resources") or ()
    return (
        not rule.get("resourceNames")
        and _meets(rule.get("verbs") or (), right.verbs)
        and _meets(groups, (right.group,))
        and any(_names(pattern, right.resources) for pattern in resources)
    )


def subject_of(subject: Doc, namespace: str) -> str:
    name = subject["name"]
    if subject["kind"] == "ServiceAccount":
        name = f"{subject.get('namespace') or namespace}/{name}"
    return f"{subject['kind']} {name}"


def _meets(held: Iterable[str], wanted: Sequence[str]) -> bool:
    return any(one == "*" or one in wanted for one in held)


def _names(pattern: str, resources: Sequence[str]) -> bool:
    if pattern.startswith("*/"):
        return any(one.endswith(pattern[1:]) for one in resources)
    return pattern == "*" or pattern in resources


def _roles(evidence: Evidence) -> dict[_Key, Doc]:
    roles = [*evidence.all(CLUSTER_ROLE), *evidence.all(ROLE)]
    return {_key(_kind_of(role).name, role): role for role in roles}


def _rules(role: Doc | None) -> Sequence[Doc]:
    return (role or {}).get("rules") or ()


def _subjects(binding: Doc | None) -> set[str]:
    namespace = binding["metadata"].get("namespace", "") if binding else ""
    return {subject_of(one, namespace) for one in (binding or {}).get("subjects") or ()}


def _default(kind: Kind, namespace: str, name: str) -> Doc | None:
    return _defaults().get((kind.name, namespace, name))


@cache
def _defaults() -> dict[_Key, Doc]:
    return {_key(kind.name, doc): doc for kind, doc in default_objects()}


def _key(kind: str, doc: Doc) -> _Key:
    return kind, doc["metadata"].get("namespace", ""), doc["metadata"]["name"]


def _kind_of(doc: Doc) -> Kind:
    return next(
        kind
        for kind in (CLUSTER_ROLE, ROLE, CLUSTER_ROLE_BINDING, ROLE_BINDING)
        if kind.name == doc["kind"]
    )
