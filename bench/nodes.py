"""A node with real containers: how soon what was asked for runs, and what a pod costs beside itself.

A pod's process says that it runs by writing its name into a FIFO of the host, so that nothing but the
way there is in the figure: from the API server's answer to the first thing that the process does."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median

from bench import swarm
from bench.cluster import Bed, bed, cpu_seconds, resident_mb, until_gone
from bench.table import Figure
from longshore.base.clock import SystemClock
from longshore.cluster.host.processes import recorded
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Create, Delete, DeleteOptions, Patch
from longshore.doors.kubernetes.client import HttpClient

IMAGE = "busybox:1.36"
PODS, WARM_UP, BURST, BURSTS = 100, 5, 50, 3
REPLICAS, UPDATES, HEALS = 10, 3, 5
REST_S, BETWEEN_S = 20.0, 0.05


async def figures() -> list[Figure]:
    if os.geteuid() != 0:
        return []
    with bed("--nodes", "1") as cluster:
        cluster.load_busybox()
        async with _said(cluster) as said:
            ours = [
                *await _latency(cluster, said),
                *await _burst(cluster, said),
                await _update(cluster, said),
                await _heal(cluster),
            ]
    return [*ours, *await swarm.figures()]


class Said:
    """What processes write into the FIFO, a name a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._names: asyncio.Queue[tuple[str, float]] = asyncio.Queue()

    def read(self, fd: int) -> None:
        now = SystemClock().monotonic()
        for name in os.read(fd, 65_536).decode().split():
            self._names.put_nowait((name, now))

    async def wait(self, names: set[str]) -> float:
        """When the last of them had said so."""
        waiting, at = set(names), 0.0
        async with asyncio.timeout(60):
            while waiting:
                name, at = await self._names.get()
                waiting.discard(name)
        return at


@asynccontextmanager
async def _said(cluster: Bed) -> AsyncIterator[Said]:
    path = cluster.paths.root / "said"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    said = Said(path)
    asyncio.get_running_loop().add_reader(fd, said.read, fd)
    try:
        yield said
    finally:
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)


def spec(said: Path, *, grace_s: int = 0) -> Doc:
    """A pod that says its name once it runs, and ends at once when it is asked to."""
    script = "echo $HOSTNAME > /said; trap 'exit 0' TERM; sleep 100000 & wait"
    return {
        "terminationGracePeriodSeconds": grace_s,
        "volumes": [{"name": "said", "hostPath": {"path": str(said)}}],
        "containers": [{
            "name": "c", "image": IMAGE, "command": ["sh", "-c", script],
            "volumeMounts": [{"name": "said", "mountPath": "/said"}],
        }],
    }  # fmt: skip


def _pod(name: str, said: Path) -> Create:
    metadata = {"name": name, "namespace": "default"}
    return Create(kinds.POD, {"metadata": metadata, "spec": spec(said)})


@contextmanager
def _client(cluster: Bed) -> Iterator[HttpClient]:
    client = cluster.client()
    try:
        yield client
    finally:
        client.close()


