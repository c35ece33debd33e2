"""A process that stands for a Lease on an etcd, and writes ConfigMaps without a pause while it leads.

Their names are NAME-TERM-NUMBER. On standard output it says "leads TERM" when a term begins, "wrote" when
something of it is there, and "over" when it ends.
"""

from __future__ import annotations

import asyncio
import itertools
import sys

from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.base.users import loop_user
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import CONFIG_MAP, NAMESPACE, Doc
from longshore.core.registry.client import Create
from longshore.core.registry.fencing import Fence
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.core.store.etcd.members import Members
from longshore.core.store.etcd.store import EtcdStore, Naming
from longshore.core.store.sealed import SealedSharedStore
from longshore.core.store.sealing import Sealing
from longshore.machinery.election.plan import Rules
from longshore.machinery.election.run import Candidate, Election

PREFIX = "/fenced"
RULES = Rules(lease_s=2, renew_deadline_s=1.5, retry_s=0.4)
# Writes that wait for the store at any time: what a process has at hand when it is stopped.
AT_ONCE = 100


class Writer:
    """What leads."""

    def __init__(self, name: str, registry: Registry) -> None:
        self._name, self._registry, self._told = name, registry, False

    async def lead(self, term: Fence) -> None:
        print(f"leads {term.transitions}", flush=True)
        client = InProcess(self._registry, loop_user("writer"), term)
        self._told = False
        prefix = f"{self._name}-{term.transitions}"
        numbers = itertools.count()
        try:
            async with asyncio.TaskGroup() as crew:
                for _ in range(AT_ONCE):
                    crew.create_task(self._write(client, prefix, numbers))
        finally:
            print("over", flush=True)

    async def _write(self, client: InProcess, prefix: str, numbers: itertools.count[int]) -> None:
        while True:
            doc: Doc = {"metadata": {"namespace": "default", "name": f"{prefix}-{next(numbers)}"}}
            try:
                await client.write(Create(CONFIG_MAP, doc))
            except ApiError:
                await SystemClock().sleep(0.01)
            else:
                self._tell()

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            print("wrote", flush=True)


async def main(name: str, endpoint: str) -> None:
    clock = SystemClock()
    store = EtcdStore(Members([endpoint], clock), clock, Naming(PREFIX, writer=name))
    registry = Registry(SealedSharedStore(store, Sealing({})), clock, Chance())
    await registry.open()
    async with asyncio.TaskGroup() as crew:
        crew.create_task(registry.run())
        client = InProcess(registry, loop_user("election"))
        await client.submit([Create(NAMESPACE, {"metadata": {"name": "default"}})])
        me = Candidate("default", "the-lease", name)
        lead = Writer(name, registry).lead
        crew.create_task(Election(me, client, clock, Chance(), RULES, lead).run())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
