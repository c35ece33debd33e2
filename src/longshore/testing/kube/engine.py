"""The machine room of a test session: a thread whose loop has all clusters of it, one after another."""

from __future__ import annotations

import asyncio
import gc
import shutil
import tempfile
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any, TypeVar

from longshore.base.clock import SystemClock
from longshore.cluster.server.bootstrap import bootstrap
from longshore.cluster.server.default_roles import ensure_roles
from longshore.core.objects.rbac.defaults import objects_of_users
from longshore.core.pki.authority import Authority
from longshore.core.pki.tls import server_context
from longshore.core.pki.token_keys import TokenKeys
from longshore.testing.garbage import uncollected
from longshore.testing.kube.cluster import Cluster, Snapshot
from longshore.testing.kube.life import Keys
from longshore.testing.kube.settings import ACCOUNTS, Settings
from longshore.testing.loop import SimulatedLoop

T = TypeVar("T")
# There is nothing to be scheduled when all begins.
_BASE = Settings(nodes=0, controllers=frozenset({ACCOUNTS, "clusterrole-aggregation"}))


class Engine:
    """Make it once a session. call() may be used from any thread but its own."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="longshore-kube-"))
        clock = SystemClock()
        authority = Authority(self.directory, clock)
        self.authority_pem = authority.pem
        self._keys = Keys(authority, TokenKeys(self.directory, clock).read())
        pair = authority.server("127.0.0.1", ["127.0.0.1", "localhost"])
        self._context = server_context(pair, authority.pair.certificate)
        self._loop = SimulatedLoop(flowing=True)
        self._thread = threading.Thread(target=self._run, name="longshore kube", daemon=True)
        self._thread.start()
        self._base = self.call(self._bootstrapped())
        # What is there now stays: collections, of which each cluster causes some, skip it.
        gc.freeze()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Have work done on the loop, and wait for it."""
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError(
                "a function that kube calls (as the condition of a wait) cannot itself ask kube: "
                "it is given the object to judge"
            )
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except CancelledError:
            raise RuntimeError("the cluster was stopped while it was asked") from None
        except BaseException:
            future.cancel()
            raise

    def soon(self, cluster: Cluster) -> None:
        """Let whoever waits in a cluster look again. From any thread."""
        self._loop.call_soon_threadsafe(cluster.nudge)

    def cluster(self, settings: Settings) -> tuple[Cluster, int]:
        """A fresh cluster, and the port at which it listens."""
        with uncollected():
            return self.call(self._started(settings))

    def close(self) -> None:
        gc.unfreeze()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        shutil.rmtree(self.directory)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _started(self, settings: Settings) -> tuple[Cluster, int]:
        cluster = Cluster(self._loop, settings, self._keys, self._base)
        return cluster, await cluster.start(self._context)

    async def _bootstrapped(self) -> Snapshot:
        """What every cluster of the session begins with."""
        cluster = Cluster(self._loop, _BASE, self._keys, Snapshot({}))
        await cluster.start(None)
        life = cluster.life
        await bootstrap(life.client("bootstrap"), ())
        # Roles of controllers are for those who run upstream's outside: no test does.
        await ensure_roles(life.registry.cache, life.client("roles"), objects_of_users())
        snapshot = await cluster.snapshot()
        await cluster.stop()
        return snapshot