async def _latency(cluster: Bed, said: Said) -> list[Figure]:
    clock, taken = SystemClock(), []
    with _client(cluster) as client:
        for number in range(PODS + WARM_UP):
            name = f"one-{number}"
            await client.write(_pod(name, said.path))
            answered = clock.monotonic()
            at = await said.wait({name})
            if number >= WARM_UP:
                taken.append((at - answered) * 1000)
            await client.write(Delete(kinds.POD, "default", name, DeleteOptions(grace_s=0)))
            await until_gone(client, 0)
            await clock.sleep(BETWEEN_S)
    taken.sort()
    note = f"of {PODS} one after another, image present; from the API's answer to the process"
    return [
        Figure("a pod's start, p50", median(taken), "ms", 25, note=note),
        Figure("a pod's start, p99", taken[len(taken) * 99 // 100], "ms", 80, note=note),
    ]


async def _burst(cluster: Bed, said: Said) -> list[Figure]:
    """Fifty pods at once; and what they cost once they run."""
    clock, rates, rest = SystemClock(), [], list[Figure]()
    with _client(cluster) as client:
        for turn in range(BURSTS):
            names = {f"many-{turn}-{number}" for number in range(BURST)}
            begun = clock.monotonic()
            await asyncio.gather(*(client.write(_pod(name, said.path)) for name in sorted(names)))
            rates.append(BURST / (await said.wait(names) - begun))
            if turn == BURSTS - 1:
                rest = await _cost(cluster, clock)
            for name in names:
                await client.write(Delete(kinds.POD, "default", name, DeleteOptions(grace_s=0)))
            await until_gone(client, 0)
            await clock.sleep(2.0)
    note = f"median of {BURSTS}, {min(rates):.0f}-{max(rates):.0f}; from the first POST to the last process"
    return [
        Figure(
            f"{BURST} pods at once on one node", median(rates), "/s", 60, note=note, at_most=False
        ),
        *rest,
    ]


async def _cost(cluster: Bed, clock: SystemClock) -> list[Figure]:
    await clock.sleep(3.0)
    (agent,) = [one.pid for one in recorded(cluster.paths.processes) if one.role.startswith("node")]
    before = cpu_seconds(agent)
    await clock.sleep(REST_S)
    share = (cpu_seconds(agent) - before) / REST_S * 100
    keepers = [pid for pid in _processes("conmon") if str(cluster.paths.root) in _words(pid)]
    each = sum(_proportional_mb(pid) for pid in keepers) / BURST
    return [
        Figure("memory of a pod beside its own processes, PSS", each, "MB", 2, note="its conmon"),
        Figure(f"an agent at rest with {BURST} pods, resident memory", resident_mb(agent), "MB", 60),
        Figure(f"an agent at rest with {BURST} pods, CPU", share, "%", 1, note=f"of a core over {REST_S:g} s"),
    ]  # fmt: skip


async def _update(cluster: Bed, said: Said) -> Figure:
    """One by one: a new pod is ready before an old one ends."""
    clock, taken, labels = SystemClock(), [], {"app": "rolled"}
    template = {"metadata": {"labels": labels}, "spec": spec(said.path, grace_s=30)}
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    with _client(cluster) as client:
        await client.write(Create(kinds.DEPLOYMENT, {
            "metadata": {"name": "rolled", "namespace": "default"},
            "spec": {"replicas": REPLICAS, "strategy": rolling, "selector": {"matchLabels": labels}, "template": template},
        }))  # fmt: skip
        await _complete(client)
        for turn in range(UPDATES):
            await clock.sleep(1.0)
            begun = clock.monotonic()
            change = {"template": {"metadata": {"annotations": {"turn": str(turn)}}}}
            await client.write(Patch(kinds.DEPLOYMENT, "default", "rolled", {"spec": change}))
            await _complete(client)
            await until_gone(client, REPLICAS)
            taken.append(clock.monotonic() - begun)
    note = f"median of {UPDATES}, {min(taken):.2f}-{max(taken):.2f}; until the last old pod is gone"
    return Figure(
        f"rolling update of {REPLICAS} replicas, one by one", median(taken), "s", 3, note=note
    )


async def _complete(client: HttpClient) -> None:
    """Wait until the Deployment is as it should be, by its own word."""
    _, feed = await client.list_and_watch(kinds.DEPLOYMENT, "default")
    doc = await client.get(kinds.DEPLOYMENT, "default", "rolled")
    while True:
        status = doc.get("status") or {}
        counts = {
            status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")
        }
        if counts == {REPLICAS} and status["observedGeneration"] == doc["metadata"]["generation"]:
            return feed.close()
        doc = (await feed.next_batch())[-1].doc


async def _heal(cluster: Bed) -> Figure:
    """A container's process is killed; its pod says that the next one runs."""
    clock, taken = SystemClock(), []
    with _client(cluster) as client:
        listing, feed = await client.list_and_watch(kinds.POD, "default")
        for pod in list(listing.items)[:HEALS]:
            victim = _main_process(pod["status"]["containerStatuses"][0]["containerID"])
            begun = clock.monotonic()
            os.kill(victim, signal.SIGKILL)
            name, again = pod["metadata"]["name"], False
            while not again:
                again = any(_restarted(one.doc, name) for one in await feed.next_batch())
            taken.append(clock.monotonic() - begun)
        feed.close()
    note = f"median of {HEALS}; from SIGKILL to the status that says so, first time"
    return Figure("a killed container runs again", median(taken), "s", 0.5, note=note)


def _restarted(pod: Doc, name: str) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return pod["metadata"]["name"] == name and any(
        one["restartCount"] == 1 and "running" in one["state"] for one in statuses
    )


def _main_process(container_id: str) -> int:
    """The child of the conmon that keeps the container."""
    identity = container_id.rpartition("/")[2]
    (keeper,) = [pid for pid in _processes("conmon") if identity in _words(pid)]
    return int(Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()[0])


def _processes(program: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and _words(int(entry.name)).split(" ")[0].endswith(program):
            found.append(int(entry.name))
    return found


def _words(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:  # it has ended meanwhile
        return ""


def _proportional_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"no Pss for {pid}")
