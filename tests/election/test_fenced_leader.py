"""A leader that is stopped with SIGSTOP in the middle of its writes, and wakes up when another leads."""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from longshore.base.clock import SystemClock
from longshore.core.objects.kinds import CONFIG_MAP
from longshore.core.store.etcd.members import Members
from longshore.core.store.etcd.store import EtcdStore, Naming
from tests.core.store.etcds import needs_etcd, running

from .leader import PREFIX, RULES

pytestmark = needs_etcd


@asynccontextmanager
async def candidate(name: str, endpoint: str) -> AsyncIterator[Process]:
    command = [sys.executable, "-m", "tests.election.leader", name, endpoint]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def said(process: Process, word: str) -> None:
    """Wait until a candidate says that."""
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while not (line := await process.stdout.readline()).startswith(word.encode()):
            assert line, "it has ended"


async def written(endpoint: str) -> dict[str, int]:
    """The revision at which each ConfigMap is, by name."""
    found: dict[str, int] = {}
    prefix = CONFIG_MAP.key("default", "")

    def take(key: str, _: bytes, revision: int) -> None:
        if key.startswith(prefix):
            found[key.removeprefix(prefix)] = revision

    clock = SystemClock()
    store = EtcdStore(Members([endpoint], clock), clock, Naming(PREFIX))
    await store.read(take)
    await store.close()
    return found


async def test_nothing_that_it_had_queued_gets_through(tmp_path: Path) -> None:
    clock = SystemClock()
    with running(tmp_path) as etcd:
        (endpoint,) = etcd.endpoints
        async with candidate("old", endpoint) as old, candidate("new", endpoint) as new:
            first, second = await _order(old, new)
            await said(first, "wrote")
            first.send_signal(signal.SIGSTOP)
            await said(second, "wrote")
            first.send_signal(signal.SIGCONT)
            await said(first, "over")
            await clock.sleep(RULES.lease_s)
        found = await written(endpoint)
    terms: dict[int, list[int]] = {}
    for name, revision in found.items():
        terms.setdefault(int(name.split("-")[1]), []).append(revision)
    assert len(terms) > 1, "more than one term, in which something was written"
    for earlier, later in itertools.pairwise(sorted(terms)):
        assert max(terms[earlier]) < min(terms[later])


async def _order(one: Process, other: Process) -> tuple[Process, Process]:
    """Who leads first, and who waits."""
    tasks = {asyncio.ensure_future(said(p, "leads 0")): p for p in (one, other)}
    done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    (leads,) = {tasks[task] for task in done}
    return leads, other if leads is one else one
