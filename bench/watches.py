"""A thousand watchers, each told of every change, and what that costs the server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.cluster import bed
from bench.table import Figure

ROOT = Path(__file__).parents[1]
WATCHERS, RATE, SECONDS = 1000, 1000, 4
SERVER_CORE, CLIENT_CORE = 0, 1


async def figures() -> list[Figure]:
    with bed("--hollow") as cluster:
        cluster.pin(SERVER_CORE)
        pki = cluster.paths.pki
        done = subprocess.run(
            [sys.executable, "-m", "bench.watch_load", "--port", str(cluster.port),
             "--pid", str(cluster.pid), "--core", str(CLIENT_CORE), "--watchers", str(WATCHERS),
             "--rate", str(RATE), "--seconds", str(SECONDS),
             "--ca", str(pki / "ca.crt"), "--cert", str(pki / "super-admin.crt"), "--key", str(pki / "super-admin.key")],
            check=True, capture_output=True, text=True, cwd=ROOT, timeout=300,
        )  # fmt: skip
    told = json.loads(done.stdout)
    of = f"{WATCHERS} watchers, {told['per_second']:,.0f} changes/s of {RATE} wished"
    complete = told["least"] == told["most"] == told["changes"]
    assert complete, f"a watcher missed a change: {told}"
    return [
        Figure("watch: added latency, p50", told["p50_ms"], "ms", 20, note=of),
        Figure("watch: added latency, p99", told["p99_ms"], "ms", note=of),
        Figure("watch: server", told["server_cores"] * 100, "% of a core", 60, note=of),
        Figure("watch: server, one change to one watcher", told["told_us"], "us", note=of),
        Figure(
            "watch: server, one round to one watcher",
            told["round_us"],
            "us",
            note=f"{told['rounds_per_second']:.0f} rounds/s, the changes themselves included",
        ),
        Figure("watch: the client of it all", told["client_cores"] * 100, "% of a core", note=of),
    ]
