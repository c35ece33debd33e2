"""Real members of etcd for tests: Debian's etcd, on loopback ports of its own, in a folder."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.ports import free_ports

PROGRAM = shutil.which("etcd")
needs_etcd = pytest.mark.skipif(PROGRAM is None, reason="Debian's etcd-server is not installed")


@dataclass
class Member:
    """One etcd process, which can be stopped, killed and started again where it was."""

    name: str
    folder: Path
    client_port: int
    peer_port: int
    arguments: Sequence[str] = ()
    scheme: str = "http"
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.client_port}"

    @property
    def peer(self) -> str:
        return f"{self.name}=http://127.0.0.1:{self.peer_port}"

    def start(self, cluster: str) -> None:
        assert PROGRAM is not None
        client, peer = f"{self.scheme}://{self.endpoint}", f"http://127.0.0.1:{self.peer_port}"
        command = [PROGRAM, "--name", self.name, "--data-dir", str(self.folder / self.name)]
        command += ["--listen-client-urls", client, "--advertise-client-urls", client]
        command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        command += ["--initial-cluster", cluster, "--log-level", "error", *self.arguments]
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


class Cluster:
    """Some members that know one another."""

    def __init__(
        self, folder: Path, size: int, arguments: Sequence[str] = (), scheme: str = "http"
    ) -> None:
        ports = free_ports(2 * size)
        self.members = [
            Member(f"m{n}", folder, ports[2 * n], ports[2 * n + 1], arguments, scheme)
            for n in range(size)
        ]

    @property
    def endpoints(self) -> list[str]:
        return [member.endpoint for member in self.members]

    def start(self, member: Member) -> None:
        member.start(",".join(one.peer for one in self.members))


@contextmanager
def running(
    folder: Path, size: int = 1, arguments: Sequence[str] = (), scheme: str = "http"
) -> Iterator[Cluster]:
    """A cluster that is being started: who asks it waits for its first election."""
    cluster = Cluster(folder, size, arguments, scheme)
    try:
        for member in cluster.members:
            cluster.start(member)
        yield cluster
    finally:
        for member in cluster.members:
            if member.process is not None:
                member.kill()
