"""Columns of what is measured, as metrics-server has them (kubernetes-sigs/metrics-server pkg/api):
how much of each resource was used, of a pod by all its containers together."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from longshore.base.quantities import is_binary, parse, text
from longshore.core.objects import kinds
from longshore.core.objects.columns.form import Calculated
from longshore.core.objects.kinds import Doc


def _node(doc: Doc) -> list[Any]:
    return _used([doc["usage"]])


def _pod(doc: Doc) -> list[Any]:
    return _used([container["usage"] for container in doc["containers"]])


def _used(usages: list[Doc]) -> list[Any]:
    return [_sum(usage[resource] for usage in usages) for resource in ("cpu", "memory")]


def _sum(amounts: Iterable[str]) -> str:
    listed = list(amounts)
    total = sum(map(parse, listed), Fraction(0))
    return text(total, binary=any(map(is_binary, listed)))


CALCULATED: dict[str, Calculated] = {
    kinds.NODE_METRICS.schema: _node,
    kinds.POD_METRICS.schema: _pod,
}
