"""Make a failing script short: leave steps out as long as the same rule stays broken."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from longshore.testing.simulator.script import Step


def shrink(
    script: Sequence[Step], fails: Callable[[Sequence[Step]], bool], tries: int = 200
) -> list[Step]:
    """A script, as short as so many tries can make it, for which fails still holds: first without
    what comes after the failure, then delta debugging (Zeller and Hildebrandt 2002), in halves, then in
    ever smaller parts."""
    kept = shortest_beginning(script, fails)
    tries -= len(script).bit_length()
    part = max(1, len(kept) // 2)
    while tries > 0:
        kept, tries, shorter = _one_round(kept, part, fails, tries)
        if part == 1 and not shorter:
            break
        if not shorter or part > len(kept):
            part = max(1, part // 2)
    return kept


def shortest_beginning(
    script: Sequence[Step], fails: Callable[[Sequence[Step]], bool]
) -> list[Step]:
    """As many steps from the first one on as it takes to fail, found by halving."""
    enough, few = len(script), 0
    while enough - few > 1:
        middle = (enough + few) // 2
        if fails(script[:middle]):
            enough = middle
        else:
            few = middle
    return list(script[:enough])


def _one_round(
    kept: list[Step], part: int, fails: Callable[[Sequence[Step]], bool], tries: int
) -> tuple[list[Step], int, bool]:
    at, shorter = 0, False
    while at < len(kept) and tries > 0:
        candidate = kept[:at] + kept[at + part :]
        tries -= 1
        if candidate and fails(candidate):
            kept, shorter = candidate, True
        else:
            at += part
    return kept, tries, shorter
