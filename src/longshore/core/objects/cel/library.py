"""Kubernetes' own functions on quantities and semantic versions (k8s.io/apiserver/pkg/cel/library,
quantity.go and semverlib.go). Pure.

Values of these types go through expressions as maps with one key that no other map has, in a form in
which equal values are equal maps.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

from longshore.base import quantities
from longshore.core.objects import versions

QUANTITY, SEMVER = "kubernetes.Quantity", "kubernetes.Semver"
Opaque: TypeAlias = dict[str, str]
_AMOUNT, _VERSION = "(quantity)", "(semver)"
_INT_MAX = 2**63 - 1
_LOOSE = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?([-+].*)?")
_TEXT_MAX = 256


class Overload(NamedTuple):
    """One form of a function: types are named as CEL writes them; member: of its first operand."""

    function: str
    operands: tuple[str, ...]
    result: str
    member: bool
    work: Callable[..., Any]


# ---- values


def quantity(text: str) -> Opaque:
    """ValueError if the text is none."""
    return {_AMOUNT: str(quantities.parse(_short(text)))}


def semver(text: str) -> Opaque:
    """Build metadata says nothing of the order, so that is left out. ValueError if it is none."""
    if versions.semantic(_short(text)) is None:
        raise ValueError(f"No Major.Minor.Patch elements found in {text!r}")
    return {_VERSION: text.partition("+")[0]}


def _short(text: str) -> str:
    if len(text) > _TEXT_MAX:
        raise ValueError(f"may not be more than {_TEXT_MAX} characters")
    return text


def _normalised(text: str, loose: bool) -> str:
    """A leading v taken off, missing numbers added, zeros before numbers taken off."""
    match = _LOOSE.fullmatch(_short(text)) if loose else None
    if match is None:
        return text
    numbers = ".".join(str(int(one or "0")) for one in match.groups()[:3])
    return f"{numbers}{match[4] or ''}"


def _is(make: Callable[[str], Opaque], text: str) -> bool:
    try:
        make(text)
    except ValueError:
        return False
    return True


def _amount(value: Opaque) -> Fraction:
    return Fraction(value[_AMOUNT])


def _order(one: Opaque, other: Opaque) -> int:
    """-1, 0 or 1; both of the same type, as the checker has seen to but for values of any type."""
    if _AMOUNT in one and _AMOUNT in other:
        return (_amount(one) > _amount(other)) - (_amount(one) < _amount(other))
    if _VERSION in one and _VERSION in other:
        first, second = versions.semantic(one[_VERSION]), versions.semantic(other[_VERSION])
        assert first is not None and second is not None
        return first.order(second)
    raise ValueError("no such overload")


def _sum(one: Opaque, other: Opaque | int, sign: int) -> Opaque:
    more = Fraction(other) if isinstance(other, int) else _amount(other)
    return {_AMOUNT: str(_amount(one) + sign * more)}


def _integer(value: Opaque) -> int:
    amount = _amount(value)
    if amount.denominator != 1 or not -_INT_MAX - 1 <= amount <= _INT_MAX:
        raise ValueError("cannot convert value to integer")
    return amount.numerator


def _is_integer(value: Opaque) -> bool:
    amount = _amount(value)
    return amount.denominator == 1 and -_INT_MAX - 1 <= amount <= _INT_MAX


def _sign(value: Opaque) -> int:
    return (_amount(value) > 0) - (_amount(value) < 0)


def _number(place: int) -> Callable[[Opaque], int]:
    return lambda value: int(value[_VERSION].partition("-")[0].split(".")[place])


# ---- the table

_Q, _S = QUANTITY, SEMVER


def _ordered(kind: str) -> list[Overload]:
    return [
        Overload("compareTo", (kind, kind), "int", True, _order),
        Overload("isLessThan", (kind, kind), "bool", True, lambda a, b: _order(a, b) < 0),
        Overload("isGreaterThan", (kind, kind), "bool", True, lambda a, b: _order(a, b) > 0),
    ]


LIBRARY: tuple[Overload, ...] = (
    Overload("quantity", ("string",), _Q, False, quantity),
    Overload("isQuantity", ("string",), "bool", False, lambda text: _is(quantity, text)),
    *_ordered(_Q),
    Overload("add", (_Q, _Q), _Q, True, lambda a, b: _sum(a, b, 1)),
    Overload("add", (_Q, "int"), _Q, True, lambda a, b: _sum(a, b, 1)),
    Overload("sub", (_Q, _Q), _Q, True, lambda a, b: _sum(a, b, -1)),
    Overload("sub", (_Q, "int"), _Q, True, lambda a, b: _sum(a, b, -1)),
    Overload("asInteger", (_Q,), "int", True, _integer),
    Overload("isInteger", (_Q,), "bool", True, _is_integer),
    Overload("asApproximateFloat", (_Q,), "double", True, lambda value: float(_amount(value))),
    Overload("sign", (_Q,), "int", True, _sign),
    Overload("semver", ("string",), _S, False, semver),
    Overload("semver", ("string", "bool"), _S, False, lambda a, b: semver(_normalised(a, b))),
    Overload("isSemver", ("string",), "bool", False, lambda text: _is(semver, text)),
    Overload(
        "isSemver", ("string", "bool"), "bool", False, lambda a, b: _is(semver, _normalised(a, b))
    ),
    *_ordered(_S),
    Overload("major", (_S,), "int", True, _number(0)),
    Overload("minor", (_S,), "int", True, _number(1)),
    Overload("patch", (_S,), "int", True, _number(2)),
)
