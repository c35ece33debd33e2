"""Clusters for black-box tests. All of them have no way out: --uplink none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from .driver import CACHE, ROOT, Cluster, longshore


def started(name: str, root: Path, *words: str) -> Cluster:
    """A new cluster; if it does not come up, its logs, and nothing of it stays."""
    told = json.loads(
        longshore(
            "up",
            "--name",
            name,
            "--root",
            str(root),
            "--no-merge",
            "--uplink",
            "none",
            "--json",
            *words,
        )
    )
    return Cluster(name, root, told["server"], told["kubeconfig"])


@pytest.fixture(scope="session")
def images() -> list[Path]:
    """Tars of the stand-in images."""
    import subprocess
    import sys

    subprocess.run(
        [sys.executable, str(ROOT / "tools" / "standins.py"), str(CACHE / "images")], check=True
    )
    return [CACHE / "images" / name for name in ("nginx.tar", "dockchat.tar", "busybox.tar")]


@pytest.fixture(scope="session")
def short_root() -> Iterator[Path]:
    """A directory with a short path: sockets below it must fit into 108 bytes."""
    with TemporaryDirectory(prefix="ls-", dir="/tmp") as path:
        yield Path(path)


@pytest.fixture(scope="session")
def cluster(short_root: Path, images: list[Path]) -> Iterator[Cluster]:
    """Three nodes of real containers, shared by the tests of a run."""
    cluster = started("bb", short_root, "--nodes", "3", "--node-grace", "4")
    try:
        for image in images:
            cluster.longshore("image load", str(image))
        yield cluster
    finally:
        cluster.longshore("down")


@pytest.fixture(scope="session")
def hollow(short_root: Path) -> Iterator[Cluster]:
    """Three hollow nodes."""
    cluster = started("hollow", short_root, "--nodes", "3", "--hollow")
    try:
        yield cluster
    finally:
        cluster.longshore("down")
