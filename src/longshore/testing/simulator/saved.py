"""Scripts in files: a seed that once failed is played for ever."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from longshore.testing.simulator.script import Step


def save(path: Path, seed: int, nodes: int, servers: int, why: str, script: Sequence[Step]) -> None:
    """One line of JSON for what it is, then one for each step."""
    lines = [json.dumps({"seed": seed, "nodes": nodes, "servers": servers, "broke": why})]
    lines += [json.dumps({"at": step.at, "what": step.what, **step.args}) for step in script]
    path.write_text("\n".join(lines) + "\n")


def load(path: Path) -> tuple[int, int, int, list[Step]]:
    """Seed, nodes, servers and steps. Raises ValueError for what is no such file."""
    head, *rest = (json.loads(line) for line in path.read_text().splitlines() if line)
    steps = [Step(step.pop("at"), step.pop("what"), step) for step in rest]
    return int(head["seed"]), int(head["nodes"]), int(head["servers"]), steps
