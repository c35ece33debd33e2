"""Bring a local cluster up: files, certificates, namespaces, then one fork for each process.

`up` is the warm parent: it imports what the server and the agents need once, freezes the collector
and forks them, so that a node costs milliseconds and shares its pages with the others.
"""

from __future__ import annotations

import gc
import os
import select
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from longshore.base.addresses import API_SERVICE_ADDRESS, LAN_GATEWAY
from longshore.base.clock import SystemClock
from longshore.base.files import write_private
from longshore.base.users import SERVERS
from longshore.cluster import (
    containerd,
    doctor,
    encryption,
    etcd,
    kubeconfig,
)
from longshore.cluster.autoscale import settings as autoscaling
from longshore.cluster.config import (
    CONTAINERD,
    GATEWAY,
    NODES_MAX,
    PROVISIONER,
    Autoscaling,
    ClusterConfig,
    ClusterError,
    ClusterPaths,
    Unready,
    check_name,
    default_root,
)
from longshore.cluster.nodes.roster import locked
from longshore.cluster.probe import await_nodes
from longshore.cluster.process import BACKLOG
from longshore.cluster.processes import Process, recorded, spawn
from longshore.core.objects.rbac.platform import ADMINISTRATORS
from longshore.core.pki.authority import Authority
from longshore.core.pki.pairs import Pair
from longshore.core.pki.token_keys import TokenKeys
from longshore.machinery.election.plan import Rules
from longshore.machinery.network.ranges import node_net, server_net

