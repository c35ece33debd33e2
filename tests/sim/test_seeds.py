"""Whole clusters from seeds: nothing breaks, and a seed is always the same cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest


def simulated(*words: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "longshore.testing.simulator", "--json", *words]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode in (0, 1), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("first", [0, 100])
def test_short_seeds_hold(first: int) -> None:
    verdicts = simulated("--seed", f"{first}:{first + 10}", "--ticks", "60", "--nodes", "4")
    assert [verdict["violations"] for verdict in verdicts] == [[]] * 10
    assert all(verdict["writes"] > 150 for verdict in verdicts)


def test_a_seed_is_always_the_same_cluster() -> None:
    words = ("--seed", "7:9", "--ticks", "40", "--nodes", "3")
    one, other = simulated(*words), simulated(*words)
    assert one == other
    assert one[0]["writes"] != one[1]["writes"]
