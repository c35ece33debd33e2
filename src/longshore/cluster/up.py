"""Bring a local cluster up: files, certificates, namespaces, then one fork for each process.

`up` is the warm parent: it imports what the server and the agents need once, freezes the collector
and forks them, so that a node costs milliseconds and shares its pages with the others.
"""

from __future__ import annotations

import gc
import os
import select
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from longshore.base.addresses import API_PORT, API_SERVICE_ADDRESS, LAN_GATEWAY
from longshore.base.clock import SystemClock
from longshore.base.files import write_private
from longshore.cluster import admission, audit, authorizers, doctor, encryption, issuers, kubeconfig
from longshore.cluster.config import (
    NODES_MAX,
    ClusterConfig,
    ClusterError,
    ClusterPaths,
    Unready,
    check_name,
    default_root,
)
from longshore.cluster.probe import await_nodes
from longshore.cluster.processes import Process, recorded, spawn
from longshore.core.pki.authority import Authority
from longshore.machinery.network.ranges import node_net

API_NAMES = (
    "127.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local", API_SERVICE_ADDRESS, LAN_GATEWAY,
)  # fmt: skip
MASTERS = "system:masters"
Phase = Callable[[str], AbstractContextManager[None]]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class UpRequest:
    """What the command line asked for."""

    name: str = "default"
    nodes: int = 1
    runtime: str = "oci"
    uplink: str = "user"
    root: Path | None = None
    merge: bool = True
    wait_s: float = 60.0
    node_grace_s: float = 40.0
    audit_policy: Path | None = None
    authentication_config: Path | None = None
    authorization_config: Path | None = None
    enable_admission: tuple[str, ...] = ()
    disable_admission: tuple[str, ...] = ()
    admission_config: Path | None = None
    encryption_config: Path | None = None


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


def up(request: UpRequest, phase: Phase, warn: Say) -> UpResult:
    """Start a new cluster and wait for its nodes. warn hears, in a sentence, of what was asked for
    and is left out. Raises ClusterError."""
    root = (request.root or default_root()).absolute()
    paths = ClusterPaths(root, check_name(request.name))
    if not 1 <= request.nodes <= NODES_MAX:
        raise ClusterError(f"--nodes {request.nodes}: a cluster here has 1 to {NODES_MAX} nodes")
    doctor.require(request.runtime)
    if not 1 <= request.node_grace_s <= 86400:
        raise ClusterError(f"--node-grace {request.node_grace_s:g}: use 1 to 86400 seconds")
    if request.audit_policy is not None:
        audit.check(request.audit_policy)
    if request.authentication_config is not None:
        issuers.read(request.authentication_config)
    if request.authorization_config is not None:
        authorizers.read(request.authorization_config)
    if request.encryption_config is not None:
        encryption.read(request.encryption_config)
    admission.read(request.enable_admission, request.disable_admission, request.admission_config)
    if paths.config.exists():
        raise ClusterError(
            f"there is a cluster {request.name!r} already: longshore start, down, or another --name"
        )
    listener = _listen(0)
    config = ClusterConfig(
        name=request.name,
        nodes=request.nodes,
        runtime=request.runtime,
        uplink=_uplink(request, warn),
        port=listener.getsockname()[1],
        node_grace_s=request.node_grace_s,
        enable_admission=request.enable_admission,
        disable_admission=request.disable_admission,
    )
    paths.create()
    paths.save(config)
    for file, kept in (
        (request.audit_policy, paths.audit_policy),
        (request.authentication_config, paths.authentication),
        (request.authorization_config, paths.authorization),
        (request.admission_config, paths.admission),
        (request.encryption_config, paths.encryption),
    ):
        if file is not None:
            write_private(kept, file.read_bytes())
    return _Start(config, paths, listener, _Timer(phase)).run(request.wait_s, request.merge)


def _uplink(request: UpRequest, warn: Say) -> str:
    """The uplink that can be had: a cluster without one is better than none."""
    if request.uplink == "none" or request.runtime == "hollow":
        return "none"
    if doctor.found("pasta"):
        return request.uplink
    warn(
        "pods will not reach the outside, for there is no pasta: install passt "
        "(longshore doctor --install) before the next up, or say --uplink none"
    )
    return "none"


def start(name: str, root: Path | None, wait_s: float, phase: Phase) -> UpResult:
    """Start a stopped cluster, or the processes that one lacks. Raises ClusterError."""
    paths = ClusterPaths((root or default_root()).absolute(), check_name(name))
    config = paths.load()
    if paths.restoring.exists():
        raise ClusterError(
            f"{name!r} is half restored, from {paths.restoring.read_text()}: "
            "longshore restore that file again"
        )
    doctor.require(config.runtime)
    alive = {process.role for process in recorded(paths.processes) if process.alive}
    listener = None if "server" in alive else _listen(config.port)
    start = _Start(config, paths, listener, _Timer(phase))
    return start.run(wait_s, merge=kubeconfig.mentions(config.context, kubeconfig.user_file()))