API_NAMES = (
    "127.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local", API_SERVICE_ADDRESS, LAN_GATEWAY,
)  # fmt: skip
MASTERS = "system:masters"
SERVER_COUNTS = (1, 3)
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
    servers: int = 1
    election: Rules = field(default_factory=Rules)
    autoscale: Autoscaling | None = None

    @property
    def rules(self) -> bool:
        """Whether there is anything of who may what."""
        asked = (
            self.audit_policy,
            self.authentication_config,
            self.authorization_config,
            self.admission_config,
        )
        return any(asked) or bool(self.enable_admission or self.disable_admission)


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
    _check_nodes(request)
    doctor.require(request.runtime)
    _check_servers(request)
    _check_rules(request)
    if paths.config.exists():
        raise ClusterError(
            f"there is a cluster {request.name!r} already: longshore start, down, or another --name"
        )
    listener = _listen(0, shared=request.servers > 1)
    config = ClusterConfig(
        name=request.name,
        nodes=request.nodes,
        runtime=request.runtime,
        uplink=_uplink(request, warn),
        port=listener.getsockname()[1],
        node_grace_s=request.node_grace_s,
        enable_admission=request.enable_admission,
        disable_admission=request.disable_admission,
        servers=request.servers,
        election=request.election,
        autoscale=request.autoscale,
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


def _check_rules(request: UpRequest) -> None:
    """Who may what, as files tell it. Raises ClusterError. What reads them is the server's, and imported for
    those who have such files: the agents that are forked here would have it in memory as well."""
    if request.encryption_config is not None:
        encryption.read(request.encryption_config)
    if not request.rules:
        return
    from longshore.cluster import admission, audit, authorizers, issuers

    if request.audit_policy is not None:
        audit.check(request.audit_policy)
    if request.authentication_config is not None:
        issuers.read(request.authentication_config)
    if request.authorization_config is not None:
        authorizers.read(request.authorization_config)
    admission.read(request.enable_admission, request.disable_admission, request.admission_config)


def _check_nodes(request: UpRequest) -> None:
    """Raises ClusterError for what nodes cannot be."""
    if not 1 <= request.nodes <= NODES_MAX:
        raise ClusterError(f"--nodes {request.nodes}: a cluster here has 1 to {NODES_MAX} nodes")
    if not 1 <= request.node_grace_s <= 86400:
        raise ClusterError(f"--node-grace {request.node_grace_s:g}: use 1 to 86400 seconds")
    if request.autoscale is not None:
        autoscaling.check(request.autoscale, request.nodes)
        if request.runtime == "cri":
            raise ClusterError(
                "--autoscale is not there yet with --runtime cri: use oci, or add nodes by hand"
            )


def _check_servers(request: UpRequest) -> None:
    """Raises ClusterError for what several servers cannot do, here or at all."""
    if request.servers not in SERVER_COUNTS:
        raise ClusterError(
            f"--servers {request.servers}: a cluster here has 1 server, or 3, of which any may fail"
        )
    if fault := request.election.fault():
        raise ClusterError(f"--leader-elect: {fault}")
    if request.servers == 1:
        return
    etcd.require()
    if os.geteuid() != 0:
        raise ClusterError("several servers need root, for namespaces: run as root, or --servers 1")
    for file, option in (
        (request.authentication_config, "--authentication-config"),
        (request.authorization_config, "--authorization-config"),
    ):
        if file is not None:
            raise ClusterError(
                f"{option} is not there yet with --servers {request.servers}: its servers are in "
                "namespaces, from which an issuer or a webhook on this machine cannot be called"
            )


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
    lacking = not alive.issuperset(config.server_names)
    listener = _listen(config.port, shared=config.shared) if lacking else None
    start = _Start(config, paths, listener, _Timer(phase))
    return start.run(wait_s, merge=kubeconfig.mentions(config.context, kubeconfig.user_file()))


def make_machines(config: ClusterConfig, paths: ClusterPaths, nodes: Sequence[str]) -> None:
    """Make what is below some nodes of a running cluster, and do not wait for them."""
    _Start(config, paths, None, _Timer(lambda _: nullcontext())).machines(nodes)


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
    """One start of a cluster. listener is None if all its servers run already."""

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
            content = kubeconfig.kubeconfig(config, self._authority.pair.certificate, self._admin)
            kubeconfig.merge(content, kubeconfig.user_file())
        return UpResult(
            config.name, config.server, str(self._paths.kubeconfig), config.context, config.nodes,
            self._timer.all(),
        )  # fmt: skip

    def _certificates(self) -> None:
        config = self._config
        self._authority = certify_server(config, self._paths, addresses_of_servers(config))
        self._admin = Pair.named(self._paths.pki, "admin")
        for node, number in config.places.items():
            if config.has_lan:
                self._authority.client(f"{node}-client", f"system:node:{node}", ["system:nodes"])
                self._authority.server(f"{node}-server", [node_net(node, number).lan_ip, node])
        if config.shared:
            self._shared_secrets()

    def _shared_secrets(self) -> None:
        """What the only server makes when it starts, and several must find."""
        etcd.certify(self._config, self._paths, SystemClock())
        self._authority.client(GATEWAY, f"longshore:{GATEWAY}", [MASTERS])
        TokenKeys(self._paths.pki, SystemClock())
        encryption.of_cluster(self._paths)

    def _network(self) -> None:
        from longshore.cluster.machine import build_network

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
            from longshore.cluster import agent, hollow_agent  # noqa: F401 - for agents()

            _freeze()
            self.agents(self._config.node_names)
        self._servers()
        if self._config.has_lan:
            self._others()

    def _servers(self) -> None:
        if not self._listeners:
            return
        from longshore.cluster import server

        if self._config.shared:
            import_module("longshore.core.store.etcd.store")  # gRPC, once for all servers
        _freeze()
        for name in list(self._listeners):
            self._serve(name, server)

    def _others(self) -> None:
        """What a cluster with a LAN has besides."""
        from longshore.cluster import gateway
        from longshore.cluster.nodes import provisioner

        if PROVISIONER in self._config.roles and PROVISIONER not in self._alive:
            provision = partial(provisioner.main, self._paths, make_machines)
            self._spawn(PROVISIONER, provision)
        if GATEWAY in self._config.roles and GATEWAY not in self._alive:
            self._spawn(GATEWAY, partial(gateway.main, self._config, self._paths))

    def agents(self, nodes: Iterable[str]) -> None:
        """Fork the processes of nodes that have none."""
        from longshore.cluster import agent, hollow_agent

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
        own = [self._listener or _listen(self._config.port, shared=True)]
        self._listener = None
        if self._config.has_lan:
            from longshore.cluster.machine import lan_listener

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


class News:
    """How far a server is, as it tells through a pipe."""

    def __init__(self, name: str, pipe: int) -> None:
        self.name, self._pipe = name, pipe
        self._said = b""

    def fileno(self) -> int:
        return self._pipe

    @property
    def heard(self) -> list[str]:
        return self._said.decode().split("\n")

    def hear(self) -> bool:
        """Take in what it says now; False if it has ended."""
        more = os.read(self._pipe, 4096)
        self._said += more
        return bool(more)


def certify_server(
    config: ClusterConfig, paths: ClusterPaths, addresses: Sequence[str]
) -> Authority:
    """Make what is missing of what servers have, and the kubeconfigs; addresses are those that others
    know them by."""
    authority = Authority(paths.pki, SystemClock())
    authority.server("server", (*API_NAMES, *addresses))
    authority.client("server-to-nodes", "longshore:server", [SERVERS])
    authority.client("admin", "longshore:admin", [ADMINISTRATORS])
    authority.client("super-admin", "longshore:super-admin", [MASTERS])
    kubeconfig.write(config, paths)
    return authority


def addresses_of_servers(config: ClusterConfig) -> list[str]:
    """The addresses of several servers on the LAN, which their certificate names."""
    names = config.server_names if config.shared else []
    return [server_net(name, number).lan_ip for number, name in enumerate(names, 1)]


def _listen(port: int, *, shared: bool) -> socket.socket:
    """A socket that listens on 127.0.0.1. Several servers each have one at the same port: the kernel
    gives each of them a share of the connections, and all of them to those that are left. Such a
    one listens when its server can answer, for no connection shall wait that another could take."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise ClusterError(
            f"port {port} on 127.0.0.1 is taken by another program ({error.strerror}): stop that one, then start again"
        ) from error
    if not shared:
        listener.listen(BACKLOG)
    return listener


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text().strip().splitlines()
    except FileNotFoundError:
        lines = []
    return lines[-1] if lines else f"{log} is empty"
