"""Docker Swarm on the same machine in the same run: Debian's dockerd in namespaces of its own, with no way
out. What it is asked is what bench/nodes.py asks of us."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.table import Figure
from longshore.base.clock import SystemClock

ROOT = Path(__file__).parents[1]
UNPACKED = ROOT / ".cache" / "docker"
PACKAGES = ("docker.io", "tini", "libdevmapper1.02.1")
IMAGE = "busybox:1.36"
SCRIPT = "trap 'exit 0' TERM; sleep 100000 & wait"
STARTS, SCALED, REPLICAS, HEALS = 5, 50, 10, 3
LOOK_S, PATIENCE_S = 0.02, 90.0


async def figures() -> list[Figure]:
    """None where Debian's packages are not to be had."""
    if not await asyncio.to_thread(_unpacked):
        return []
    async with _swarm() as docker:
        return [
            await _start(docker),
            await _scale(docker),
            await _update(docker),
            await _heal(docker),
        ]


def _unpacked() -> bool:
    """See that the programs are there: taken out of their packages, since installed they would start."""
    if (UNPACKED / "usr/sbin/dockerd").exists():
        return True
    if shutil.which("apt-get") is None:
        return False
    UNPACKED.mkdir(parents=True, exist_ok=True)
    fetched = subprocess.run(
        ["apt-get", "-qq", "download", *PACKAGES], cwd=UNPACKED, capture_output=True, check=False
    )
    for package in UNPACKED.glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(UNPACKED)], check=True)
        package.unlink()
    return fetched.returncode == 0


@dataclass(frozen=True)
class Docker:
    """The command line against one daemon."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        path = f"{UNPACKED}/usr/bin:{UNPACKED}/usr/sbin:{os.environ['PATH']}:/usr/sbin:/sbin"
        libraries = f"{UNPACKED}/lib/x86_64-linux-gnu:{UNPACKED}/usr/lib/x86_64-linux-gnu"
        return {"PATH": path, "LD_LIBRARY_PATH": libraries, "HOME": str(self.home),
                "DOCKER_HOST": f"unix://{self.home}/docker.sock"}  # fmt: skip

    async def __call__(self, *words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            f"{UNPACKED}/usr/bin/docker", *words, env=self.environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        said, wrong = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"docker {' '.join(words)}: {wrong.decode().strip()}")
        return said.decode()

    async def running(self) -> set[str]:
        return set((await self("ps", "-q", "--no-trunc")).split())

    async def until(self, done: Callable[[set[str]], bool]) -> set[str]:
        """The running containers, once they are as wanted."""
        async with asyncio.timeout(PATIENCE_S):
            while not done(found := await self.running()):
                await asyncio.sleep(LOOK_S)  # noqa: TID251 - a daemon outside that does not tell
        return found


@asynccontextmanager
async def _swarm() -> AsyncIterator[Docker]:
    with TemporaryDirectory(prefix="ls-swarm-", dir="/tmp") as home:
        docker = Docker(Path(home))
        daemon = (
            f"ip link set lo up && exec dockerd --data-root {home}/data --exec-root {home}/exec "
            f"--pidfile {home}/pid --host unix://{home}/docker.sock --iptables=false"
        )
        with (docker.home / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                "unshare", "--net", "--mount", "sh", "-c", daemon,
                env=docker.environment, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            await _answering(docker)
            await docker("swarm", "init", "--advertise-addr", "127.0.0.1")
            await docker("load", "--quiet", "--input", str(ROOT / ".cache/images/busybox.tar"))
            yield docker
            await docker("swarm", "leave", "--force")
            await docker.until(lambda found: not found)
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()


async def _answering(docker: Docker) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await docker("version")
                return
            except RuntimeError:
                await asyncio.sleep(LOOK_S)  # noqa: TID251 - as above


async def _create(docker: Docker, name: str, replicas: int) -> None:
    await docker(
        "service", "create", "--detach", "--no-resolve-image", "--name", name,
        "--replicas", str(replicas), "--update-monitor", "0s", "--update-delay", "0s",
        "--update-parallelism", "1", IMAGE, "sh", "-c", SCRIPT,
    )  # fmt: skip


async def _start(docker: Docker) -> Figure:
    clock, taken = SystemClock(), []
    for number in range(STARTS):
        begun = clock.monotonic()
        await _create(docker, f"one-{number}", 1)
        await docker.until(lambda found: len(found) == 1)
        taken.append((clock.monotonic() - begun) * 1000)
        await docker("service", "rm", f"one-{number}")
        await docker.until(lambda found: not found)
    return Figure(
        "Swarm: a service of one replica runs", median(taken), "ms", note=f"median of {STARTS}"
    )


async def _scale(docker: Docker) -> Figure:
    clock = SystemClock()
    await _create(docker, "many", 1)
    await docker.until(lambda found: len(found) == 1)
    begun = clock.monotonic()
    await docker("service", "scale", "--detach", f"many={SCALED}")
    await docker.until(lambda found: len(found) == SCALED)
    took = clock.monotonic() - begun
    await docker("service", "rm", "many")
    await docker.until(lambda found: not found)
    return Figure(f"Swarm: scale 1 to {SCALED}, all running", took, "s")


async def _update(docker: Docker) -> Figure:
    clock = SystemClock()
    await _create(docker, "rolled", REPLICAS)
    before = await docker.until(lambda found: len(found) == REPLICAS)
    begun = clock.monotonic()
    await docker("service", "update", "--detach", "--force", "rolled")
    await docker.until(lambda found: len(found) == REPLICAS and not found & before)
    return Figure(
        f"Swarm: rolling update of {REPLICAS} replicas, one by one", clock.monotonic() - begun, "s"
    )


async def _heal(docker: Docker) -> Figure:
    clock, taken = SystemClock(), []
    for _ in range(HEALS):
        before = await docker.until(lambda found: len(found) == REPLICAS)
        begun = clock.monotonic()
        await docker("kill", victim := min(before))
        await docker.until(partial(_replaced, victim))
        taken.append(clock.monotonic() - begun)
    await docker("service", "rm", "rolled")
    await docker.until(lambda found: not found)
    return Figure(
        "Swarm: a killed container runs again", median(taken), "s", note=f"median of {HEALS}"
    )


def _replaced(victim: str, found: set[str]) -> bool:
    return len(found) == REPLICAS and victim not in found
