"""One start of a cluster: files, certificates, namespaces, then one fork for each process.

The process that starts it is the warm parent: it imports what the server and the agents need once, freezes
the collector and forks them, so that a node costs milliseconds and shares its pages with the others.
"""

from __future__ import annotations

import gc
import os
import select
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from longshore.base.clock import SystemClock
from longshore.cluster import kubeconfig
from longshore.cluster.client.probe import await_nodes
from longshore.cluster.config import (
    CONTAINERD,
    GATEWAY,
    PROVISIONER,
    ClusterConfig,
    ClusterPaths,
    Unready,
)
from longshore.cluster.host import containerd, etcd
from longshore.cluster.host.processes import Process, aside, recorded, spawn
from longshore.cluster.local.listening import News, listen
from longshore.cluster.local.phases import Timer
from longshore.cluster.nodes.roster import locked
from longshore.core.pki.pairs import Pair


@dataclass(frozen=True, slots=True)
class UpResult:
    """What `up --json` prints. seconds has each phase's time, and their total."""

    name: str
    server: str
    kubeconfig: str
    context: str
    nodes: int
    seconds: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Start:
    """One start of a cluster. listener is None if all its servers run already."""

    def __init__(
        self,
        config: ClusterConfig,
        paths: ClusterPaths,
        listener: socket.socket | None,
        timer: Timer,
    ) -> None:
        self._config = config
        self._paths = paths
        self._listener = listener
        self._timer = timer
        self._news: dict[str, News] = {}
        # Of servers that are still to be forked.
        self._listeners: dict[str, list[socket.socket]] = {}
        self._alive = {process.role for process in recorded(paths.processes) if process.alive}

    def run(self, wait_s: float, merge: bool) -> UpResult:
        config = self._config
        self._timer("certificates", "certificates", self._certificates)
        if config.has_lan:
            self._timer("network", f"network for {config.nodes} nodes", self._network)
        if config.shared:
            what = f"{config.servers} members of etcd"
            self._timer("etcd", what, self._members)
        self._timer("processes", "processes", self._processes)
        if self._news:
            what = f"{config.servers} API servers" if config.shared else "API server"
            self._timer("server", what, lambda: self._await("serving", wait_s))
        what = f"{config.nodes} nodes Ready" if config.nodes > 1 else "node Ready"
        self._timer("nodes", what, lambda: self._await_nodes(wait_s))
        if merge:
            pki = self._paths.pki
            shown = Pair.named(pki, "admin")
            content = kubeconfig.kubeconfig(config, Pair.named(pki, "ca").certificate, shown)
            kubeconfig.merge(content, kubeconfig.user_file())
        return UpResult(
            config.name, config.server, str(self._paths.kubeconfig), config.context, config.nodes,
            self._timer.all(),
        )  # fmt: skip

    def _certificates(self) -> None:
        aside(self._certify)

    def _certify(self) -> None:
        from longshore.cluster.local import certificates

        certificates.make(self._config, self._paths)

    def _network(self) -> None:
        from longshore.cluster.host.machine import build_network

        with locked(self._paths):
            build_network(self._config, self._paths)

    def _members(self) -> None:
        """They elect one of them while what follows is imported."""
        self._paths.members.mkdir(mode=0o700, exist_ok=True)
        for name in self._config.member_names:
            if name not in self._alive:
                self._spawn(name, partial(etcd.main, self._config, self._paths, name))

    def _processes(self) -> None:
        """Import what the children need, once, and fork them; containerd starts meanwhile. Agents come
        first: they have no use for what servers import, and it would be in their memory too."""
        if CONTAINERD in self._config.roles and CONTAINERD not in self._alive:
            self._paths.images.mkdir(mode=0o700, exist_ok=True)  # of pulls' records alone
            self._spawn(CONTAINERD, partial(containerd.main, self._paths))
        for name in self._config.server_names:
            if name not in self._alive:
                self._listeners[name] = self._listen_for(name)
        if self._config.has_lan:
            from longshore.cluster.agent import hollow as hollow_agent  # noqa: F401 - for agents()

            _freeze()
            self.agents(self._config.node_names)
        self._servers()
        if self._config.has_lan:
            self._others()

    def _servers(self) -> None:
        if not self._listeners:
            return
        from longshore.cluster.server import run as server

        if self._config.shared:
            import_module("longshore.core.store.etcd.store")  # gRPC, once for all servers
        _freeze()
        for name in list(self._listeners):
            self._serve(name, server)

    def _others(self) -> None:
        """What a cluster with a LAN has besides."""
        from longshore.cluster.host import gateway
        from longshore.cluster.nodes import provisioner

        if PROVISIONER in self._config.roles and PROVISIONER not in self._alive:
            provision = partial(provisioner.main, self._paths, make_machines)
            self._spawn(PROVISIONER, provision)
        if GATEWAY in self._config.roles and GATEWAY not in self._alive:
            self._spawn(GATEWAY, partial(gateway.main, self._config, self._paths))

    def agents(self, nodes: Iterable[str]) -> None:
        """Fork the processes of nodes that have none."""
        from longshore.cluster.agent import hollow as hollow_agent
        from longshore.cluster.agent import run as agent

        main = hollow_agent.main if self._config.hollow else agent.main
        for node in nodes:
            if node not in self._alive:
                self._spawn(node, partial(main, self._config, self._paths, node))

    def machines(self, nodes: Sequence[str]) -> None:
        """What there must be below some nodes of a running cluster."""
        self._certificates()
        self._network()
        self.agents(nodes)

    def _listen_for(self, name: str) -> list[socket.socket]:
        """Where a server will be called. On the LAN it listens at once: agents may call before it answers."""
        own = [self._listener or listen(self._config.port, shared=True)]
        self._listener = None
        if self._config.has_lan:
            from longshore.cluster.host.machine import lan_listener

            own.append(lan_listener(self._config, self._paths, name))
        return own

    def _serve(self, name: str, server: ModuleType) -> None:
        """Fork a server."""
        own = self._listeners.pop(name)
        news, tell = os.pipe()
        place = server.Place(name, own, tell)
        self._spawn(name, lambda: server.main(self._config, self._paths, place))
        self._news[name] = News(name, news)
        os.close(tell)
        for one in own:
            one.close()

    def _spawn(self, role: str, main: Callable[[], None]) -> Process:
        others = [one for own in self._listeners.values() for one in own]
        return spawn(
            role, self._paths.processes, self._paths.logs / f"{role}.log", _without(others, main)
        )

    def _await_nodes(self, wait_s: float) -> None:
        if self._news:
            self._await("ready", wait_s)
        else:
            await_nodes(self._config, self._paths, wait_s)

    def _await(self, word: str, wait_s: float) -> None:
        """Wait until each server says the word. Raises Unready."""
        clock = SystemClock()
        deadline = clock.monotonic() + wait_s
        while silent := [one for one in self._news.values() if word not in one.heard]:
            left = deadline - clock.monotonic()
            ready, _, _ = select.select(silent, [], [], max(left, 0))
            if not ready:
                raise Unready(
                    f"not {word} after {wait_s:g} s; the reason should be in {self._paths.logs}; "
                    f"longshore down --name {self._config.name} removes what is there"
                )
            for one in ready:
                if not one.hear():
                    log = self._paths.logs / f"{one.name}.log"
                    raise Unready(f"the server ended while starting: {_last_line(log)}")


def make_machines(config: ClusterConfig, paths: ClusterPaths, nodes: Sequence[str]) -> None:
    """Make what is below some nodes of a running cluster, and do not wait for them."""
    Start(config, paths, None, Timer(lambda _: nullcontext())).machines(nodes)


def _freeze() -> None:
    """What is there is not looked through by the collectors of those who are forked."""
    gc.collect()
    gc.freeze()


def _without(others: Sequence[socket.socket], main: Callable[[], None]) -> Callable[[], None]:
    """A child's work that begins with the end of its copies of what is others' alone: a port would be
    held after the server's end, and its silence not be noticed."""

    def begin() -> None:
        for one in others:
            one.close()
        main()

    return begin


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text().strip().splitlines()
    except FileNotFoundError:
        lines = []
    return lines[-1] if lines else f"{log} is empty"
