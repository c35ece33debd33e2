"""docs/conformance/node.md names every behaviour once, and only tests that there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from ..driver import ROOT

TABLE = ROOT / "docs" / "conformance" / "node.md"
# How many of each the conformance suite of this version has.
NODES, STORAGE = 107, 91
_NAME = re.compile(r"([\w/]+)\.py::(\w+)(?:\[(.*)\])?")


def rows() -> list[list[str]]:
    """Group, behaviour and test of each line."""
    lines = [line for line in TABLE.read_text().splitlines() if "::" in line and line[0] == "|"]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def cases(function: Any) -> Iterator[str]:
    """The ids of a parametrised test, as pytest makes them of texts and by a function."""
    for mark in getattr(function, "pytestmark", ()):
        if mark.name != "parametrize":
            continue
        make = mark.kwargs.get("ids")
        for value in mark.args[1]:
            if make is not None:
                yield make(value)
            else:
                yield value if isinstance(value, str) else "-".join(value)


def test_every_behaviour_has_a_line() -> None:
    assert len(rows()) == NODES + STORAGE
    named = [(group, behaviour) for group, behaviour, _ in rows()]
    assert len(set(named)) == len(named)


@pytest.mark.parametrize("name", sorted({name for _, _, name in rows()}))
def test_a_line_names_a_test(name: str) -> None:
    found = _NAME.fullmatch(name)
    assert found is not None, name
    path, function, chosen = found.groups()
    package = __package__ or ""
    file = path.replace("/", ".") if "/" in path else f"{package}.{path}"
    test = getattr(import_module(file), function)
    if chosen is not None:
        assert set(chosen.split(", ")) <= set(cases(test))
