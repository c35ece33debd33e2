"""`longshore doctor --store`: a stopped cluster's store, read and checked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from longshore.cluster.config import ClusterConfig, ClusterPaths, UnknownCluster
from longshore.cluster.store_doctor import examine_store
from longshore.core.store.protocol import Write
from longshore.core.store.sqlite import SqliteStore


async def test_a_sound_store_a_damaged_one_and_none(tmp_path: Path) -> None:
    paths = ClusterPaths(tmp_path, "c")
    with pytest.raises(UnknownCluster):
        examine_store(paths)
    paths.create()
    paths.save(ClusterConfig("c", 1, "hollow", "none", 1))
    store = SqliteStore(paths.store)
    await store.open(lambda *_: None)
    await store.commit([Write(f"/k/{number}", b"v" * 5000, 0) for number in range(20)])
    await store.close()
    (sound,) = examine_store(paths)
    assert sound.ok
    os.truncate(paths.store, 40_000)
    (damaged,) = examine_store(paths)
    assert not damaged.ok
    assert "restore a backup with `longshore restore FILE`" in damaged.line()
