"""The kernel's pressure files as they are read: pure."""

from __future__ import annotations

import pytest

from longshore.machinery.runtime.pressure import Stall, parse

FILE = """\
some avg10=1.50 avg60=0.25 avg300=0.00 total=123456
full avg10=0.00 avg60=0.00 avg300=0.00 total=7
"""


def test_a_pressure_file_says_who_waited_and_for_how_long() -> None:
    found = parse(FILE)
    assert found.some == Stall(123456, 1.5, 0.25, 0.0)
    assert found.full.total_us == 7


def test_an_older_kernel_does_not_tell_when_nobody_had_the_cpu() -> None:
    found = parse(FILE.splitlines()[0])
    assert (found.some.total_us, found.full.total_us) == (123456, 0)


@pytest.mark.parametrize("text", ["", FILE.splitlines()[1], FILE.replace("total=7", "")])
def test_half_a_file_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)
