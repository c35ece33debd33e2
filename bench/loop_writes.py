"""What writes of the server's own loops cost: processor time of the loop's thread for each, in batches
as schedulers, controllers and hollow nodes send them."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.fleet import CAPACITY, pod
from bench.table import Figure
from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.base.users import loop_user
from longshore.cluster.host.process import GC_THRESHOLDS
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import amounts_of
from longshore.core.registry.client import Bind, Create, Delete, DeleteOptions, Operation, Patch
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.core.store.memory import MemoryStore
from longshore.core.store.protocol import Store
from longshore.core.store.sqlite import SqliteStore
from longshore.machinery.kubelet.admission.gate import Gate
from longshore.machinery.kubelet.admission.plan import Site
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.hollow.nodes import HOLLOW_FACTS, hollow_configs
from longshore.machinery.kubelet.hollow.pod import HollowNode, advance, new_pod
from longshore.machinery.kubelet.lifecycle.status import pod_status
from longshore.machinery.kubelet.network import HollowNetwork
from longshore.machinery.kubelet.node.plan import node_doc

NODES, PODS, BATCH, ROUNDS = 20, 2000, 250, 5


async def figures() -> list[Figure]:
    gc.set_threshold(*GC_THRESHOLDS)  # as the server process has them
    found = await _measured("memory", MemoryStore())
    with TemporaryDirectory(prefix="lb-") as directory:
        return found + await _measured("SQLite", SqliteStore(Path(directory) / "s.db"))


async def _measured(name: str, store: Store) -> list[Figure]:
    registry = Registry(store, SystemClock(), Chance.seeded(1))
    await registry.open()
    running = asyncio.ensure_future(registry.run())
    best: dict[str, float] = defaultdict(lambda: float("inf"))
    await _prepare(InProcess(registry, loop_user("bench")))
    for _ in range(ROUNDS):
        for verb, took in (await _round(registry)).items():
            best[verb] = min(best[verb], took)
    running.cancel()
    await registry.close()
    note = f"batches of {BATCH}, store: {name}; the best of {ROUNDS} rounds of {PODS:,} pods"
    return [
        Figure(f"a loop's {verb} of a pod", took, "us", note=note) for verb, took in best.items()
    ]


async def _prepare(client: InProcess) -> None:
    await client.write(Create(kinds.NAMESPACE, {"metadata": {"name": "default"}}))
    for config in _configs():
        await client.write(Create(kinds.NODE, node_doc(config, HOLLOW_FACTS)))


async def _round(registry: Registry) -> dict[str, float]:
    """Microseconds of each kind of write, from no pods to none."""
    took: dict[str, float] = {}
    cache, names = registry.cache, [f"pod-{number:06}" for number in range(PODS)]
    writers = {verb: InProcess(registry, loop_user(who)) for verb, who in _WRITERS.items()}

    async def measure(verb: str, operations: Sequence[Operation]) -> None:
        gc.collect()
        took[verb] = await _sent(writers[verb], operations)

    await measure("create", [Create(kinds.POD, pod(number, PODS)) for number in range(PODS)])
    await measure("bind", [Bind("default", n, f"node-{i % NODES}") for i, n in enumerate(names)])
    await measure("status", _statuses(cache.all(kinds.POD)))
    rid = DeleteOptions(grace_s=0)
    await measure("delete", [Delete(kinds.POD, "default", name, rid) for name in names])
    return took


_WRITERS = {"create": "controllers", "bind": "scheduler", "status": "nodes", "delete": "nodes"}


async def _sent(client: InProcess, operations: Sequence[Operation]) -> float:
    """Microseconds of this thread for each."""
    before = time.thread_time()
    for start in range(0, len(operations), BATCH):
        for answer in await client.submit(operations[start : start + BATCH]):
            assert isinstance(answer, dict), answer
    return (time.thread_time() - before) / len(operations) * 1e6


def _configs() -> list[KubeletConfig]:
    return hollow_configs([f"node-{number}" for number in range(NODES)], CAPACITY)


def _node(config: KubeletConfig) -> HollowNode:
    site = Site({"metadata": {"name": config.node_name, "labels": {}}}, amounts_of(config.capacity))
    return HollowNode(config, HollowNetwork(config.pod_cidr), Gate(lambda: site, lambda uid: None))


def _statuses(pods: Sequence[Doc]) -> list[Operation]:
    """What hollow nodes report of pods that they have just been given."""
    now, nodes = SystemClock().now(), [_node(config) for config in _configs()]
    told: list[Operation] = []
    for doc in pods:
        name, node = doc["metadata"]["name"], doc["spec"]["nodeName"]
        known = new_pod(doc, nodes[int(node.rpartition("-")[2])], now)
        advance(known, now)
        told.append(
            Patch(kinds.POD, "default", name, {"status": pod_status(known.view(now))}, "status")
        )
    return told
