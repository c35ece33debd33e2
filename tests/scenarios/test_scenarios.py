"""Whole behaviours: each file is a console session that has to print the same again.

`pytest tests/scenarios --rewrite` writes what is printed now into the files."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from longshore.testing.console.player import play
from longshore.testing.console.script import parsed

_HERE = Path(__file__).parent
_FILES = sorted(_HERE.glob("*.txt"))


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_scenario(path: Path, request: pytest.FixtureRequest) -> None:
    before = path.read_text(encoding="utf-8")
    script = parsed(before)
    after = script.text(play(script))
    if request.config.getoption("--rewrite"):
        path.write_text(after, encoding="utf-8")
    elif after != before:
        lines = difflib.unified_diff(
            before.splitlines(), after.splitlines(), "expected", "printed", lineterm=""
        )
        pytest.fail(f"{path.name}:\n" + "\n".join(lines), pytrace=False)
