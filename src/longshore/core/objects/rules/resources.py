"""Rules for amounts of resources (pkg/apis/core/validation: ValidateResourceRequirements)."""

from __future__ import annotations

from functools import lru_cache

from longshore.base import quantities
from longshore.core.objects import names
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.problems import NOT_NEGATIVE, Path, Problems

_OF_CONTAINERS = ("cpu", "memory", "ephemeral-storage")
# core.IsStandardResourceName: a node also has room for so many pods.
OF_NODES = (*_OF_CONTAINERS, "pods", "storage")


def requirements(given: Doc, path: Path, problems: Problems) -> None:
    """resources of a container or pod: names, amounts, and requests within limits."""
    limits, requests = given.get("limits") or {}, given.get("requests") or {}
    if limits:
        amounts(limits, (path, "limits"), problems)
    if requests:
        amounts(requests, (path, "requests"), problems)
        _within(requests, limits, (path, "requests"), problems)
    for name in limits:
        if requests and name not in requests and names.is_extended_resource(name):
            problems.required((path, "requests"), f"must be set to the limit of {name}")
    pages = [name for name in (*limits, *requests) if name.startswith("hugepages-")]
    if pages and not {"cpu", "memory"} & {*limits, *requests}:
        problems.forbidden(path, "HugePages require cpu or memory")


def amounts(
    given: Doc, path: Path, problems: Problems, standard: tuple[str, ...] = _OF_CONTAINERS
) -> None:
    """Named quantities, none of them negative; standard are the names without a domain."""
    for name, amount in given.items():
        wrong = resource_name_problems(name, standard)
        if wrong:
            problems.all_invalid(path, name, wrong)
        wrong = _amount_problems(name, amount)
        if wrong:
            problems.all_invalid((path, f"[{name}]"), amount, wrong)


@lru_cache(maxsize=4096)
def _amount_problems(name: str, amount: str) -> tuple[str, ...]:
    value = quantities.parse(amount)
    negative = (NOT_NEGATIVE,) if value < 0 else ()
    return (
        (*negative, "must be an integer")
        if value.denominator != 1 and names.is_extended_resource(name)
        else negative
    )


def _within(requests: Doc, limits: Doc, path: Path, problems: Problems) -> None:
    for name, amount in requests.items():
        limit = limits.get(name)
        if limit is None:
            if names.is_extended_resource(name) or name.startswith("hugepages-"):
                problems.required(path, "Limit must be set for non overcommitable resources")
        elif amount != limit:
            over = _compared(amount, limit)
            if over and names.is_extended_resource(name):
                problems.invalid(path, amount, f"must be equal to {name} limit of {limit}")
            elif over > 0:
                why = f"must be less than or equal to {name} limit of {limit}"
                problems.invalid(path, amount, why)


@lru_cache(maxsize=4096)
def _compared(one: str, other: str) -> int:
    """Less than, equal to, or greater than 0, as one is to the other."""
    difference = quantities.parse(one) - quantities.parse(other)
    return difference.numerator


@lru_cache(maxsize=1024)
def resource_name_problems(
    name: str, standard: tuple[str, ...] = _OF_CONTAINERS
) -> tuple[str, ...]:
    wrong = names.qualified_name_problems(name)
    if wrong:
        return wrong
    if "/" not in name and name not in standard and not name.startswith("hugepages-"):
        return ("must be a standard resource type or fully qualified",)
    return ()
