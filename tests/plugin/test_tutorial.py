"""docs/testing.md: what it shows are the files that are run here, by a reader's own pytest."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

OPERATORS = Path(__file__).parent / "operators"
PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
_SHOWN = re.compile(r"^`([\w.]+)`\n\n```(?:python|yaml)\n(.*?)^```$", re.S | re.M)


def test_the_page_shows_the_files_as_they_are() -> None:
    shown = dict(_SHOWN.findall(PAGE.read_text()))
    there = {
        path.name: path.read_text()
        for path in OPERATORS.iterdir()
        if path.suffix in (".py", ".yaml")
    }
    assert shown == there


@pytest.mark.slow
@pytest.mark.parametrize("library", ["kopf", "lightkube", "informer", "level"])
def test_its_tests_pass(library: str) -> None:
    words = ["-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", f"test_{library}_operator.py"]
    told = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=OPERATORS,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert told.returncode == 0, told.stdout[-4000:]
    assert "2 passed" in told.stdout
