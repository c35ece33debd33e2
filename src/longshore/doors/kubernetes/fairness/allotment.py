"""How many seats each priority level has, lends and may borrow. Pure.

Arithmetic: updatePriorityLevelStates in apiserver/pkg/util/flowcontrol/apf_controller.go.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from longshore.core.objects.kinds import Doc


@dataclass(frozen=True, slots=True)
class Allotment:
    """Seats of a level: nominal is its share; own the part that it never lends; most what it may
    have with all that it may borrow."""

    nominal: int
    own: int
    most: int


def allot(levels: Mapping[str, Doc], total: int) -> dict[str, Allotment]:
    """Divide total seats by nominalConcurrencyShares, rounded up, among levels by name."""
    limits = {name: _limits(doc["spec"]) for name, doc in levels.items()}
    shares = sum(_shares(each) for each in limits.values())
    return {
        name: _allotment(each, math.ceil(total * _shares(each) / shares) if shares else 0, total)
        for name, each in limits.items()
    }


def _limits(spec: Doc) -> Doc:
    limits: Doc = spec.get("limited") or spec.get("exempt") or {}
    return limits


def _shares(limits: Doc) -> int:
    return int(limits.get("nominalConcurrencyShares", 0))


def _allotment(limits: Doc, nominal: int, total: int) -> Allotment:
    lent = round(nominal * limits.get("lendablePercent", 0) / 100)
    bound = limits.get("borrowingLimitPercent")
    borrowed = total if bound is None else round(nominal * bound / 100)
    return Allotment(nominal, nominal - lent, nominal + borrowed)
