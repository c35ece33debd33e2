"""Amounts of resources by name, and sums of them."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from longshore.base import quantities
from longshore.core.objects.kinds import Doc

# No quantity is finer than a billionth (apimachinery/pkg/api/resource), so that sums are of integers.
UNIT = 10**9


class Amount(NamedTuple):
    """A quantity, in billionths; binary if it is written in powers of two."""

    value: int
    binary: bool = False

    @property
    def text(self) -> str:
        return quantities.text(Fraction(self.value, UNIT), binary=self.binary)


Amounts: TypeAlias = dict[str, Amount]
ZERO, ONE = Amount(0), Amount(UNIT)


def plus(one: Amount, other: Amount, sign: int = 1) -> Amount:
    """Their sum, written as the first that is not zero is."""
    binary = one.binary if one.value else other.binary
    return Amount(one.value + sign * other.value, binary)


def read(amounts: Doc | None) -> Amounts:
    """Of a map of quantities."""
    return {name: _read(text) for name, text in amounts.items()} if amounts else {}


@lru_cache(maxsize=4096)
def _read(text: str | int | float) -> Amount:
    value = quantities.parse(text) * UNIT
    return Amount(-(-value.numerator // value.denominator), quantities.is_binary(text))


def whole(amount: Amount) -> Amount:
    """Rounded up to a whole number."""
    return Amount(-(-amount.value // UNIT) * UNIT, amount.binary)


def add(total: Amounts, more: Mapping[str, Amount]) -> None:
    for name, amount in more.items():
        total[name] = plus(total.get(name, ZERO), amount)


def raise_to(total: Amounts, least: Mapping[str, Amount]) -> None:
    for name, amount in least.items():
        if name not in total or total[name].value < amount.value:
            total[name] = amount


def said(amounts: Mapping[str, Amount]) -> str:
    """As refusals list them: name=amount,..."""
    return ",".join(f"{name}={amounts[name].text}" for name in sorted(amounts))
