"""Constraints that a pod may put on nodes beyond labels that are equal: what jobs of other
orchestrators ask for. Pure; docs/scheduler.md is their reference.

They stand in one annotation of the pod, as a JSON list of objects: attribute, operator, value and,
for a wish instead of a demand, weight (-100 to 100, not 0).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from longshore.base.patterns import BadPattern, Pattern
from longshore.core.objects import names
from longshore.core.objects.versions import semantic_range, version_range

ANNOTATION = "scheduling.longshore.io/constraints"
CONSTRAINTS_MAX, VALUE_MAX = 64, 1024
# What a node has besides labels, and where in its status.nodeInfo; its name is its own.
ATTRIBUTES = {
    "node:name": "",
    "node:os": "operatingSystem",
    "node:arch": "architecture",
    "node:kernel": "kernelVersion",
    "node:os-image": "osImage",
    "node:runtime": "containerRuntimeVersion",
    "node:kubelet": "kubeletVersion",
}
DISTINCT_HOSTS, DISTINCT_PROPERTY = "distinct_hosts", "distinct_property"
_PRESENCE = ("is_set", "is_not_set")
_SAME = {"==": "=", "is": "=", "not": "!="}
_FIELDS = frozenset(("attribute", "operator", "value", "weight"))

Test = Callable[[str], bool]


class BadConstraint(ValueError):
    """The annotation cannot be understood; the message says which part and why."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """attribute: a label's key, or one of ATTRIBUTES ("" for distinct_hosts). weight 0: a demand;
    else how much it is wished, or with a minus shunned."""

    attribute: str
    operator: str
    value: str
    weight: int = 0

    def met_by(self, value: str | None) -> bool:
        """Whether a node meets it whose attribute is this (None: it has none)."""
        if self.operator in _PRESENCE:
            return (value is not None) == (self.operator == "is_set")
        if value is None:
            return self.operator == "!="
        return _test(self.operator, self.value)(value)

    @property
    def count(self) -> int:
        """How many pods of a workload may share a value (distinct_property)."""
        return int(self.value or 1)


def parse(text: str) -> tuple[Constraint, ...]:
    """The constraints of an annotation. Raises BadConstraint."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadConstraint(f"not JSON: {error}") from error
    if not isinstance(found, list):
        raise BadConstraint("must be a list of objects with attribute, operator and value")
    if len(found) > CONSTRAINTS_MAX:
        raise BadConstraint(f"must have at most {CONSTRAINTS_MAX} items")
    return tuple(_constraint(one, f"[{number}]") for number, one in enumerate(found))


def _constraint(one: Any, where: str) -> Constraint:
    if not isinstance(one, dict):
        raise BadConstraint(f"{where}: must be an object")
    if unknown := sorted(set(one) - _FIELDS):
        raise BadConstraint(f'{where}: unknown field "{unknown[0]}"')
    operator = one.get("operator", "=")
    operator = _SAME.get(operator, operator) if isinstance(operator, str) else operator
    if operator not in OPERATORS:
        raise BadConstraint(f"{where}.operator: must be one of {', '.join(OPERATORS)}")
    made = Constraint(
        _attribute(one.get("attribute", ""), operator, where),
        operator,
        _value(one.get("value", ""), operator, where),
        _weight(one.get("weight", 0), operator, "weight" in one, where),
    )
    try:
        _check(made)
    except ValueError as error:
        raise BadConstraint(f"{where}.value: {error}") from error
    return made


def _attribute(given: Any, operator: str, where: str) -> str:
    if operator == DISTINCT_HOSTS:
        if given:
            raise BadConstraint(f"{where}.attribute: must be left out with {operator}")
        return ""
    if not isinstance(given, str) or not given:
        raise BadConstraint(f"{where}.attribute: must be the key of a label, or one of node:...")
    if given.startswith("node:"):
        if given not in ATTRIBUTES:
            known = ", ".join(ATTRIBUTES)
            raise BadConstraint(f"{where}.attribute: no node has {given}; there are {known}")
    elif problems := names.qualified_name_problems(given):
        raise BadConstraint(f"{where}.attribute: {problems[0]}")
    return given


