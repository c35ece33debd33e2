"""Simulations in processes of their own: a seed is a cluster only where hashes are not random."""

from __future__ import annotations

import os
import subprocess
import sys

SIMULATOR, PLANTED = "longshore.testing.simulator", "tests.sim.planted"
# A minute of two cores, on machines of any speed that have other things to do.
PATIENCE_S = 850


def begun(module: str, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", module, *words]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """How it ended and what it printed."""
    with process:
        try:
            said, why = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    assert process.returncode in (0, 1), why
    return process.returncode, said


def run(module: str, *words: str) -> tuple[int, str]:
    return ended(begun(module, *words))
