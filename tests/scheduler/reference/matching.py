"""Selectors: of labels (pods, namespaces) and of nodes.

kubernetes.io/docs/concepts/overview/working-with-objects/labels, and NodeSelectorTerm in the API
reference: terms are alternatives, all requirements of one must hold, an empty one matches nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from longshore.core.objects.kinds import Doc

from .cluster import labels_of, name_of

Labels = Mapping[str, str]


def selects(selector: Doc | None, labels: Labels) -> bool:
    """A label selector; none at all selects nothing, an empty one everything."""
    if selector is None:
        return False
    exactly = (selector.get("matchLabels") or {}).items()
    expressions = selector.get("matchExpressions") or ()
    return all(labels.get(key) == value for key, value in exactly) and all(
        holds(one, labels) for one in expressions
    )


def is_empty(selector: Doc | None) -> bool:
    return selector is not None and not (
        selector.get("matchLabels") or selector.get("matchExpressions")
    )


def holds(requirement: Doc, labels: Labels) -> bool:
    operator = requirement["operator"]
    values: list[str] = requirement.get("values") or []
    value = labels.get(requirement["key"])
    if operator == "In":
        return value in values
    if operator == "NotIn":
        return value is None or value not in values
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    return _is_beyond(value, operator, values[0])


def _is_beyond(value: str | None, operator: str, bound: str) -> bool:
    try:
        found, asked = int(value or ""), int(bound)
    except ValueError:
        return False
    return found > asked if operator == "Gt" else found < asked


def node_meets(term: Doc, node: Doc) -> bool:
    expressions = term.get("matchExpressions") or ()
    fields = term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    named = {"metadata.name": name_of(node)}
    return all(holds(one, labels_of(node)) for one in expressions) and all(
        holds(one, named) for one in fields
    )


def node_is_asked_for(pod: Doc, node: Doc) -> bool:
    """nodeSelector and the required part of node affinity."""
    for key, value in (pod["spec"].get("nodeSelector") or {}).items():
        if labels_of(node).get(key) != value:
            return False
    required = node_affinity(pod).get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return any(node_meets(term, node) for term in required["nodeSelectorTerms"])


def node_affinity(pod: Doc) -> Doc:
    return (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
