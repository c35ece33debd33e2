"""A cluster of a benchmark's own, and looks at its server process."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from longshore.base.clock import SystemClock
from longshore.cluster.config import ClusterPaths
from longshore.cluster.host.processes import recorded
from longshore.core.objects import kinds
from longshore.core.pki.pairs import Pair
from longshore.core.pki.tls import client_context
from longshore.doors.kit.fetch import Pool
from longshore.doors.kubernetes.client import HttpClient

ROOT = Path(__file__).parents[1]
LONGSHORE = str(Path(sys.executable).with_name("longshore"))
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Bed:
    """A running cluster; seconds are its phases' times."""

    paths: ClusterPaths
    server: str
    seconds: dict[str, float]

    @property
    def pid(self) -> int:
        return next(p.pid for p in recorded(self.paths.processes) if p.role == "server")

    @property
    def port(self) -> int:
        return int(self.server.rpartition(":")[2])

    def client(self) -> HttpClient:
        return HttpClient([self.server], self.context(), SystemClock())

    def pool(self) -> Pool:
        """For requests whose answers are not to be decoded."""
        return Pool([self.server], self.context())

    def context(self) -> ssl.SSLContext:
        pair = Pair(self.paths.pki / "super-admin.crt", self.paths.pki / "super-admin.key")
        return client_context(pair, self.paths.pki / "ca.crt")

    def pin(self, core: int) -> None:
        """Keep every thread of the server to one core."""
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})

    def load(self, image: Path) -> None:
        run(
            "image",
            "load",
            str(image),
            "--name",
            self.paths.home.name,
            "--root",
            str(self.paths.root),
        )

    def load_busybox(self) -> None:
        """The image that pods of benchmarks are made of, built where it is not there yet."""
        images = ROOT / ".cache" / "images"
        subprocess.run(
            [sys.executable, str(ROOT / "tools" / "standins.py"), str(images)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        self.load(images / "busybox.tar")


async def until_gone(client: HttpClient, left: int) -> None:
    """Wait until no more than so many pods are there, terminating ones too."""
    listing, feed = await client.list_and_watch(kinds.POD, "default")
    names = {pod["metadata"]["name"] for pod in listing.items}
    while len(names) > left:
        for change in await feed.next_batch():
            name = change.doc["metadata"]["name"]
            names.discard(name) if change.type == "DELETED" else names.add(name)
    feed.close()


def run(*words: str) -> str:
    return subprocess.run([LONGSHORE, *words], check=True, stdout=subprocess.PIPE, text=True).stdout


@contextmanager
def bed(*words: str) -> Iterator[Bed]:
    """`longshore up` with these words, in a directory of its own; down afterwards."""
    with TemporaryDirectory(prefix="lb-", dir="/tmp") as root:
        place = ("--name", "bench", "--root", root)
        try:
            told: dict[str, Any] = json.loads(
                run("up", *place, "--no-merge", "--uplink", "none", "--json", *words)
            )
            yield Bed(ClusterPaths(Path(root), "bench"), told["server"], told["seconds"])
        finally:
            run("down", *place)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"no VmRSS for {pid}")
