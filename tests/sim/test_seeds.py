"""Whole clusters from seeds: nothing breaks, and a seed is always the same cluster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.sim.processes import PATIENCE_S, PLANTED, SIMULATOR, begun, ended, run

pytestmark = pytest.mark.timeout(PATIENCE_S + 50)

FOUND = Path(__file__).parent / "found"
# Faults after which all is well again within seconds.
_BRIEF = "server-crash,watch-drop,users-watch-drop,store-error,disk-full,clock-jump"
# Some 300 clusters, most of them of a few busy seconds. Side by side: what they cost is what two cores
# give in a minute.
SHORT = (
    ("--seed", "0:50", "--ticks", "25", "--nodes", "3", "--pace", "0.5"),
    ("--seed", "1000:1020", "--ticks", "60", "--nodes", "4", "--pace", "1"),
    ("--seed", "2000:2008", "--ticks", "60", "--nodes", "3", "--servers", "3"),
    ("--seed", "4000:4220", "--ticks", "8", "--nodes", "2", "--pace", "0.2", "--calm", "60",
     "--faults", _BRIEF),
    ("--seed", "5000", "--hours", "0.5", "--nodes", "5"),
)  # fmt: skip
BUG = "a binding that is answered and not made"
BUSY = ("--ticks", "30", "--nodes", "2", "--pace", "0.25", "--faults", "none")


@pytest.mark.slow
def test_short_seeds_hold() -> None:
    processes = [begun(SIMULATOR, "--quiet", *words) for words in SHORT]
    for code, said in [ended(process) for process in processes]:
        if code or said:
            pytest.fail(said, pytrace=False)


@pytest.mark.slow
def test_what_was_found_once_holds() -> None:
    for path in sorted(FOUND.glob("*.jsonl")):
        code, said = run(SIMULATOR, "--replay", str(path))
        if code:
            pytest.fail(f"{path.name}\n{said}", pytrace=False)


def test_a_seed_is_always_the_same_cluster() -> None:
    words = ("--json", "--seed", "7:9", "--ticks", "30", "--nodes", "3")
    one, other = run(SIMULATOR, *words), run(SIMULATOR, *words)
    assert one == other
    first, second = (json.loads(line) for line in one[1].splitlines())
    assert first["writes"] != second["writes"]
    assert min(first["writes"], second["writes"]) > 150


@pytest.mark.slow
def test_what_ends_all_at_once_does_so_alike_in_every_process() -> None:
    """A crash cancels dozens of tasks, and where they were in memory must not show."""
    words = ("--json", "--seed", "1", "--calm", "10", "--no-shrink")
    one, other = [begun(SIMULATOR, *words) for _ in range(2)]
    assert ended(one) == ended(other)


def test_what_fails_is_told_shrunk_and_kept(tmp_path: Path) -> None:
    words = ("--seed", "0", *BUSY, "--tries", "24", "--save", str(tmp_path))
    code, said = run(PLANTED, BUG, *words)
    assert code == 1
    assert "seed 0: FAILED" in said
    assert "scheduled: /core/pods/" in said
    assert "what led to it:" in said
    (kept,) = tmp_path.glob("scheduled-0.jsonl")
    assert len(kept.read_text().splitlines()) < 20
    assert run(PLANTED, BUG, "--replay", str(kept))[0] == 1
    assert run(SIMULATOR, "--replay", str(kept))[0] == 0


def test_several_seeds_are_counted() -> None:
    code, said = run(SIMULATOR, "--seed", "3:5", "--ticks", "5", "--nodes", "2")
    assert code == 0
    assert said.splitlines()[-1] == "2 of 2 seeds held"
