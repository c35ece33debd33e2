"""The proofs in short, and that they find what they look for."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.testing.linearizability import violations
from tests.cluster.test_standalone import Running
from tests.core.store.etcds import needs_etcd
from tests.ports import free_port
from tests.proof.kills import pool_of, prove, prove_on_etcd
from tests.proof.load import Load

pytestmark = pytest.mark.slow


async def test_nothing_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    verdict = await prove(tmp_path / "root", 2, writers=16, keys=40)
    print(verdict)
    assert verdict.wrong == []
    assert verdict.counts.acknowledged > 20


@needs_etcd
async def test_nor_when_its_store_is_etcd(tmp_path: Path) -> None:
    verdict = await prove_on_etcd(tmp_path / "etcd", 1)
    print(verdict)
    assert verdict.wrong == []
    assert verdict.counts.acknowledged > 20


async def test_a_store_that_went_back_is_found(tmp_path: Path) -> None:
    port = free_port()
    root, copy = tmp_path / "root", tmp_path / "copy"
    server = await asyncio.to_thread(Running, root, port)
    load = Load(pool_of(server), SystemClock(), Chance.seeded(1), writers=8, keys=20)
    async with asyncio.TaskGroup() as crew:
        crew.create_task(load.run())
        await load.acknowledged(20)
        server.kill()
        shutil.copytree(root, copy)
        server = await asyncio.to_thread(Running, root, port)
        await load.acknowledged(60)
        load.stop()
    await load.read_all()
    assert [*violations(load.history)] == []
    server.kill()
    shutil.rmtree(root)
    copy.rename(root)
    server = await asyncio.to_thread(Running, root, port)
    await load.read_all()
    load.pool.close()
    server.kill()
    assert len([*violations(load.history)]) > 5
