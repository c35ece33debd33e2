"""The checkers are checked: every bug that is planted is found by the checker meant for it, which finds
nothing where there is no bug."""

from __future__ import annotations

import json
from typing import Any

import pytest

from longshore.testing.simulator.checkers import CHECKERS
from tests.sim.planted import BUGS, SEEDS
from tests.sim.processes import PATIENCE_S, PLANTED, run

pytestmark = pytest.mark.timeout(PATIENCE_S + 50)


@pytest.fixture(scope="module")
def told() -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in run(PLANTED)[1].splitlines()]
    return {line["bug"]: line for line in lines}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str, told: dict[str, dict[str, Any]]) -> None:
    one = told[bug]
    assert 0 < one["seeds"] <= SEEDS
    assert one["said"]
    assert not any(one["without"]), one["without"]


def test_bugs_are_of_ten_kinds_and_for_all_checkers() -> None:
    assert len(BUGS) >= 10
    assert {bug.rule for bug in BUGS.values()} == set(CHECKERS)
