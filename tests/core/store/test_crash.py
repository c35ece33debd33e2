"""A writer is killed with SIGKILL again and again: what it acknowledged must be there each time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from longshore.base.chance import Chance
from tests.core.store.etcds import Cluster
from tests.core.store.writer import store_at

KILLS = 20


@pytest.mark.slow
async def test_no_acknowledged_write_is_lost_when_the_writer_is_killed(tmp_path: Path) -> None:
    await kill_again_and_again(str(tmp_path / "store.db"), KILLS)


@pytest.mark.slow
async def test_nor_when_the_store_is_in_etcd(etcd: Cluster) -> None:
    await kill_again_and_again(etcd.endpoints[0], KILLS // 2)


async def kill_again_and_again(where: str, kills: int) -> None:
    chance = Chance.seeded(20)
    acknowledged: dict[str, tuple[int, str]] = {}
    newest = 0
    for _ in range(kills):
        newest = await run_and_kill(where, chance.below(400) + 5, acknowledged, newest)
        await check(where, acknowledged, newest)
    assert newest > kills * 5


async def run_and_kill(
    where: str, lines: int, acknowledged: dict[str, tuple[int, str]], newest: int
) -> int:
    """Read that many acknowledgements, kill, then take in what was already in the pipe."""
    writer = Path(__file__).with_name("writer.py")
    process = subprocess.Popen(
        [sys.executable, str(writer), where], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        opened = process.stdout.readline().split()
        assert opened[0] == "open"
        assert int(opened[1]) >= newest, "the revision went backwards"
        for number, line in enumerate(process.stdout, 1):
            if number == lines:
                process.kill()
            key, _, rest = line.rstrip("\n").partition(" ")
            revision, _, value = rest.partition(" ")
            # The line that the kill cut off is no acknowledgement.
            if not line.endswith("\n"):
                continue
            assert int(revision) > newest
            newest = int(revision)
            acknowledged[key] = (newest, value)
    return newest


async def check(where: str, acknowledged: dict[str, tuple[int, str]], newest: int) -> None:
    store = store_at(where)
    there: dict[str, tuple[int, str]] = {}

    def take(key: str, value: bytes, revision: int) -> None:
        there[key] = revision, value.decode()

    latest = await store.open(take)
    await store.close()
    assert latest >= newest
    for key, (revision, value) in acknowledged.items():
        if key in there and there[key][0] > revision:
            continue  # written again by a batch that was durable but not yet acknowledged
        if value == "-" or key not in there:
            # Deleted, or deleted by such a batch: then the store is ahead of the acknowledgement.
            assert key not in there
            assert value == "-" or latest > newest
        else:
            assert there[key] == (revision, value)
    # From here on, what is there is what must stay: also what a batch left unacknowledged.
    acknowledged.clear()
    acknowledged.update(there)
