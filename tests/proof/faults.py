"""What can befall a member of etcd, and how it ends: each is begun, lasts, and is mended."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from longshore.base.clock import Clock
from longshore.doors.kit.fetch import FetchError, Pool
from longshore.machinery.network import lan, namespaces
from longshore.machinery.network.ranges import member_net
from tests.core.store.etcds import PROGRAM

SIZE = 3
_CLIENT_PORT, _PEER_PORT = 2379, 2380
# As `longshore up --servers 3` starts its members.
_ARGUMENTS = ("--heartbeat-interval=50", "--election-timeout=500", "--log-level=error")
# A member that gets a sixth of its time, in pieces.
_SLOW_STOPPED_S, _SLOW_RUNNING_S = 0.1, 0.02


class Member:
    """One etcd on a LAN, in a namespace of its own."""

    def __init__(self, directory: Path, number: int) -> None:
        self.net = member_net(f"m{number}", number)
        self.directory = directory
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"{self.net.lan_ip}:{_CLIENT_PORT}"

    @property
    def peer(self) -> str:
        return f"{self.net.name}=http://{self.net.lan_ip}:{_PEER_PORT}"

    def start(self, cluster: str) -> None:
        assert PROGRAM is not None
        client, peer = f"http://{self.endpoint}", self.peer.partition("=")[2]
        options = {
            "name": self.net.name, "data-dir": str(self.directory / "data" / self.net.name),
            "listen-client-urls": client, "advertise-client-urls": client,
            "listen-peer-urls": peer, "initial-advertise-peer-urls": peer,
            "initial-cluster": cluster,
        }  # fmt: skip
        command = [PROGRAM, *(f"--{name}={value}" for name, value in options.items()), *_ARGUMENTS]
        with (self.directory / f"{self.net.name}.log").open("ab") as log, self.inside():
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    @contextmanager
    def inside(self) -> Iterator[None]:
        with namespaces.entered(lan.node_path(self.directory / "net", self.net.name)):
            yield

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def link(self, state: str) -> None:
        """Pull the cable ("down") or plug it in again ("up")."""
        with self.inside():
            subprocess.run(["ip", "link", "set", "eth0", state], check=True)


class Ring:
    """Three members on a LAN of their own, of which the machine's own network sees nothing."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.directory, self.clock = directory, clock
        self.members = [Member(directory, number) for number in range(1, SIZE + 1)]

    @property
    def address(self) -> str:
        return "etcd://" + ",".join(member.endpoint for member in self.members)

    @property
    def lan(self) -> Path:
        return lan.lan_path(self.directory / "net")

    def socket(self) -> socket.socket:
        """One from which the members are reached."""
        return namespaces.socket_in(self.lan)

    async def whole(self) -> None:
        """Wait until each member answers what takes all of a majority."""
        for member in self.members:
            pool = Pool([f"http://{member.endpoint}"], None, socket_factory=self.socket, answer_s=1)
            while not await _healthy(pool):
                await self.clock.sleep(0.05)
            pool.close()

    def start(self, member: Member) -> None:
        member.start(",".join(one.peer for one in self.members))

    def __enter__(self) -> Ring:
        lan.build_lan(self.directory / "net", [], [member.net for member in self.members])
        for member in self.members:
            self.start(member)
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            member.kill()
        lan.tear_down(self.directory / "net")


async def _healthy(pool: Pool) -> bool:
    try:
        return b'"true"' in (await pool.fetch("GET", "/health", {})).body
    except FetchError:
        return False


@asynccontextmanager
async def killed(ring: Ring, member: Member) -> AsyncIterator[None]:
    member.kill()
    yield
    ring.start(member)


@asynccontextmanager
async def stopped(ring: Ring, member: Member) -> AsyncIterator[None]:
    member.signal(signal.SIGSTOP)
    yield
    member.signal(signal.SIGCONT)


@asynccontextmanager
async def cut_off(ring: Ring, member: Member) -> AsyncIterator[None]:
    member.link("down")
    yield
    member.link("up")


@asynccontextmanager
async def slow(ring: Ring, member: Member) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as crew:
        stuttering = crew.create_task(_stutter(ring.clock, member))
        yield
        stuttering.cancel()
    member.signal(signal.SIGCONT)


async def _stutter(clock: Clock, member: Member) -> None:
    while True:
        member.signal(signal.SIGSTOP)
        await clock.sleep(_SLOW_STOPPED_S)
        member.signal(signal.SIGCONT)
        await clock.sleep(_SLOW_RUNNING_S)


FAULTS = (killed, stopped, cut_off, slow)
