"""Kubernetes quantities: "100m", "128Mi", "1e3". Source of the grammar: apimachinery/pkg/api/resource."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

_FORM = re.compile(r"^([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?$")
_SCALE: dict[str, Fraction] = {
    "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000),
    "k": Fraction(10**3), "M": Fraction(10**6), "G": Fraction(10**9),
    "T": Fraction(10**12), "P": Fraction(10**15), "E": Fraction(10**18),
    "Ki": Fraction(2**10), "Mi": Fraction(2**20), "Gi": Fraction(2**30),
    "Ti": Fraction(2**40), "Pi": Fraction(2**50), "Ei": Fraction(2**60),
}  # fmt: skip
# What is written as more than that is not calculated with exactly: it would take hours.
_LARGEST, _EXPONENT_MAX = Fraction(10**64), 5000
_SMALLEST = Fraction(1, 10**9)


@lru_cache(maxsize=4096)
def parse(text: str | int | float) -> Fraction:
    """The exact value of a quantity; ValueError if it is not one."""
    number, suffix = _parts(str(text))
    return _bounded(Fraction(number) * _scale(suffix) if suffix else Fraction(number))


def _parts(text: str) -> tuple[str, str]:
    """Its number and its suffix."""
    match = _FORM.match(text)
    if match is None:
        raise ValueError(
            "quantities must match the regular expression "
            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        )
    return match[1], match[2] or ""


def _scale(suffix: str) -> Fraction:
    if suffix in _SCALE:
        return _SCALE[suffix]
    # A number in Python has fewer digits than that, so what is beyond is too large or too small.
    exponent = max(-_EXPONENT_MAX, min(int(suffix[1:]), _EXPONENT_MAX))
    return Fraction(10) ** exponent


def _bounded(value: Fraction) -> Fraction:
    """Who wants something gets at least a billionth, as upstream has it
    (apimachinery/pkg/api/resource/quantity.go, ParseQuantity)."""
    if value and abs(value) < _SMALLEST:
        return _SMALLEST if value > 0 else -_SMALLEST
    return max(-_LARGEST, min(value, _LARGEST))


def millis(text: str | int | float) -> int:
    """Thousandths, rounded up: cpu "100m" is 100."""
    return _ceil(parse(text) * 1000)


def whole(text: str | int | float) -> int:
    """Whole units, rounded up: memory "1Ki" is 1024."""
    return _ceil(parse(text))


def _ceil(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)


_DECIMAL = ("", "k", "M", "G", "T", "P", "E")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_SMALL = (("m", 10**3), ("u", 10**6), ("n", 10**9))


def is_binary(text: str | int | float) -> bool:
    """Whether the quantity counts in powers of two, and so what is made of it is written."""
    return str(text).endswith("i")


def text(value: Fraction | int, *, binary: bool = False) -> str:
    """The canonical form (Quantity.CanonicalizeBytes): the largest suffix that leaves a whole number;
    less than a billionth is rounded up."""
    value = Fraction(value)
    if value.denominator != 1:
        suffix, scale = next(
            (one for one in _SMALL if (value * one[1]).denominator == 1), _SMALL[-1]
        )
        return f"{_ceil(value * scale)}{suffix}"
    number = value.numerator
    if binary and abs(number) >= 1024:
        return _reduced(number, 1024, _BINARY)
    return _reduced(number, 1000, _DECIMAL)


def _reduced(number: int, step: int, suffixes: tuple[str, ...]) -> str:
    place = 0
    while number and number % step == 0 and place < len(suffixes) - 1:
        number //= step
        place += 1
    return f"{number}{suffixes[place]}"


# ---- the form in which a quantity that somebody wrote is served

_BINARY_MAX = 2**63 - 1
_POWERS = {"": 0, "n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
# Upstream keeps the text that is read into 64 bits and looks canonical: so many digits at most, less
# those of a binary suffix.
_DIGITS_MAX, _BINARY_DIGITS_MAX = 18, 14


def canonical(written: str) -> str:
    """What upstream makes of a quantity that it reads and writes (ParseQuantity, Quantity.String):
    "0.5" is "500m", "1024Mi" is "1Gi", "1000" is "1k", "10e2" is "1e3". ValueError if it is none."""
    written = written.strip()
    number, suffix = _parts(written)
    whole, _, fraction = number.lstrip("+-").partition(".")
    digits = (whole.lstrip("0") or "0") + fraction
    if is_binary(suffix):
        kept = not fraction and _looks_binary(digits, suffix)
        return written if kept else _signed(parse(written), _binary_text)
    in_exponents = suffix not in _POWERS
    power = int(suffix[1:]) if in_exponents else _POWERS[suffix]
    if _looks_decimal(digits, power - len(fraction)):
        return written
    return _signed(parse(written), _exponent_text if in_exponents else text)


def _looks_binary(digits: str, suffix: str) -> bool:
    taken = 3 * (1 + "KMGTPE".index(suffix[0]))
    return len(digits) + taken <= _BINARY_DIGITS_MAX and int(digits) % 8 != 0


def _looks_decimal(digits: str, power: int) -> bool:
    """Of digits times ten to the power."""
    if len(digits) > _DIGITS_MAX or power < -9 or power % 3:
        return False
    return digits[0] != "0" and not digits.endswith("000")


def _signed(value: Fraction, write: Callable[[Fraction], str]) -> str:
    return f"-{write(-value)}" if value < 0 else write(value)


def _binary_text(value: Fraction) -> str:
    return text(min(value, Fraction(_BINARY_MAX)), binary=True)


def _exponent_text(value: Fraction) -> str:
    """As text(), with the power of ten for a suffix: 80e-3."""
    power = next((p for p in (0, -3, -6) if (value * 10**-p).denominator == 1), -9)
    number = _ceil(value * 10**-power)
    while number and number % 1000 == 0:
        number, power = number // 1000, power + 3
    return f"{number}e{power}" if power else str(number)
