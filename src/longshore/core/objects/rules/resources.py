"""Rules for amounts of resources (pkg/apis/core/validation: ValidateResourceRequirements)."""

from __future__ import annotations

from functools import lru_cache

from longshore.base import quantities
from longshore.core.objects import names
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.problems import NOT_NEGATIVE, Path, Problems

_STANDARD = ("cpu", "memory", "ephemeral-storage")


def requirements(given: Doc, path: Path, problems: Problems) -> None:
    """resources of a container or pod: names, amounts, and requests within limits."""
    limits, requests = given.get("limits") or {}, given.get("requests") or {}
    if limits:
        amounts(limits, (path, "limits"), problems)
    if requests:
        amounts(requests, (path, "requests"), problems)
        _within(requests, limits, (path, "requests"), problems)
    for name in limits:
        if _is_extended(name) and name not in requests and requests:
            problems.required((path, "requests"), f"must be set to the limit of {name}")
    if any(n.startswith("hugepages-") for n in (*limits, *requests)) and not any(
        n in limits or n in requests for n in ("cpu", "memory")
    ):
        problems.forbidden(path, "HugePages require cpu or memory")


def amounts(given: Doc, path: Path, problems: Problems) -> None:
    """Named quantities, none of them negative."""
    for name, amount in given.items():
        wrong = resource_name_problems(name)
        if wrong:
            problems.all_invalid(path, name, wrong)
        value = quantities.parse(amount)
        if value.numerator < 0:
            problems.invalid((path, f"[{name}]"), amount, NOT_NEGATIVE)
        if value.denominator != 1 and _is_extended(name):
            problems.invalid((path, f"[{name}]"), amount, "must be an integer")


def _within(requests: Doc, limits: Doc, path: Path, problems: Problems) -> None:
    for name, amount in requests.items():
        limit = limits.get(name)
        if limit is None:
            if _is_extended(name) or name.startswith("hugepages-"):
                problems.required(path, "Limit must be set for non overcommitable resources")
        elif amount != limit:
            asked, most = quantities.parse(amount), quantities.parse(limit)
            if _is_extended(name) and asked != most:
                problems.invalid(path, amount, f"must be equal to {name} limit of {limit}")
            elif asked > most:
                why = f"must be less than or equal to {name} limit of {limit}"
                problems.invalid(path, amount, why)


def _is_extended(name: str) -> bool:
    """A resource that a device plugin counts: it has a domain, and not Kubernetes' own."""
    domain, slash, _ = name.partition("/")
    return bool(slash) and not domain.endswith("kubernetes.io")


@lru_cache(maxsize=1024)
def resource_name_problems(name: str) -> tuple[str, ...]:
    wrong = names.qualified_name_problems(name)
    if wrong:
        return wrong
    if "/" not in name and name not in _STANDARD and not name.startswith("hugepages-"):
        return ("must be a standard resource type or fully qualified",)
    return ()
