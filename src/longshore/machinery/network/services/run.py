"""Keep a node's nftables true to the Services of the cluster and to the ports that its pods publish:
one transaction for all that waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from longshore.base.clock import Clock
from longshore.machinery.network import namespaces
from longshore.machinery.network.errors import NftFailure
from longshore.machinery.network.follow import ServiceWatch
from longshore.machinery.network.services import nft
from longshore.machinery.network.services.book import Book
from longshore.machinery.network.services.plan import Rule, Site, plan_service
from longshore.machinery.network.table import Key

T = TypeVar("T")

_RETRY_S, _RETRY_MAX_S = 0.5, 30.0


class ServiceRouting:
    """The routing of one node. node_ns is a path, or empty if the process is inside already."""

    def __init__(self, watch: ServiceWatch, site: Site, clock: Clock, *, node_ns: str = "") -> None:
        self._watch = watch
        self._dirty = watch.reader()
        self._site = site
        self._clock = clock
        self._node_ns = node_ns
        self._book = Book()
        self._notes: dict[Key, tuple[str, ...]] = {}
        self._published: dict[Key, Sequence[Rule]] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._log = logging.getLogger("longshore.network.services")
        self.ready = asyncio.Event()
        """Set once the kernel has every service that was there at the start."""

    def publish(self, uid: str, rules: Sequence[Rule]) -> asyncio.Future[None]:
        """Have ports of the node lead to a pod; done once they do. A pod without any is done already."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if rules:
            self._published["", uid] = rules
            self._waiting.append(future)
            self._dirty.add([("", uid)])
        else:
            future.set_result(None)
        return future

    def withdraw(self, uid: str) -> None:
        """The pod has no address any more."""
        if self._published.pop(("", uid), None) is not None:
            self._dirty.add([("", uid)])

    async def run(self) -> None:
        """Route until cancelled. The rules stay: pods keep their services while an agent is away,
        and the next life of it replaces them in one transaction."""
        # libnftables speaks to the namespace of the thread that opened it, so one thread has it.
        thread = ThreadPoolExecutor(1, "nftables")
        try:
            kernel = await self._in(thread, self._open)
            try:
                await self._watch.synced()
                await self._rebuild(thread, kernel)
                self.ready.set()
                while True:
                    await self._turn(thread, kernel)
            finally:
                await asyncio.shield(self._in(thread, kernel.close))
        finally:
            thread.shutdown()

    def _open(self) -> nft.Nft:
        namespaces.enter(self._node_ns)
        return nft.Nft()

    async def _turn(self, thread: ThreadPoolExecutor, kernel: nft.Nft) -> None:
        """Bring over what changed. If the kernel refuses, somebody else changed the table (or we
        erred): then make it anew."""
        keys = await self._dirty.take()
        waiting, self._waiting = self._waiting, []
        if delta := self._book.change(self._planned(keys)):
            try:
                await self._in(thread, partial(kernel.run, nft.transaction(delta)))
            except NftFailure as error:
                self._log.warning("making the routing table anew: %s", error)
                await self._rebuild(thread, kernel)
        for future in waiting:
            if not future.done():  # who waited may have been cancelled
                future.set_result(None)

    async def _rebuild(self, thread: ThreadPoolExecutor, kernel: nft.Nft) -> None:
        wait_s = _RETRY_S
        while True:
            self._book.change(self._planned([*self._watch.table.keys(), *self._published]))
            everything = nft.base(self._site) + nft.transaction(self._book.whole())
            try:
                await self._in(thread, partial(kernel.run, everything))
                return
            except NftFailure as error:
                self._log.error("services are not routed, trying again in %s s: %s", wait_s, error)
            await self._clock.sleep(wait_s)
            wait_s = min(2 * wait_s, _RETRY_MAX_S)

    def _planned(self, keys: Iterable[Key]) -> dict[Key, Sequence[Rule]]:
        return {key: self._plan(key) for key in keys}

    def _plan(self, key: Key) -> Sequence[Rule]:
        if not key[0]:  # a pod's, which no service's can be: those have namespaces
            return self._published.get(key, ())
        service = self._watch.table.service(key)
        if service is None:
            self._notes.pop(key, None)
            return ()
        plan = plan_service(service, self._watch.table.slices(key), self._site)
        if plan.notes != self._notes.get(key, ()):
            self._notes[key] = plan.notes
            for note in plan.notes:
                self._log.warning("service %s/%s: %s", *key, note)
        return plan.rules

    @staticmethod
    async def _in(thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(thread, work)
