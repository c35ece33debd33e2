"""What is said of a control."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple, TypeAlias

from longshore.cluster.audit_config.evidence import Evidence

PASS, FAIL, MANUAL, NOT_APPLICABLE = "pass", "fail", "manual", "n/a"
VERDICTS = (PASS, FAIL, MANUAL, NOT_APPLICABLE)
_SHOWN_MAX = 3


class Verdict(NamedTuple):
    """verdict is one of VERDICTS, why one sentence."""

    verdict: str
    why: str


Check: TypeAlias = Callable[[Evidence], Verdict]


class Control(NamedTuple):
    """number as the benchmark has it."""

    number: str
    title: str
    check: Check


def passed(why: str) -> Verdict:
    return Verdict(PASS, why)


def failed(why: str) -> Verdict:
    return Verdict(FAIL, why)


def manual(why: str) -> Verdict:
    """A person has to look: why says at what."""
    return Verdict(MANUAL, why)


def not_applicable(why: str) -> Verdict:
    return Verdict(NOT_APPLICABLE, why)


def decided(holds: bool, good: str, bad: str) -> Verdict:
    return passed(good) if holds else failed(bad)


def always(verdict: Verdict) -> Check:
    """For what is so by construction, whatever the cluster."""
    return lambda _: verdict


def unless(found: Collection[str], good: str, bad: str) -> Verdict:
    """Fails for what was found, which bad names where it says {}."""
    return failed(bad.format(some(found))) if found else passed(good)


def some(names: Collection[str]) -> str:
    """The first few of them, and how many more there are."""
    ordered = sorted(set(names))
    more = len(ordered) - _SHOWN_MAX
    return ", ".join(ordered[:_SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
