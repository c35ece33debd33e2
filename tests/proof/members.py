"""A server on three members of etcd, which are killed, stopped, cut off and slowed while many clients write."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.machinery.network import namespaces
from tests.cluster.test_standalone import Running
from tests.proof.faults import FAULTS, Ring
from tests.proof.judged import Verdict, judged
from tests.proof.kills import KEYS, WRITERS, pool_of
from tests.proof.load import Load

_PORT = 6443  # in a namespace where nobody else is
_LAST_S = (0.3, 1.5)
# One fault in so many befalls two members at once: nobody can write until it is mended.
_BOTH = 10
# What one member's fault may cost a write: to notice takes 2 s, twice an election's longest, and the
# next member may be the one that has to be elected.
LONGEST_S = 10.0


async def prove(root: Path, faults: int, *, writers: int = WRITERS, keys: int = KEYS) -> Verdict:
    clock, chance = SystemClock(), Chance.seeded("members")
    with Ring(root, clock) as ring:
        await ring.whole()
        server = await asyncio.to_thread(_server, ring, root / "server")
        load = Load(pool_of(server, ring.socket), clock, chance, writers, keys)
        try:
            async with asyncio.TaskGroup() as crew:
                crew.create_task(load.run())
                for number in range(1, faults + 1):
                    await _fault(ring, load, number, chance)
                load.stop()
            await load.read_all()
            assert server.process.poll() is None, "the server ended"
        finally:
            load.pool.close()
            server.kill()
    return judged(
        f"{faults} faults of members of etcd, {writers} writers; "
        f"longest write {load.longest_s:.1f} s",
        load,
    )


def _server(ring: Ring, root: Path) -> Running:
    with namespaces.entered(ring.lan):
        return Running(root, _PORT, "--store", ring.address)


async def _fault(ring: Ring, load: Load, number: int, chance: Chance) -> None:
    """All kinds in turn; while two of three members are left, writing goes on."""
    fault = FAULTS[number % len(FAULTS)]
    struck = chance.shuffled(ring.members)[: 2 if number % _BOTH == 0 else 1]
    async with AsyncExitStack() as stack:
        for member in struck:
            await stack.enter_async_context(fault(ring, member))
        if len(struck) == 1:
            async with asyncio.timeout(LONGEST_S):
                await load.acknowledged(1)
        await ring.clock.sleep(chance.uniform(*_LAST_S))
    await ring.whole()
    await load.acknowledged(1)
    await load.read_all()
