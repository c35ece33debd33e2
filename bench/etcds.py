"""What our stores are measured beside: a fresh etcd with a core of its own, its Go client, and disks that are
slower than this machine's."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from longshore.base.clock import SystemClock
from longshore.doors.kit.fetch import FetchError, Pool

SERVER_CORE, CLIENT_CORE = 0, 1
ETCD_PORT, ETCD_PEER_PORT = 23790, 23800
HERE = Path(__file__).parent


def caller(work: Path) -> Path | None:
    """The Go client of bench/etcd, built; None where etcd or Go is missing."""
    if shutil.which("etcd") is None or shutil.which("go") is None:
        return None
    source = work / "source"
    shutil.copytree(HERE / "etcd", source)
    for command in (
        ["go", "mod", "init", "bench"],
        ["go", "get", "go.etcd.io/etcd/client/v3@v3.5.17"],
        ["go", "build", "-o", "caller", "."],
    ):
        if subprocess.run(command, cwd=source, capture_output=True).returncode:
            return None
    return source / "caller"


@asynccontextmanager
async def running(data: Path, slower_ms: int = 0) -> AsyncIterator[int]:
    """A fresh etcd, and nothing left of it; its process."""
    here, peer = f"http://127.0.0.1:{ETCD_PORT}", f"http://127.0.0.1:{ETCD_PEER_PORT}"
    etcd = subprocess.Popen(
        ["taskset", "-c", str(SERVER_CORE), *slowed(slower_ms), "etcd", "--data-dir", str(data),
         "--listen-client-urls", here, "--advertise-client-urls", here,
         "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
         "--initial-cluster", f"default={peer}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await _healthy(here)
        yield etcd.pid
    finally:
        etcd.terminate()
        etcd.wait()
        shutil.rmtree(data, ignore_errors=True)


def slowed(milliseconds: int) -> list[str]:
    """Words before a command whose synchronisations of files are to take so much longer. The command is
    the process that is started; whoever watches it is a child of it."""
    if not milliseconds:
        return []
    calls = "fsync,fdatasync"
    return [
        "strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", f"trace={calls}",
        "-e", f"inject={calls}:delay_exit={milliseconds * 1000}",
    ]  # fmt: skip


async def _healthy(url: str) -> None:
    """Wait until it has elected itself."""
    pool, clock = Pool([url], None, answer_s=1), SystemClock()
    while True:
        try:
            if b'"true"' in (await pool.fetch("GET", "/health", {})).body:
                break
        except FetchError:
            pass
        await clock.sleep(0.05)
    pool.close()
