"""A server is killed with SIGKILL again and again while many clients write."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from longshore.base.chance import Chance
from longshore.base.clock import Clock, SystemClock
from longshore.core.pki.pairs import Pair
from longshore.core.pki.tls import client_context
from longshore.doors.kit.fetch import Pool, SocketFactory
from tests.cluster.test_standalone import Running
from tests.core.store.etcds import running
from tests.ports import free_port
from tests.proof.judged import Verdict, judged
from tests.proof.load import Load

WRITERS, KEYS = 64, 200
# How long a server lives after it has said that it is ready: half a second in the middle.
_LIFE_S = (0.1, 0.9)


async def prove(
    root: Path, kills: int, *, writers: int = WRITERS, keys: int = KEYS, store: str = ""
) -> Verdict:
    """store is etcd://HOST:PORT; the embedded one if it is not given."""
    clock, chance = SystemClock(), Chance.seeded("kills")
    port = free_port()
    words = ("--store", store) if store else ()
    server = await asyncio.to_thread(Running, root, port, *words)
    load = Load(pool_of(server), clock, chance, writers, keys)
    try:
        async with asyncio.TaskGroup() as crew:
            crew.create_task(load.run())
            for _ in range(kills):
                await _live(load, clock, chance)
                server.kill()
                server = await asyncio.to_thread(Running, root, port)
                await load.read_all()
            await load.acknowledged(1)
            load.stop()
        await load.read_all()
    finally:
        load.pool.close()
        server.kill()
    kind = "etcd" if store else "SQLite"
    return judged(f"{kills} SIGKILLs of a server on {kind}, {writers} writers", load)


async def prove_on_etcd(root: Path, kills: int) -> Verdict:
    """What was under way when a server died may still be made by etcd, until another takes over."""
    root.mkdir()
    with running(root) as cluster:
        return await prove(root / "server", kills, store=f"etcd://{cluster.endpoints[0]}")


async def _live(load: Load, clock: Clock, chance: Chance) -> None:
    """Something is acknowledged in every life, however short it is."""
    await load.acknowledged(1)
    await clock.sleep(chance.uniform(*_LIFE_S))


def pool_of(server: Running, socket_factory: SocketFactory | None = None) -> Pool:
    """Connections of an administrator, as many as there may be writers."""
    pki = server.paths.pki
    context: ssl.SSLContext = client_context(Pair.named(pki, "admin"), pki / "ca.crt")
    return Pool(
        [f"https://127.0.0.1:{server.port}"],
        context,
        socket_factory=socket_factory,
        connections_max=1000,
    )
