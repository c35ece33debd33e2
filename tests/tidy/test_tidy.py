"""Taste that matters, as tests: what a linter does not know of this house."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "longshore"
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 800


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield path.relative_to(ROOT), ast.parse(path.read_text())


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_every_module_says_what_it_is_for() -> None:
    assert [str(path) for path, tree in modules() if not ast.get_docstring(tree)] == []


def test_no_function_grows_past_seventy_lines() -> None:
    long = [
        f"{path}:{node.lineno} {node.name} has {(node.end_lineno or 0) - node.lineno + 1} lines"
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_no_file_grows_past_eight_hundred_lines() -> None:
    long = [
        p for p in tracked() if p.suffix == ".py" and p.read_text().count("\n") > FILE_LINES_MAX
    ]
    assert long == []


def test_imports_are_not_hidden_to_dodge_a_circle() -> None:
    hidden = [
        f"{path}: TYPE_CHECKING"
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == "TYPE_CHECKING"
    ]
    assert hidden == []


def test_every_dependency_is_explained() -> None:
    """docs/dependencies.md has a line for each package that pyproject.toml names."""
    project = (ROOT / "pyproject.toml").read_text()
    block = re.search(r"^dependencies = \[(.*?)^\]", project, re.S | re.M)
    assert block is not None
    names = re.findall(r'"([A-Za-z0-9_-]+)', block[1])
    explained = (ROOT / "docs" / "dependencies.md").read_text()
    assert names
    assert [name for name in names if f"| {name} |" not in explained] == []


def test_pinned_files_name_no_host_and_have_hashes() -> None:
    pinned = (ROOT / "requirements" / "dev.txt").read_text()
    assert "://" not in pinned
    assert "--hash=sha256:" in pinned
    assert not (ROOT / "uv.lock").exists()


def test_no_file_names_the_machine_it_was_written_on() -> None:
    common = {"/", "/tmp/", "/home/", "/root/", "/opt/", "/srv/", "/mnt/", "/usr/", "/var/tmp/"}
    telling = {f"{Path.home()}/", f"{ROOT.parent}/"} - common
    guilty = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if path.suffix in {".py", ".md", ".toml", ".yaml", ".txt", ".go", ""}
        and any(place in path.read_text(errors="replace") for place in telling)
    ]
    assert guilty == []


_NAMED = re.compile(r"`(?=tests/|::)(tests/[\w/]+\.py)?(?:::(\w+))?`")


def test_tests_that_docs_name_are_there() -> None:
    """`tests/FILE.py::TEST`, or `::TEST` of the file that was named before it."""
    missing = []
    for page in sorted((ROOT / "docs").glob("*.md")):
        file = ""
        for found in _NAMED.finditer(page.read_text()):
            file, test = found[1] or file, found[2] or ""
            path = ROOT / file
            if not path.is_file() or (test and f"def {test}(" not in path.read_text()):
                missing.append(f"{page.name}: {file}::{test}")
    assert missing == []