def _value(given: Any, operator: str, where: str) -> str:
    """As text; what is a number or a truth in JSON may stand without quotes."""
    if isinstance(given, bool):
        given = str(given).lower()
    text = str(given) if isinstance(given, int | float | str) else None
    if text is None or len(text) > VALUE_MAX:
        raise BadConstraint(f"{where}.value: must be text of at most {VALUE_MAX} characters")
    if not text and operator not in (*_PRESENCE, DISTINCT_HOSTS, DISTINCT_PROPERTY):
        raise BadConstraint(f"{where}.value: must be given with {operator}")
    if text and operator in _PRESENCE:
        raise BadConstraint(f"{where}.value: must be left out with {operator}")
    return text


def _weight(given: Any, operator: str, there: bool, where: str) -> int:
    if not there:
        return 0
    if operator in (DISTINCT_HOSTS, DISTINCT_PROPERTY):
        raise BadConstraint(f"{where}.weight: {operator} is a demand and has no weight")
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= abs(given) <= 100:
        raise BadConstraint(f"{where}.weight: must be a whole number from -100 to 100, not 0")
    return given


def _check(one: Constraint) -> None:
    """Raises ValueError for a value that its operator cannot read."""
    if one.operator == DISTINCT_HOSTS:
        if one.value not in ("", "true"):
            raise ValueError('must be "true" or left out with distinct_hosts')
    elif one.operator == DISTINCT_PROPERTY:
        if not (one.value or "1").isdecimal() or one.count < 1:
            raise ValueError("must be a whole number of at least 1 with distinct_property")
    elif one.operator not in _PRESENCE:
        _test(one.operator, one.value)


# ---- operators


def _compared(holds: Callable[[int], bool]) -> Callable[[str], Test]:
    """Numbers are compared as numbers if both sides are, else both as text."""

    def made(wanted: str) -> Test:
        return lambda value: holds(_order(value, wanted))

    return made


def _order(one: str, other: str) -> int:
    left, right = _number(one), _number(other)
    if left is None or right is None:
        return (one > other) - (one < other)
    return (left > right) - (left < right)


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _glob(wanted: str) -> Test:
    """* stands for any characters, ? for one."""
    parts = {"*": ".*", "?": "."}
    inside = "".join(parts.get(one) or _literal(one) for one in wanted)
    return Pattern(f"^{inside}$").found_in


def _literal(char: str) -> str:
    return char if char.isalnum() else f"\\{char}"


def _regexp(wanted: str) -> Test:
    try:
        return Pattern(wanted).found_in
    except BadPattern as error:
        raise ValueError(f"not a regular expression: {error}") from error


def _set(text: str) -> frozenset[str]:
    return frozenset(one.strip() for one in text.split(","))


_MAKERS: dict[str, Callable[[str], Test]] = {
    "=": lambda wanted: lambda value: value == wanted,
    "!=": lambda wanted: lambda value: value != wanted,
    "<": _compared(lambda order: order < 0),
    "<=": _compared(lambda order: order <= 0),
    ">": _compared(lambda order: order > 0),
    ">=": _compared(lambda order: order >= 0),
    "glob": _glob,
    "regexp": _regexp,
    "version": version_range,
    "semver": semantic_range,
    "set_contains": lambda wanted: lambda value: _set(wanted) <= _set(value),
    "set_contains_any": lambda wanted: lambda value: not _set(wanted).isdisjoint(_set(value)),
}
OPERATORS = (*_MAKERS, *_PRESENCE, DISTINCT_HOSTS, DISTINCT_PROPERTY)


@lru_cache(4096)
def _test(operator: str, wanted: str) -> Test:
    """Raises ValueError for a value that the operator cannot read."""
    return _MAKERS[operator](wanted)
