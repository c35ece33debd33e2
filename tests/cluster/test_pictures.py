"""Pictures of a simulation, as they are printed and drawn: `pytest tests/cluster --rewrite` writes them anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from longshore.cluster.simulate import report
from longshore.cluster.simulate.outcome import Landed, NodeLoad, Outcome, loads
from longshore.cluster.simulate.shape import ZONE
from longshore.cluster.simulate.svg import as_svg

_GOLDEN = Path(__file__).parent / "golden"


def loaded(name: str, zone: str, cpu_millis: int) -> NodeLoad:
    """A node of 4 CPUs of which so much is taken by one pod."""
    amounts = {"cpu": "4", "memory": "8Gi", "pods": "110"}
    doc = {"metadata": {"name": name, "labels": {ZONE: zone}}, "status": {"allocatable": amounts}}
    (load,) = loads([doc]).values()
    if cpu_millis:
        load.used.update({"cpu": cpu_millis, "pods": 1})
    return load


OUTCOME = Outcome(
    [loaded(f"n{at}", "abc"[at % 3 if at < 90 else 0], at * 40) for at in range(101)],
    [
        Landed("deployment.apps/web", "shop", 70, {"a": 40, "b": 30, "c": 0}, {}),
        Landed(
            "job.batch/big",
            "default",
            32,
            {"c": 30},
            {"0/101 nodes are available: 101 Insufficient cpu.": 2},
        ),
    ],
    ["shop/old-1"],
)


@pytest.mark.parametrize(
    ("name", "drawn"),
    [("simulate.txt", report.as_text(OUTCOME) + "\n"), ("simulate.svg", as_svg(OUTCOME))],
)
def test_pictures_are_as_they_were(name: str, drawn: str, request: pytest.FixtureRequest) -> None:
    path = _GOLDEN / name
    if request.config.getoption("--rewrite"):
        path.write_text(drawn, encoding="utf-8")
    assert drawn == path.read_text(encoding="utf-8")
