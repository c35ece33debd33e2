"""Keep a node's nftables true to the NetworkPolicies: one transaction for all that waits.

A pod's rules are there before its first process: its kubelet asks admit() and waits. They stay
while an agent is away, and the next life of it replaces them in one transaction.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

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
        # Whether the kernel has all that was last taken from the book.
        self._in_force = False
        self._waiting: list[asyncio.Future[None]] = []
        self._log = logging.getLogger("longshore.network.policy")
        self._pods = pods

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
        if self._book.settle() or not self._in_force:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            self._news.set()
            await future

    def detached(self, uid: str) -> None:
        """A pod has no network any more; its rules go before anybody gets its address."""
        self._book.drop_local(uid)
        self._news.set()

    # -- the kernel

    async def _enforce(self, thread: ThreadPoolExecutor, kernel: Nft) -> None:
        """Bring over what changed, whenever all that it depends on is known."""
        wait_s = _RETRY_S
        while True:
            await self._news.wait()
            self._news.clear()
            self._book.settle()
            if not self._sources.complete():
                continue
            waiting, self._waiting = self._waiting, []
            try:
                if commands := self._commands():
                    await self._in(thread, partial(kernel.run, commands))
            except NftFailure as error:
                self._log.error("network policies are not in force: %s", error)
                _tell(waiting, error)
                await self._clock.sleep(wait_s)
                wait_s = min(2 * wait_s, _RETRY_MAX_S)
                self._news.set()
            else:
                self._in_force, wait_s = True, _RETRY_S
                _tell(waiting)

    def _commands(self) -> str:
        """What changed; everything, if the kernel refused a change (somebody else changed the table,
        or we erred), and where the first policy of the cluster comes or the last one goes."""
        whole = not self._in_force or self._book.has_policies != (self._table is not None)
        self._in_force = False
        if whole:
            return self._everything()
        change = self._book.take()
        return self._table.transaction(change) if self._table is not None else ""

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


def _tell(waiting: Iterable[asyncio.Future[None]], error: NetworkFailure | None = None) -> None:
    for future in waiting:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(NetworkFailure(f"network policies are not in force: {error}"))
