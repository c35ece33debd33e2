"""Versions and ranges of them, as constraints on nodes name them. Pure.

Two readings: "version" is forgiving (any count of numbers, a leading v, ~>), and a version before
its release is in no range that does not name one such itself; "semver" is https://semver.org to the
letter, where such versions have their place in the order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest

_VERSION = re.compile(r"v?(\d{1,18}(?:\.\d{1,18})*)(?:-([0-9A-Za-z.~-]+))?(?:\+[0-9A-Za-z.~+-]+)?")
_SEMANTIC = re.compile(
    r"(0|[1-9]\d{0,17})\.(0|[1-9]\d{0,17})\.(0|[1-9]\d{0,17})"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_CLAUSE = re.compile(r"(~>|<=|>=|!=|=|<|>)?\s*(\S+)")

Test = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Version:
    """numbers without trailing zeros; before: the words of what comes before the release, if it
    does; given: how many numbers were written."""

    numbers: tuple[int, ...]
    before: tuple[str, ...]
    given: int

    def order(self, other: Version) -> int:
        """-1, 0 or 1 (semver.org, 11)."""
        if self.numbers != other.numbers:
            return 1 if self.numbers > other.numbers else -1
        if not self.before or not other.before:
            return bool(other.before) - bool(self.before)
        for one, two in zip_longest(self.before, other.before):
            if one != two:
                return _word_order(one, two)
        return 0


def _word_order(one: str | None, two: str | None) -> int:
    """Fewer words first; numbers before words."""
    if one is None or two is None:
        return -1 if one is None else 1
    keys = [(0, int(word), "") if word.isdecimal() else (1, 0, word) for word in (one, two)]
    return 1 if keys[0] > keys[1] else -1


def version(text: str) -> Version | None:
    """None if the text is no version."""
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        return None
    return _made([int(one) for one in match[1].split(".")], match[2])


def semantic(text: str) -> Version | None:
    """None if the text is not exactly a semantic version."""
    match = _SEMANTIC.fullmatch(text.strip())
    return None if match is None else _made([int(one) for one in match.groups()[:3]], match[4])


def _made(numbers: list[int], before: str | None) -> Version:
    kept = list(numbers)
    while kept and not kept[-1]:
        kept.pop()
    return Version(tuple(kept), tuple((before or "").split(".")) if before else (), len(numbers))


_HOLDS: dict[str, Callable[[int], bool]] = {
    "=": lambda order: order == 0,
    "!=": lambda order: order != 0,
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
}


def version_range(text: str) -> Test:
    """ ">= 1.2, < 2" as a test of versions. Raises ValueError."""
    return _range(text, version, pessimistic=True)


def semantic_range(text: str) -> Test:
    """The same of semantic versions, without ~>. Raises ValueError."""
    return _range(text, semantic, pessimistic=False)


def _range(text: str, read: Callable[[str], Version | None], *, pessimistic: bool) -> Test:
    clauses = [_clause(one, read, pessimistic) for one in text.split(",")]

    def holds(value: str) -> bool:
        found = read(value)
        return found is not None and all(clause(found) for clause in clauses)

    return holds


def _clause(
    text: str, read: Callable[[str], Version | None], pessimistic: bool
) -> Callable[[Version], bool]:
    match = _CLAUSE.fullmatch(text.strip())
    wanted = read(match[2]) if match else None
    operator = (match[1] or "=") if match else ""
    if wanted is None or (operator == "~>" and not pessimistic):
        raise ValueError(f'not a range of versions: "{text.strip()}"')
    # Only the forgiving reading leaves versions before their release out.
    strict = pessimistic and not wanted.before

    def holds(found: Version) -> bool:
        if strict and found.before:
            return False
        if operator == "~>":
            return _about(found, wanted)
        return _HOLDS[operator](found.order(wanted))

    return holds


def _about(found: Version, wanted: Version) -> bool:
    """At least that, and alike but for the last number written: ~> 1.2.3 is >= 1.2.3, < 1.3."""
    kept = max(wanted.given - 1, 1)
    return found.order(wanted) >= 0 and _padded(found, kept) == _padded(wanted, kept)


def _padded(one: Version, length: int) -> tuple[int, ...]:
    return (*one.numbers, *[0] * length)[:length]
