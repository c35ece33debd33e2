"""The checkers are checked: every bug that is planted is found by the checker meant for it, which finds
nothing where there is no bug."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.sim.planted import BUGS, SEEDS


@pytest.fixture(scope="module")
def told() -> dict[str, dict[str, Any]]:
    command = [sys.executable, "-m", "tests.sim.planted"]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["bug"]: line for line in lines}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str, told: dict[str, dict[str, Any]]) -> None:
    one = told[bug]
    assert 0 < one["seeds"] <= SEEDS
    assert one["said"]
    assert not any(one["without"]), one["without"]


def test_bugs_are_of_ten_kinds_and_for_most_checkers() -> None:
    assert len(BUGS) >= 10
    assert len({bug.rule for bug in BUGS.values()}) >= 8
