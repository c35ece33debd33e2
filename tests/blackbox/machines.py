"""Network namespaces that stand for machines: on two networks with a router between, each with a process
of ours. Nothing of it is seen outside of them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from longshore.base.clock import SystemClock
from longshore.machinery.network import namespaces
from longshore.machinery.runtime.cri.containerd import Containerd

from .driver import kubectl_program

LONGSHORE = str(Path(sys.executable).with_name("longshore"))
# Machine, its network, and its address there.
MACHINES = {
    "server": (1, "10.99.1.10"), "near": (1, "10.99.1.11"), "other": (1, "10.99.1.12"),
    "far": (2, "10.99.2.13"),
}  # fmt: skip
_ROUTER = "router"


def run(*command: str, code: int | None = 0) -> str:
    """What a command prints; it must end with that code."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert code is None or done.returncode == code, (command, done.stdout, done.stderr)
    return done.stdout


@dataclass
class Machines:
    """Four machines below a directory; the first one is a server."""

    home: Path
    agents: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    words: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What agents are told besides."""

    def at(self, machine: str, *command: str, code: int | None = 0) -> str:
        """Run a command on a machine."""
        return run(*self._on(machine), *command, code=code)

    def longshore(self, machine: str, *words: str) -> str:
        return self.at(machine, LONGSHORE, *words)

    def kubectl(self, *words: str, stdin: str | None = None, code: int | None = 0) -> str:
        kubeconfig = str(self.home / "root" / "m" / "kubeconfig")
        command = [*self._on("server"), kubectl_program(), "--kubeconfig", kubeconfig, *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=180)
        assert code is None or done.returncode == code, (words, done.stdout, done.stderr)
        return done.stdout

    def get(self, *words: str) -> Any:
        return orjson.loads(self.kubectl("get", *words, "-o", "json"))

    def apply(self, *manifests: dict[str, Any]) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": manifests}
        self.kubectl("apply", "-f", "-", stdin=orjson.dumps(listed).decode())

    def directory(self, machine: str) -> Path:
        return self.home / machine

    def start(self, machine: str, *words: str) -> subprocess.Popen[bytes]:
        """Begin something of ours there that stays, its words in a log."""
        with (self.home / f"{machine}.log").open("ab") as log:
            command = [*self._on(machine), LONGSHORE, *words]
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self.agents[machine] = process
        return process

    def join(self, machine: str, *words: str) -> None:
        home = str(self.directory(machine))
        invited = ("agent", "--join", str(self.home / "join.yaml"), "--node", machine)
        self.start(machine, *invited, "--dir", home, *self.words.get(machine, ()), *words)

    def kill(self, machine: str) -> None:
        """SIGKILL its agent or server."""
        process = self.agents.pop(machine)
        process.kill()
        process.wait(60)

    def leave(self, machine: str) -> None:
        """Be no node any more, if it was one."""
        if machine in self.agents:
            self.kill(machine)
        if self.directory(machine).exists():
            self.longshore(machine, "leave", "--dir", str(self.directory(machine)))

    def said(self, machine: str) -> str:
        file = self.home / f"{machine}.log"
        return file.read_text() if file.exists() else ""

    def _on(self, machine: str) -> list[str]:
        return ["nsenter", f"--net={self.home / 'ns' / machine}"]


@contextmanager
def machines(home: Path) -> Iterator[Machines]:
    """The machines, plugged in, with nothing running; whatever ran on them is gone afterwards."""
    world = Machines(home)
    try:
        _plug(world)
        yield world
    finally:
        for name in list(world.agents):
            world.kill(name)
        for name in MACHINES:
            world.leave(name)
        for name in (*MACHINES, _ROUTER):
            namespaces.delete(home / "ns" / name)


@contextmanager
def containerd_at(world: Machines, machine: str, image: Path) -> Iterator[Containerd]:
    """A containerd as a machine's administrator has set it up: without CNI, and with that image."""
    containerd = Containerd(world.home / f"{machine}-cri")
    containerd.configure()
    for file in (containerd.home / "cni").glob("*/*"):
        file.unlink()
    netns = f"--net={world.home / 'ns' / machine}"
    with (containerd.home / "log").open("wb") as log:
        command = ["nsenter", netns, *containerd.command()]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        assert asyncio.run(containerd.listening(SystemClock(), 60))
        containerd.make_pause_image()
        containerd.load(image)
        yield containerd
    finally:
        world.leave(machine)  # while there is somebody who can end its pods
        process.kill()
        process.wait()
        containerd.clear("/longshore-test-machine")


def on(containerd: Containerd) -> tuple[str, ...]:
    """What an agent is told of it."""
    cni = containerd.home / "cni"
    return (
        "--runtime", "cri", "--runtime-endpoint", containerd.endpoint,
        "--cni-conf-dir", str(cni / "net.d"), "--cni-bin-dir", str(cni / "bin"),
    )  # fmt: skip


def _plug(world: Machines) -> None:
    for name in (*MACHINES, _ROUTER):
        namespaces.create(world.home / "ns" / name)
        world.at(name, "ip", "link", "set", "lo", "up")
    world.at(_ROUTER, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    for number in (1, 2):
        bridge = f"lan{number}"
        world.at(_ROUTER, "ip", "link", "add", bridge, "up", "type", "bridge")
        world.at(_ROUTER, "ip", "address", "add", f"10.99.{number}.1/24", "dev", bridge)
    for name, (number, address) in MACHINES.items():
        _plug_in(world, name, number, address)


def _plug_in(world: Machines, name: str, number: int, address: str) -> None:
    there = os.open(world.home / "ns" / name, os.O_RDONLY)
    try:
        end = f"/proc/{os.getpid()}/fd/{there}"
        world.at(
            _ROUTER, "ip", "link", "add", name, "up", "master", f"lan{number}", "type", "veth",
            "peer", "name", "eth0", "netns", end,
        )  # fmt: skip
    finally:
        os.close(there)
    world.at(name, "ip", "link", "set", "eth0", "up")
    world.at(name, "ip", "address", "add", f"{address}/24", "dev", "eth0")
    world.at(name, "ip", "route", "add", "default", "via", f"10.99.{number}.1")


def serve(world: Machines) -> None:
    """Start the server, and have it invite machines once it answers."""
    root = str(world.home / "root")
    address = MACHINES["server"][1]
    before = world.said("server").count("serving")
    server = world.start("server", "server", "--root", root, "--name", "m", "--address", address)
    clock = SystemClock()
    deadline = clock.monotonic() + 120
    while world.said("server").count("serving") == before:
        assert server.poll() is None and clock.monotonic() < deadline, world.said("server")
        run("sleep", "0.05")
    file = str(world.home / "join.yaml")
    world.longshore("server", "token", "create", "--root", root, "--name", "m", "--file", file)
