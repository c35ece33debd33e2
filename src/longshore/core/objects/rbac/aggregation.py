"""ClusterRoles that are the sum of others, chosen by label (pkg/controller/clusterroleaggregation)."""

from __future__ import annotations

from collections.abc import Iterable

from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import Selector, from_doc


def selectors_of(role: Doc) -> list[Selector]:
    """What a role gathers; empty if it does not gather."""
    rule = role.get("aggregationRule") or {}
    found = (from_doc(selector) for selector in rule.get("clusterRoleSelectors") or ())
    return [selector for selector in found if selector is not None]


def gathered(role: Doc, roles: Iterable[Doc]) -> list[Doc]:
    """The rules of all other roles that a role chooses: selector by selector, roles by name, each
    rule once."""
    others = sorted(
        (one for one in roles if one["metadata"]["name"] != role["metadata"]["name"]),
        key=lambda one: str(one["metadata"]["name"]),
    )
    rules: list[Doc] = []
    for selector in selectors_of(role):
        for other in others:
            if selector.matches(other["metadata"].get("labels")):
                rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return rules
