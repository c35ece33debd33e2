"""Keep a node's nftables true to the NetworkPolicies: one transaction for all that waits.

A pod's rules are there before its first process: its kubelet asks admit() and waits. They stay
while an agent is away, and the next life of it replaces them in one transaction.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

from longshore.base.clock import Clock
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Client
from longshore.machinery.network import namespaces
from longshore.machinery.network.errors import NetworkFailure, NftFailure
from longshore.machinery.network.pods import PodNetwork
from longshore.machinery.network.policy import nft
from longshore.machinery.network.policy.model import pod_of
from longshore.machinery.network.policy.plan import Book
from longshore.machinery.network.policy.sources import Sources
from longshore.machinery.network.ranges import NodeNet
from longshore.machinery.network.services.nft import Nft

T = TypeVar("T")
Run: TypeAlias = Callable[[str], Awaitable[str]]
"""Hands a transaction to the kernel."""

_RETRY_S, _RETRY_MAX_S = 0.5, 30.0


def in_force(node_ns: Path | str) -> bool:
    """Whether the node whose namespace that is has the rules of network policies now. Blocking."""
    with namespaces.entered(node_ns):
        kernel = Nft()
    try:
        return nft.TABLE in kernel.run("list tables ip")
    finally:
        kernel.close()


class PolicyEnforcement:
    """The policies of one node. pods is open already, so that it knows whom an earlier life of the
    agent left; node_ns is a path, or empty if the process is inside already."""

    def __init__(
        self, client: Client, node: NodeNet, pods: PodNetwork, clock: Clock, *, node_ns: str = ""
    ) -> None:
        self._node = node
        self._clock = clock
        self._node_ns = node_ns
        self._book = Book()
        self._news = asyncio.Event()
        self._sources = Sources(client, self._book, node.name, clock, self._news.set)
        self._table: nft.Table | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._log = logging.getLogger("longshore.network.policy")
        self._pods = pods
        pods.detached = self._detached

    async def run(self) -> None:
        """Enforce until cancelled."""
        for uid, place in self._pods.attached().items():
            self._book.adopt(uid, place.ip)
        # libnftables speaks to the namespace of the thread that opened it, so one thread has it.
        thread = ThreadPoolExecutor(1, "network policies")
        try:
            kernel = await self._in(thread, self._open)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._sources.run(), name="policies and peers")
                    group.create_task(self._enforce(thread, kernel), name="policies to nftables")
            finally:
                await asyncio.shield(self._in(thread, kernel.close))
        finally:
            thread.shutdown()

    def _open(self) -> Nft:
        namespaces.enter(self._node_ns)
        return Nft()

    async def admit(self, pod: Doc, ip: str) -> None:
        """Return once what that pod of the node may send and receive is enforced at its address.
        Raises NetworkFailure if that cannot be known now; nothing of the pod may run then."""
        metadata = pod["metadata"]
        try:
            await self._sources.refresh(metadata["namespace"])
        except ApiError as error:
            raise NetworkFailure(
                f"the network policies of the pod are not known: {error}"
            ) from error
        self._book.put_local(pod_of(pod, ip), metadata["name"])
        if self._book.settle():
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            self._news.set()
            await future

    def _detached(self, uid: str) -> None:
        """A pod has no network any more; its rules go before anybody gets its address."""
        self._book.drop_local(uid)
        self._news.set()

    # -- the kernel

    async def _enforce(self, thread: ThreadPoolExecutor, kernel: Nft) -> None:
        """Bring over what changed, whenever all that it depends on is known."""

        async def run(commands: str) -> str:
            return await self._in(thread, partial(kernel.run, commands))

        started = False
        while True:
            await self._news.wait()
            self._news.clear()
            self._book.settle()
            if not self._sources.complete():
                continue
            waiting, self._waiting = self._waiting, []
            if started and self._book.has_policies == (self._table is not None):
                await self._bring(run)
            else:
                await self._rebuild(run)
            started = True
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    async def _bring(self, run: Run) -> None:
        """If the kernel refuses, somebody else changed the table (or we erred): make it anew."""
        if self._table is None or not (commands := self._table.transaction(self._book.take())):
            return
        try:
            await run(commands)
        except NftFailure as error:
            self._log.warning("making the table of network policies anew: %s", error)
            await self._rebuild(run)

    async def _rebuild(self, run: Run) -> None:
        wait_s = _RETRY_S
        while True:
            try:
                await run(self._everything())
                return
            except NftFailure as error:
                self._log.error(
                    "network policies are not enforced, trying again in %s s: %s", wait_s, error
                )
            await self._clock.sleep(wait_s)
            wait_s = min(2 * wait_s, _RETRY_MAX_S)

    def _everything(self) -> str:
        """The table as it is to be; without any policy in the cluster there is none."""
        whole = self._book.whole()
        if not self._book.has_policies:
            self._table = None
            return nft.GONE
        self._table = nft.Table()
        return nft.base(self._node.pod_cidr) + self._table.transaction(whole)

    @staticmethod
    async def _in(thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(thread, work)
