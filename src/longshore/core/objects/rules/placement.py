"""Rules for what a pod says about nodes: selectors, tolerations, affinity, spreading."""

from __future__ import annotations

from longshore.core.objects import names, taints
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.metadata import label_selector, labels
from longshore.core.objects.rules.problems import Path, Problems

EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")
_NODE_OPERATORS = ("DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def node_selector(selector: dict[str, str], path: Path, problems: Problems) -> None:
    labels(selector, path, problems)


def tolerations(given: list[Doc], path: Path, problems: Problems) -> None:
    for index, one in enumerate(given):
        _toleration(one, (path, index), problems)


def _toleration(one: Doc, path: Path, problems: Problems) -> None:
    key, operator = one.get("key", ""), one.get("operator", "")
    if key:
        problems.all_invalid((path, "key"), key, names.qualified_name_problems(key))
    elif operator != "Exists":
        problems.invalid((path, "operator"), operator,
                         "operator must be Exists when `key` is empty, which means \"match all "
                         "values and all keys\"")  # fmt: skip
    if "tolerationSeconds" in one and one.get("effect") != "NoExecute":
        problems.invalid((path, "effect"), one.get("effect", ""),
                         "effect must be 'NoExecute' when `tolerationSeconds` is set")  # fmt: skip
    match operator:
        case "" | "Equal":
            value = one.get("value", "")
            problems.all_invalid((path, "operator"), value, names.label_value_problems(value))
        case "Exists":
            if one.get("value"):
                why = "value must be empty when `operator` is 'Exists'"
                problems.invalid((path, "operator"), one["value"], why)
        case "Lt" | "Gt":
            _bound(one.get("value", ""), (path, "value"), problems)
        case _:
            problems.unsupported((path, "operator"), operator, ("Equal", "Exists", "Gt", "Lt"))
    if one.get("effect"):
        problems.one_of((path, "effect"), one["effect"], EFFECTS)


def _bound(value: str, path: Path, problems: Problems) -> None:
    if not value:
        problems.invalid(path, value, "must be non-empty")
    elif taints.number(value) is None:
        problems.invalid(path, value, "must be a valid decimal integer in canonical form")


def affinity(given: Doc, path: Path, problems: Problems) -> None:
    if "nodeAffinity" in given:
        _node_affinity(given["nodeAffinity"], (path, "nodeAffinity"), problems)
    for side in ("podAffinity", "podAntiAffinity"):
        if side in given:
            _pod_affinity(given[side], (path, side), problems)


def _node_affinity(given: Doc, path: Path, problems: Problems) -> None:
    if _REQUIRED in given:
        node_selector_terms(given[_REQUIRED], (path, _REQUIRED), problems)
    for index, one in enumerate(given.get(_PREFERRED, ())):
        spot = ((path, _PREFERRED), index)
        _weight(one, spot, problems)
        _node_term(one.get("preference", {}), (spot, "preference"), problems)


def node_selector_terms(selector: Doc, path: Path, problems: Problems) -> None:
    """A core/v1 NodeSelector: one of its terms must hold."""
    at, terms = (path, "nodeSelectorTerms"), selector.get("nodeSelectorTerms", ())
    if not terms:
        problems.required(at, "must have at least one node selector term")
    for index, term in enumerate(terms):
        _node_term(term, (at, index), problems)


def _node_term(term: Doc, path: Path, problems: Problems) -> None:
    for field in ("matchExpressions", "matchFields"):
        for index, one in enumerate(term.get(field, ())):
            _node_requirement(one, ((path, field), index), problems)


def _node_requirement(one: Doc, path: Path, problems: Problems) -> None:
    operator, values = one.get("operator", ""), one.get("values", ())
    match operator:
        case "In" | "NotIn":
            if not values:
                why = "must be specified when `operator` is 'In' or 'NotIn'"
                problems.required((path, "values"), why)
        case "Exists" | "DoesNotExist":
            if values:
                why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                problems.forbidden((path, "values"), why)
        case "Gt" | "Lt":
            if len(values) != 1:
                why = "must be specified single value when `operator` is 'Lt' or 'Gt'"
                problems.required((path, "values"), why)
        case _:
            problems.invalid((path, "operator"), operator, "not a valid selector operator")
    key = one.get("key", "")
    problems.all_invalid((path, "key"), key, names.qualified_name_problems(key))


def _pod_affinity(given: Doc, path: Path, problems: Problems) -> None:
    for index, term in enumerate(given.get(_REQUIRED, ())):
        _pod_term(term, ((path, _REQUIRED), index), problems)
    for index, one in enumerate(given.get(_PREFERRED, ())):
        at = ((path, _PREFERRED), index)
        _weight(one, at, problems)
        _pod_term(one.get("podAffinityTerm", {}), (at, "podAffinityTerm"), problems)


def _pod_term(term: Doc, path: Path, problems: Problems) -> None:
    _topology_key(term, path, problems)
    for field in ("labelSelector", "namespaceSelector"):
        if field in term:
            label_selector(term[field], (path, field), problems)


def _topology_key(term: Doc, path: Path, problems: Problems) -> None:
    key = term.get("topologyKey", "")
    if not key:
        problems.required((path, "topologyKey"), "can not be empty")
    else:
        problems.all_invalid((path, "topologyKey"), key, names.qualified_name_problems(key))


def _weight(one: Doc, path: Path, problems: Problems) -> None:
    if not 1 <= one.get("weight", 0) <= 100:
        problems.invalid((path, "weight"), one.get("weight", 0), "must be in the range 1-100")


def spread(constraints: list[Doc], path: Path, problems: Problems) -> None:
    """topologySpreadConstraints."""
    seen = set()
    for index, one in enumerate(constraints):
        at = (path, index)
        skew, action = one.get("maxSkew", 0), one.get("whenUnsatisfiable", "")
        if skew <= 0:
            problems.invalid((at, "maxSkew"), skew, "must be greater than zero")
        _topology_key(one, at, problems)
        choices = ("DoNotSchedule", "ScheduleAnyway")
        if action not in choices:
            problems.unsupported((at, "whenUnsatisfiable"), action, choices)
        pair = (one.get("topologyKey", ""), action)
        if pair in seen:
            problems.duplicate(
                (at, "{topologyKey, whenUnsatisfiable}"), "{" + ", ".join(pair) + "}"
            )
        seen.add(pair)
        if "minDomains" in one and (one["minDomains"] <= 0 or action != "DoNotSchedule"):
            why = "must be greater than zero, with whenUnsatisfiable DoNotSchedule"
            problems.invalid((at, "minDomains"), one["minDomains"], why)
        if "labelSelector" in one:
            label_selector(one["labelSelector"], (at, "labelSelector"), problems)
