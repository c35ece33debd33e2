"""Agents are killed with SIGKILL again and again while pods of theirs come and go: every container has run
exactly as often as it was to, nothing of the others is left, and no pod is stuck.

Each run of a container writes a line to a file of its pod on the machine, which outlives it: what the
cluster says of restarts is compared with that.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from longshore.base.chance import Chance
from longshore.base.clock import Clock, SystemClock
from longshore.cluster.config import ClusterPaths
from longshore.cluster.host.processes import recorded
from longshore.core.objects import kinds
from longshore.core.objects.errors import NotFound
from longshore.core.objects.kinds import Doc
from longshore.core.pki.pairs import Pair
from longshore.core.pki.tls import client_context
from longshore.core.registry.client import Create, Delete
from longshore.doors.kubernetes.client import HttpClient
from tests.blackbox.conftest import started
from tests.blackbox.driver import CACHE, ROOT, Cluster
from tests.blackbox.leaks import held, until_nothing_new

PODS, NODES = 200, ("node-1", "node-2")
# How long an agent lives.
_LIFE_S = (0.05, 1.2)
_PATIENCE_S = 90.0
_NOTE = 'echo run >> "/runs/$POD"; '
# What a pod's container does, how its pod is restarted, and how often it runs.
_WAYS = {
    "steady": (_NOTE + "exec sleep 100000", "Always", 1),
    "stumbling": (
        _NOTE + '[ -e "/runs/$POD.again" ] && exec sleep 100000; : > "/runs/$POD.again"; exit 3',
        "Always",
        2,
    ),
    "finite": (_NOTE + "exit 0", "Never", 1),
}


@dataclass
class NodeVerdict:
    """wrong: sentences of what ran too often, was left, or got stuck."""

    what: str
    made: int = 0
    kills: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        head = f"{self.what}: {self.kills} kills, {self.made} pods, {len(self.wrong)} wrong"
        return "\n  ".join([head, *self.wrong[:20]])


async def prove(root: Path, kills: int, *, pods: int = PODS) -> NodeVerdict:
    """Agents of a cluster of its own are killed so often while so many pods are there."""
    root.mkdir(parents=True, exist_ok=True)
    runs = root / "runs"
    runs.mkdir()
    cluster = started("kn", root / "c", "--nodes", str(len(NODES)))
    try:
        cluster.longshore("image load", str(await asyncio.to_thread(_busybox)))
        return await _Churn(cluster, runs, pods).prove(kills)
    finally:
        cluster.longshore("down")


def _busybox() -> Path:
    """The tar of a stand-in image of that name."""
    script, images = ROOT / "tools" / "standins.py", CACHE / "images"
    subprocess.run([sys.executable, script, images], check=True, stdout=subprocess.DEVNULL)
    return images / "busybox.tar"


class _Churn:
    def __init__(self, cluster: Cluster, runs: Path, size: int) -> None:
        self._cluster, self._runs, self._size = cluster, runs, size
        self._paths = ClusterPaths(cluster.root, cluster.name)
        self._clock: Clock = SystemClock()
        self._chance = Chance.seeded("nodes")
        pki = self._paths.pki
        context = client_context(Pair.named(pki, "admin"), pki / "ca.crt")
        self._client = HttpClient([cluster.server], context, self._clock)
        self._there: list[str] = []
        self._verdict = NodeVerdict(f"SIGKILLs of agents among {size} pods")

    async def prove(self, kills: int) -> NodeVerdict:
        await asyncio.to_thread(
            self._cluster.kubectl, "wait", "--for=create", "sa/default", "--timeout=30s"
        )
        before = held(self._paths)
        try:
            async with asyncio.TaskGroup() as crew:
                churn = crew.create_task(self._churn())
                await self._kill_again_and_again(kills)
                churn.cancel()
            await self._judge()
            await self._clear()
            for what, left in (await until_nothing_new(self._paths, before)).items():
                self._verdict.wrong += [f"leaked {what}: {one}" for one in sorted(left)[:5]]
        finally:
            self._client.close()
        return self._verdict

    async def _kill_again_and_again(self, kills: int) -> None:
        for _ in range(kills):
            await self._clock.sleep(self._chance.uniform(*_LIFE_S))
            node = self._chance.choice(NODES)
            for process in recorded(self._paths.processes):
                if process.role == node:
                    process.kill(signal.SIGKILL)
            await asyncio.to_thread(self._cluster.longshore, "start")
            self._verdict.kills += 1

    async def _churn(self) -> None:
        """Keep so many pods there; each that comes, another one goes."""
        while True:
            while len(self._there) < self._size:
                await self._make()
            await self._clock.sleep(self._chance.uniform(0.0, 0.05))
            await self._end(self._there.pop(self._chance.below(len(self._there))))

    async def _make(self) -> None:
        way = self._chance.choice([*_WAYS])
        self._verdict.made += 1
        name = f"{way}-{self._verdict.made}"
        self._there.append(name)
        await self._client.write(Create(kinds.POD, pod(name, way, self._runs)))

    async def _end(self, name: str) -> None:
        await self._client.write(Delete(kinds.POD, "default", name))

    async def _judge(self) -> None:
        """Every pod that is there comes to where it is to be, and every pod that ever was has run as
        often as was said of it."""
        await self._until(self._settled, "pods that do not settle")
        found = {pod["metadata"]["name"]: pod for pod in await self._pods()}
        for file in self._runs.iterdir():
            name, (_, _, most) = file.name, _WAYS[file.name.partition("-")[0]]
            if name.endswith(".again"):
                continue
            ran = len(file.read_text().splitlines())
            said = _restarts(found[name]) + 1 if name in found else None
            if ran > most or (said is not None and ran != said):
                self._verdict.wrong.append(f"{name} ran {ran} times, to be {most}, said {said}")

    async def _settled(self) -> list[str]:
        return [
            f"{pod['metadata']['name']}: {_told(pod)}"
            for pod in await self._pods()
            if not _is_settled(pod)
        ]

    async def _clear(self) -> None:
        for pod in await self._pods():
            try:
                await self._end(pod["metadata"]["name"])
            except NotFound:  # it was going already
                continue
        await self._until(self._names, "pods that do not go")

    async def _names(self) -> list[str]:
        return [pod["metadata"]["name"] for pod in await self._pods()]

    async def _pods(self) -> list[Doc]:
        return list((await self._client.list(kinds.POD, "default")).items)

    async def _until(self, left: Callable[[], Awaitable[list[str]]], what: str) -> None:
        """Until there are none left; those that are when patience ends are wrong."""
        deadline = self._clock.monotonic() + _PATIENCE_S
        while (these := await left()) and self._clock.monotonic() < deadline:
            await self._clock.sleep(0.5)
        self._verdict.wrong += [f"{what}: {one}" for one in these]


def pod(name: str, way: str, runs: Path) -> Doc:
    command, policy, _ = _WAYS[way]
    container = {
        "name": "c", "image": "busybox:1.36", "imagePullPolicy": "Never",
        "command": ["sh", "-c", command], "env": [{"name": "POD", "value": name}],
        "volumeMounts": [{"name": "runs", "mountPath": "/runs"}],
    }  # fmt: skip
    volume = {"name": "runs", "hostPath": {"path": str(runs), "type": "Directory"}}
    spec: dict[str, Any] = {
        "containers": [container], "volumes": [volume], "restartPolicy": policy,
        "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False,
    }  # fmt: skip
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def _restarts(pod: Doc) -> int:
    statuses = pod["status"].get("containerStatuses") or [{}]
    return int(statuses[0].get("restartCount", 0))


def _is_settled(pod: Doc) -> bool:
    if "deletionTimestamp" in pod["metadata"]:
        return False
    way = pod["metadata"]["name"].partition("-")[0]
    if way == "finite":
        return bool(pod["status"].get("phase") == "Succeeded")
    statuses = pod["status"].get("containerStatuses") or [{}]
    running = "running" in (statuses[0].get("state") or {})
    return running and _restarts(pod) == _WAYS[way][2] - 1


def _told(pod: Doc) -> str:
    statuses = pod["status"].get("containerStatuses") or [{}]
    going = " going" if "deletionTimestamp" in pod["metadata"] else ""
    return f"{pod['status'].get('phase')}{going} {_restarts(pod)} {statuses[0].get('state')}"
