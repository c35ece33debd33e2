"""pytest --rewrite: what scenarios print becomes what is expected of them."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="rewrite what scenarios print")
