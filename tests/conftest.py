"""What all tests share: who may run here, and a bound on how long anything may take."""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import settings

# A shared machine may stand still for a quarter of a second: that is no finding.
settings.register_profile(
    "house", parent=settings.get_profile(settings.get_current_profile_name()), deadline=None
)
settings.load_profile("house")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="rewrite what scenarios print")


def _may_use_namespaces() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without root, leave out what needs it; pytest_report_collectionfinish says so in one line."""
    if _may_use_namespaces():
        return
    left_out = [item for item in items if item.get_closest_marker("root")]
    items[:] = [item for item in items if not item.get_closest_marker("root")]
    config.hook.pytest_deselected(items=left_out)
    config.stash[LEFT_OUT] = len(left_out)


LEFT_OUT: pytest.StashKey[int] = pytest.StashKey()


def pytest_report_collectionfinish(config: pytest.Config) -> str:
    count = config.stash.get(LEFT_OUT, 0)
    if not count:
        return ""
    return f"left out: {count} tests that need root on Linux (namespaces, cgroups, mounts)"