class _Timer:
    """Phases, as they are shown and as they are told afterwards."""

    def __init__(self, phase: Phase) -> None:
        self._phase = phase
        self._clock = SystemClock()
        self._begun = self._clock.monotonic()
        self.seconds: dict[str, float] = {}

    def __call__(self, key: str, what: str, work: Callable[[], None]) -> None:
        begun = self._clock.monotonic()
        with self._phase(what):
            work()
        self.seconds[key] = round(self._clock.monotonic() - begun, 4)

    def all(self) -> dict[str, float]:
        return {**self.seconds, "total": round(self._clock.monotonic() - self._begun, 4)}


class _Start:
    """One start of a cluster. listener is None if its server runs already."""

    def __init__(
        self,
        config: ClusterConfig,
        paths: ClusterPaths,
        listener: socket.socket | None,
        timer: _Timer,
    ) -> None:
        self._config = config
        self._paths = paths
        self._listener = listener
        self._timer = timer
        self._news, self._tell = os.pipe()
        self._heard = b""
        self._inside: list[socket.socket] = []
        self._alive = {process.role for process in recorded(paths.processes) if process.alive}

    def run(self, wait_s: float, merge: bool) -> UpResult:
        config = self._config
        self._timer("certificates", "certificates", self._certificates)
        if not config.hollow:
            self._timer("network", f"network for {config.nodes} nodes", self._network)
        self._timer("processes", "processes", self._processes)
        if self._listener is not None:
            self._timer("server", "API server", lambda: self._await("serving", wait_s))
        what = f"{config.nodes} nodes Ready" if config.nodes > 1 else "node Ready"
        self._timer("nodes", what, lambda: self._await_nodes(wait_s))
        if merge:
            content = kubeconfig.kubeconfig(config, self._authority.pair.certificate, self._admin)
            kubeconfig.merge(content, kubeconfig.user_file())
        return UpResult(
            config.name, config.server, str(self._paths.kubeconfig), config.context, config.nodes,
            self._timer.all(),
        )  # fmt: skip

    def _certificates(self) -> None:
        config, pki = self._config, self._paths.pki
        self._authority = Authority(pki, SystemClock())
        self._authority.server("server", API_NAMES)
        self._authority.client("server-to-nodes", "longshore:server", [MASTERS])
        self._admin = self._authority.client("admin", "longshore:admin", [MASTERS])
        for number, node in enumerate(config.node_names, 1):
            if not config.hollow:
                self._authority.client(f"{node}-client", f"system:node:{node}", ["system:nodes"])
                self._authority.server(f"{node}-server", [node_net(node, number).lan_ip, node])
        content = kubeconfig.kubeconfig(config, self._authority.pair.certificate, self._admin)
        write_private(self._paths.kubeconfig, kubeconfig.render(content))

    def _network(self) -> None:
        """Also listens on the LAN at once: agents may call before the server answers."""
        from longshore.cluster.machine import build_network, lan_listener

        build_network(self._config, self._paths)
        if self._listener is not None:
            self._inside = [lan_listener(self._paths, (LAN_GATEWAY, API_PORT))]

    def _processes(self) -> None:
        """Import what the children need, once, and fork them."""
        from longshore.cluster import server

        if not self._config.hollow:
            from longshore.cluster import agent
        gc.collect()
        gc.freeze()
        if self._listener is not None:
            listeners = [self._listener, *self._inside]
            self._spawn(
                "server", lambda: server.main(self._config, self._paths, listeners, self._tell)
            )
        # What is the server's alone must not stay open in an agent: a port would be held after the
        # server's end, and its silence not be noticed.
        self._let_go()
        if not self._config.hollow:
            for node in self._config.node_names:
                if node not in self._alive:
                    self._spawn(node, partial(agent.main, self._config, self._paths, node))

    def _let_go(self) -> None:
        os.close(self._tell)
        for listener in (self._listener, *self._inside):
            if listener is not None:
                listener.close()

    def _spawn(self, role: str, main: Callable[[], None]) -> Process:
        return spawn(role, self._paths.processes, self._paths.logs / f"{role}.log", main)

    def _await_nodes(self, wait_s: float) -> None:
        if self._listener is not None:
            self._await("ready", wait_s)
        else:
            await_nodes(self._config, self._paths, wait_s)

    def _await(self, word: str, wait_s: float) -> None:
        """Wait until the server says the word. Raises Unready."""
        clock = SystemClock()
        deadline = clock.monotonic() + wait_s
        while word.encode() not in self._heard.split(b"\n"):
            left = deadline - clock.monotonic()
            ready, _, _ = select.select([self._news], [], [], max(left, 0))
            if not ready:
                raise Unready(
                    f"not {word} after {wait_s:g} s; the reason should be in {self._paths.logs}; "
                    f"longshore down --name {self._config.name} removes what is there"
                )
            more = os.read(self._news, 4096)
            if not more:
                raise Unready(
                    f"the server ended while starting: {_last_line(self._paths.logs / 'server.log')}"
                )
            self._heard += more


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise ClusterError(
            f"port {port} on 127.0.0.1 is taken by another program ({error.strerror}): stop that one, then start again"
        ) from error
    listener.listen(1024)
    return listener


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text().strip().splitlines()
    except FileNotFoundError:
        lines = []
    return lines[-1] if lines else f"{log} is empty"
