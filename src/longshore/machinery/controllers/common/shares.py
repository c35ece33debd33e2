"""IntOrString fields that are a number or a share of one: surges, budgets, partitions."""

from __future__ import annotations


def scaled(value: int | str, total: int, *, up: bool) -> int:
    """A number as it is; a percentage of total, rounded up or down
    (intstr.GetScaledValueFromIntOrPercent)."""
    if isinstance(value, int):
        return value
    # In whole numbers: 0.07 * 100 is more than 7, and would round up to 8.
    share = int(value.removesuffix("%")) * total
    return -(-share // 100) if up else share // 100
