"""How long a cluster of three servers is without what was killed, with upstream's default durations."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Awaitable, Callable
from statistics import median
from typing import TypeVar

from bench.cluster import Bed, bed, run
from bench.table import Figure
from longshore.base.clock import SystemClock
from longshore.cluster.host.processes import recorded
from longshore.core.objects import kinds
from longshore.core.objects.errors import AlreadyExists, ApiError
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create, Patch
from longshore.doors.kubernetes.client import HttpClient
from longshore.machinery.election.plan import Rules

T = TypeVar("T")
RUNS = 3
_WORDS = ("--servers", "3", "--nodes", "2", "--hollow")
_NAME = "web"


async def figures() -> list[Figure]:
    if os.geteuid() != 0 or shutil.which("etcd") is None:
        print("  failover needs root and etcd: left out")
        return []
    started, led, members = [], [], []
    for _ in range(RUNS):
        with bed(*_WORDS) as cluster:
            started.append(cluster.seconds["total"])
            client = cluster.client()
            await client.write(Create(kinds.DEPLOYMENT, _deployment()))
            led.append(await _acting_again(cluster, client, await _leader(client)))
            run("start", "--name", cluster.paths.home.name, "--root", str(cluster.paths.root))
            for name in ("etcd-1", "etcd-2", "etcd-3"):
                members.append(await _writing_again(cluster, client, name))
                run("start", "--name", cluster.paths.home.name, "--root", str(cluster.paths.root))
            client.close()
    lease_s = Rules().lease_s
    return [
        _figure("up --servers 3 --nodes 2 --hollow", started, 3.0, "to all nodes Ready"),
        _figure(
            "the leading server is killed: controllers act again", led, lease_s + 1.0,
            f"lease of {lease_s} s",
        ),
        _figure("a member of etcd is killed: the next write is acknowledged", members, 4.0, "each"),
    ]  # fmt: skip


def _figure(what: str, taken: list[float], goal_s: float, about: str) -> Figure:
    note = f"median of {len(taken)}, {min(taken):.2f}-{max(taken):.2f}; {about}"
    return Figure(what, median(taken), "s", goal_s, note=note)


async def _acting_again(cluster: Bed, client: HttpClient, leader: str) -> float:
    """From the kill until a ReplicaSet's status says that what was asked for after it is there."""
    clock = SystemClock()
    replicas = 1 + (await _replicas(client))
    begun = _killed(cluster, leader)
    patch = Patch(kinds.DEPLOYMENT, "default", _NAME, {"spec": {"replicas": replicas}})
    await _surely(lambda: client.write(patch))
    while await _replicas(client) != replicas:
        await clock.sleep(0.01)
    return clock.monotonic() - begun


async def _writing_again(cluster: Bed, client: HttpClient, member: str) -> float:
    """From the kill until one write is acknowledged. It may be one that needed no other member."""
    begun = _killed(cluster, member)
    name = f"after-{member}-{begun:.0f}"
    create = Create(kinds.CONFIG_MAP, {"metadata": {"namespace": "default", "name": name}})
    try:
        await _surely(lambda: client.write(create))
    except AlreadyExists:
        print(f"  {name} had been written before its answer was lost")
    return SystemClock().monotonic() - begun


def _killed(cluster: Bed, role: str) -> float:
    (doomed,) = [p for p in recorded(cluster.paths.processes) if p.role == role]
    doomed.kill(signal.SIGKILL)
    return SystemClock().monotonic()


async def _leader(client: HttpClient) -> str:
    lease = await client.get(kinds.LEASE, "kube-system", "kube-controller-manager")
    return str(lease["spec"]["holderIdentity"]).partition("_")[0]


async def _replicas(client: HttpClient) -> int:
    doc = await _surely(lambda: client.get(kinds.DEPLOYMENT, "default", _NAME))
    return int((doc.get("status") or {}).get("replicas", 0))


async def _surely(ask: Callable[[], Awaitable[T]]) -> T:
    while True:
        try:
            return await ask()
        except AlreadyExists:
            raise
        except ApiError:
            await SystemClock().sleep(0.01)


def _deployment() -> Doc:
    labels = {"app": _NAME}
    pod = {"containers": [{"name": "c", "image": "busybox"}]}
    return {
        "metadata": {"namespace": "default", "name": _NAME},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
