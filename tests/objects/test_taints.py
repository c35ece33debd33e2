"""Which toleration covers which taint."""

from __future__ import annotations

import pytest

from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.placement import tolerations
from longshore.core.objects.rules.problems import SPEC, Problems
from longshore.core.objects.taints import number, tolerates

TAINT = {"key": "sla", "value": "95", "effect": "NoSchedule"}


def toleration(operator: str, value: str = "", key: str = "sla", effect: str = "") -> Doc:
    return {"key": key, "operator": operator, "value": value, "effect": effect}


@pytest.mark.parametrize(
    ("one", "covers"),
    [
        (toleration("Exists"), True),
        (toleration("Exists", key=""), True),
        (toleration("Exists", effect="NoExecute"), False),
        (toleration("Equal", "95"), True),
        ({"key": "sla", "value": "95"}, True),
        (toleration("Equal", "96"), False),
        (toleration("Equal", "95", key="other"), False),
        (toleration("Gt", "94"), True),
        (toleration("Gt", "95"), False),
        (toleration("Lt", "96", effect="NoSchedule"), True),
        (toleration("Lt", "95"), False),
        (toleration("Gt", "-1"), True),
        (toleration("Gt", "9"), True),
        (toleration("Gt", "94", key="other"), False),
        (toleration("Gt", "94", effect="NoExecute"), False),
        (toleration("Gt", "094"), False),
        (toleration("Gt", "94.5"), False),
    ],
)
def test_what_is_tolerated(one: Doc, covers: bool) -> None:
    assert tolerates(one, TAINT) is covers


@pytest.mark.parametrize("value", ["", "high", "095", "1e3", "9" * 30])
def test_a_taint_that_is_no_number_is_not_compared(value: str) -> None:
    for operator in ("Gt", "Lt"):
        assert not tolerates(toleration(operator, "50"), {**TAINT, "value": value})


def test_numbers_are_written_in_one_way() -> None:
    found = {
        text: number(text) for text in ("0", "-0", "-7", "+7", "07", "7 ", "9223372036854775807")
    }
    assert found == {
        "0": 0, "-0": None, "-7": -7, "+7": None, "07": None, "7 ": None,
        "9223372036854775807": 2**63 - 1,
    }  # fmt: skip
    assert number("9223372036854775808") is None


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (toleration("Gt", "10"), []),
        (toleration("Lt", "-10"), []),
        (toleration("Lt", ""), ['spec.tolerations[0].value: Invalid value: "": must be non-empty']),
        (
            toleration("Gt", "0100"),
            [
                'spec.tolerations[0].value: Invalid value: "0100": must be a valid decimal integer in '
                "canonical form"
            ],
        ),
    ],
)
def test_what_is_compared_is_a_number(one: Doc, said: list[str]) -> None:
    problems = Problems()
    tolerations([one], (SPEC, "tolerations"), problems)
    assert [f"{cause.field}: {cause.message}" for cause in problems.causes] == said
