"""Durable writes, and reads of one object, through the TLS door on one core; beside them raw etcd on
the same disk, and a bare TLS server, which is the floor under the reads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench import etcds
from bench.cluster import Bed, bed
from bench.etcds import CLIENT_CORE, ETCD_PORT, SERVER_CORE
from bench.table import Figure

ROUNDS = 3
SECONDS = 4.0
CONNECTIONS = 64
HERE = Path(__file__).parent
PODS = "/api/v1/namespaces/default/pods"


async def figures() -> list[Figure]:
    """Rounds alternate between the two, so that a machine that slows down slows both."""
    ours: dict[str, list[float]] = {"configmaps": [], "pods": []}
    rest: dict[str, list[float]] = {"get": [], "patch": [], "floor": []}
    cost: dict[str, list[float]] = defaultdict(list)
    etcd: list[float] = []
    with TemporaryDirectory(prefix="lb-") as work:
        caller = etcds.caller(Path(work))
        for _ in range(ROUNDS):
            for kind, rates in ours.items():
                with bed("--hollow") as cluster:
                    rates.append(_load(cluster, "create", kind, cost))
            for verb in ("get", "patch"):
                with bed("--hollow") as cluster:
                    rest[verb].append(_load(cluster, verb, "pods", cost))
                    if verb == "get":
                        rest["floor"].append(await _floor(cluster, cost))
            if caller is not None:
                etcd.append(await _etcd_creates(caller, Path(work) / "data"))
    found = _told(ours, rest, cost, median(etcd) if etcd else None)
    if etcd:
        found.append(
            Figure(
                "etcd, create transactions/s of 1.5 KB", median(etcd), "/s", note="one core, no TLS"
            )
        )
    return found


def _told(
    creates: dict[str, list[float]],
    rest: dict[str, list[float]],
    cost: dict[str, list[float]],
    etcd: float | None,
) -> list[Figure]:
    beside = "" if etcd else "; no etcd or Go here to compare"

    def figure(what: str, key: str, rate: list[float], goal: float | None) -> Figure:
        note = (
            f"{CONNECTIONS} connections, one core, {median(cost[key]):.0f} us of CPU each{beside}"
        )
        return Figure(what, median(rate), "/s", goal, False, note)

    pods = median(creates["pods"])
    return [
        figure("creates/s, ConfigMap of 1.4 KB", "create configmaps", creates["configmaps"], etcd),
        figure("creates/s, Pod of 1.5 KB", "create pods", creates["pods"], etcd),
        figure("GETs/s of one Pod", "get pods", rest["get"], 30_000),
        figure("bare TLS server, answers/s of that size", "floor", rest["floor"], None),
        figure("merge patches/s of a Pod", "patch pods", rest["patch"], 0.7 * pods),
    ]


def _load(cluster: Bed, verb: str, kind: str, cost: dict[str, list[float]]) -> float:
    """Requests a second of one run; the CPU of each goes into cost, in microseconds."""
    cluster.pin(SERVER_CORE)
    told = _told_by_load(cluster.paths.pki, cluster.port, cluster.pid, verb, kind)
    cost[f"{verb} {kind}"].append(told["server_cpu_us"])
    return told["per_second"]


async def _floor(cluster: Bed, cost: dict[str, list[float]]) -> float:
    """The same load on a bare server whose answers are as large as one of the cluster's pods."""
    pool, pki = cluster.pool(), cluster.paths.pki
    size = len((await pool.fetch("GET", f"{PODS}?limit=1", {})).body)
    pool.close()
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.floor", "--core", str(SERVER_CORE), "--bytes", str(size),
         "--cert", str(pki / "server.crt"), "--key", str(pki / "server.key")],
        stdout=subprocess.PIPE, text=True, cwd=HERE.parent,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        told = _told_by_load(pki, port, server.pid, "get", "pods")
    finally:
        server.kill()
        server.wait()
    cost["floor"].append(told["server_cpu_us"])
    return told["per_second"]


def _told_by_load(pki: Path, port: int, pid: int, verb: str, kind: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, str(HERE / "http_load.py"), "--port", str(port), "--kind", kind, "--verb", verb,
         "--pid", str(pid),
         "--connections", str(CONNECTIONS), "--seconds", str(SECONDS), "--core", str(CLIENT_CORE),
         "--ca", str(pki / "ca.crt"), "--cert", str(pki / "super-admin.crt"), "--key", str(pki / "super-admin.key")],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    told: dict[str, float] = json.loads(done.stdout)
    assert told["failures"] == 0, told
    return told


async def _etcd_creates(caller: Path, data: Path) -> float:
    """One run against a fresh etcd, each pinned to its core."""
    async with etcds.running(data):
        done = subprocess.run(
            ["taskset", "-c", str(CLIENT_CORE), str(caller), "-endpoint", f"127.0.0.1:{ETCD_PORT}",
             "-clients", str(CONNECTIONS), "-seconds", str(SECONDS)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    return float(json.loads(done.stdout)["creates_per_second"])
