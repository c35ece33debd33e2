"""An etcd of one's own, empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from longshore.cluster.config import StoreConfig
from tests.core.store.etcds import PROGRAM, running


@pytest.fixture
def own_etcd(tmp_path: Path) -> Iterator[StoreConfig]:
    if PROGRAM is None:
        pytest.skip("Debian's etcd-server is not installed")
    (tmp_path / "etcd").mkdir()
    with running(tmp_path / "etcd", arguments=["--auto-compaction-retention=0"]) as one:
        yield StoreConfig(f"etcd://{one.endpoints[0]}")
