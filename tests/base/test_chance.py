"""Chance that can be replayed."""

from __future__ import annotations

from longshore.base.chance import Chance


def test_a_source_apart_gives_the_same_whatever_others_draw() -> None:
    one, other = Chance.seeded("a"), Chance.seeded("a")
    other.uuid()
    drawn = [each.apart("scheduler").suffix(20) for each in (one, other)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != one.apart("else").suffix(20)
    assert drawn[0] != Chance.seeded("b").apart("scheduler").suffix(20)
    assert Chance().apart("scheduler").suffix(20) != Chance().apart("scheduler").suffix(20)
