"""The selectors in an access review: what a list or watch that is asked about would be limited to.

Rules: pkg/apis/authorization/validation and pkg/registry/authorization/util of Kubernetes. What of a
selector is not understood is left out, as a wish without it is the greater one.
"""

from __future__ import annotations

from collections.abc import Iterator

from longshore.core.objects.errors import Cause
from longshore.core.objects.kinds import Doc

_SELECTORS = ("fieldSelector", "labelSelector")
_WITH_VALUES, _WITHOUT = ("In", "NotIn"), ("Exists", "DoesNotExist")


def fields_of(asked: Doc) -> dict[str, str]:
    """The fields that the field selector of resourceAttributes gives one value each."""
    selector = asked.get("fieldSelector") or {}
    requirements = selector.get("requirements") or ()
    if requirements:
        return dict(_equalities(requirements))
    return dict(_parsed(selector.get("rawSelector", "")))


def _equalities(requirements: list[Doc]) -> Iterator[tuple[str, str]]:
    for one in requirements:
        values: list[str] = one.get("values") or []
        if one.get("operator") == "In" and len(values) == 1:
            yield one.get("key", ""), values[0]


def _parsed(raw: str) -> Iterator[tuple[str, str]]:
    if "\\" in raw:
        return
    for term in raw.split(","):
        key, equals, value = term.partition("=")
        if equals and not key.endswith("!"):
            yield key, value.removeprefix("=")


def selector_causes(asked: Doc) -> Iterator[Cause]:
    """What is wrong with the selectors of resourceAttributes."""
    for field in _SELECTORS:
        selector, path = asked.get(field), f"spec.resourceAttributes.{field}"
        if selector is None:
            continue
        raw, requirements = selector.get("rawSelector"), selector.get("requirements")
        if raw and requirements:
            why = "may not specified at the same time as requirements"
            message = f'Invalid value: "{raw}": {why}'
            yield Cause("FieldValueInvalid", message, f"{path}.rawSelector")
        elif not raw and not requirements:
            why = f"when {path} is specified, requirements or rawSelector is required"
            yield Cause("FieldValueRequired", f"Required value: {why}", f"{path}.requirements")
        for index, one in enumerate(requirements or ()):
            yield from _requirement_causes(one, f"{path}.requirements[{index}].values")


def _requirement_causes(one: Doc, path: str) -> Iterator[Cause]:
    operator, values = one.get("operator"), one.get("values")
    if operator in _WITH_VALUES and not values:
        why = "must be specified when `operator` is 'In' or 'NotIn'"
        yield Cause("FieldValueRequired", f"Required value: {why}", path)
    elif operator in _WITHOUT and values:
        why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        yield Cause("FieldValueForbidden", f"Forbidden: {why}", path)
