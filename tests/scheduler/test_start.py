"""NumPy is not fetched before a pod needs a node: in a process that nothing else has done so."""

from __future__ import annotations

import subprocess
import sys

_SERVER = """
import asyncio, sys
from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.base.users import loop_user
from longshore.core.objects import kinds
from longshore.core.registry.client import Bind, Create
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.core.store.memory import MemoryStore
from longshore.machinery.loop.recorder import Journal
from longshore.machinery.scheduler.run import Scheduler

POD = {"containers": [{"name": "c", "image": "i"}]}

async def main():
    clock, chance = SystemClock(), Chance.seeded(1)
    registry = Registry(MemoryStore(), clock, chance)
    await registry.open()
    client = InProcess(registry, loop_user("test"))
    scheduler = Scheduler(registry.cache, client, clock, chance, Journal(client, clock))
    tasks = [asyncio.create_task(part) for part in (registry.run(), scheduler.run())]
    await client.write(Create(kinds.NAMESPACE, {"metadata": {"name": "shop"}}))
    for name, spec in (("placed", {**POD, "nodeName": "a"}), ("waits", POD)):
        metadata = {"name": name, "namespace": "shop"}
        await client.write(Create(kinds.POD, {"metadata": metadata, "spec": spec}))
        for _ in range(6000):
            await clock.sleep(0.01)
            if "numpy" in sys.modules or name == "placed" and _ > 20:
                break
        print(name, "numpy" in sys.modules)
    for task in tasks:
        task.cancel()

asyncio.run(main())
"""


def test_numpy_comes_with_the_first_pod_that_needs_a_node() -> None:
    command = [sys.executable, "-c", _SERVER]
    run = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    assert run.stdout.split() == ["placed", "False", "waits", "True"], run.stderr
