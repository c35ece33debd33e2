"""What a local cluster is: its configuration, kept in cluster.json, and where its files are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from longshore.base.files import write_private
from longshore.machinery.controllers.nodegroups.rules import ScalingRules
from longshore.machinery.election.plan import Rules

NAME_FORM = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")
NODES_MAX = 200
# The process that joins the LAN of several servers to the machine.
GATEWAY = "gateway"
# The one that keeps the containerd of all nodes running.
CONTAINERD = "containerd"
# The one that makes machines when an autoscaler asks for them, and ends them.
PROVISIONER = "provisioner"


class ClusterError(Exception):
    """Something the person at the command line can mend; the message says what and how.

    ClusterError
    ├── UnknownCluster  no cluster of that name below the root
    └── Unready         the cluster did not come up in time
    """


class UnknownCluster(ClusterError): ...


class Unready(ClusterError): ...


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """An etcd that is not the cluster's own: its address (etcd://HOST:PORT,..., empty: none), PEM
    files of TLS (all three, or none), and as whom this server writes to it, which no other may."""

    address: str = ""
    authority: str = ""
    certificate: str = ""
    key: str = ""
    writer: str = ""


@dataclass(frozen=True, slots=True)
class Autoscaling:
    """Between how many nodes a cluster moves by itself, and how eagerly."""

    min_size: int
    max_size: int
    rules: ScalingRules = field(default_factory=ScalingRules)


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """One cluster. runtime is oci, cri or hollow; uplink is user or none; port is on 127.0.0.1;
    node_grace_s is how long a node may be silent before it counts as lost. enable_admission and
    disable_admission are names of admission plug-ins. servers is 1, whose store is embedded, or how
    many share the members of etcd, of which there are as many; election is by which rules one of
    them leads. store is an etcd of somebody else, which servers on other machines may share; addresses are
    those of this machine at which its server listens besides 127.0.0.1. roster has the names of its
    nodes with their numbers on the LAN, once nodes were added or removed; empty: node-1, node-2, ...
    autoscale: whether and how they come and go by themselves."""

    name: str
    nodes: int
    runtime: str
    uplink: str
    port: int
    node_grace_s: float = 40.0
    enable_admission: tuple[str, ...] = ()
    disable_admission: tuple[str, ...] = ()
    servers: int = 1
    election: Rules = field(default_factory=Rules)
    store: StoreConfig = field(default_factory=StoreConfig)
    addresses: tuple[str, ...] = ()
    roster: tuple[tuple[str, int], ...] = ()
    autoscale: Autoscaling | None = None

    @property
    def hollow(self) -> bool:
        return self.runtime == "hollow"

    @property
    def standalone(self) -> bool:
        """Whether its nodes are machines that join it, since it has none of its own."""
        return self.nodes == 0

    @property
    def context(self) -> str:
        """The name of its context, cluster and user in a kubeconfig."""
        return f"longshore-{self.name}"

    @property
    def places(self) -> dict[str, int]:
        """Its nodes by name, and the number of each on the LAN."""
        if self.roster:
            return dict(self.roster)
        return {f"node-{number}": number for number in range(1, self.nodes + 1)}

    @property
    def node_names(self) -> list[str]:
        return list(self.places)

    @property
    def shared(self) -> bool:
        """Whether several servers share a store."""
        return self.servers > 1

    @property
    def elects(self) -> bool:
        """Whether loops run where a Lease is held: there may be other servers."""
        return self.shared or bool(self.store.address)

    @property
    def has_lan(self) -> bool:
        """Whether its processes are in namespaces of their own."""
        return self.shared or not self.hollow

    @property
    def server_names(self) -> list[str]:
        return self._numbered("server") if self.shared else ["server"]

    @property
    def member_names(self) -> list[str]:
        return self._numbered("etcd") if self.shared else []

    @property
    def roles(self) -> list[str]:
        """All processes that the cluster should have. Hollow nodes live in the one server there is."""
        agents = [] if self.hollow and not self.shared else self.node_names
        gateway = [GATEWAY] if self.shared and not self.hollow else []
        provisioner = [PROVISIONER] if self.autoscale and self.has_lan else []
        containerd = [CONTAINERD] if self.runtime == "cri" else []
        return [
            *self.member_names, *self.server_names, *gateway, *provisioner, *containerd, *agents,
        ]  # fmt: skip

    def _numbered(self, what: str) -> list[str]:
        return [f"{what}-{number}" for number in range(1, self.servers + 1)]

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self.port}"


class ClusterPaths:
    """The files of one cluster, all below one directory of its own (mode 0700)."""

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        self.home = root / name
        self.config = self.home / "cluster.json"
        self.place = self.home / "node.json"
        self.store = self.home / "state" / "store.db"
        self.pki = self.home / "pki"
        self.etcd_pki = self.pki / "etcd"
        self.members = self.home / "etcd"
        self.kubeconfig = self.home / "kubeconfig"
        self.super_admin = self.home / "super-admin.kubeconfig"
        self.images = self.home / "images"
        self.namespaces = self.home / "ns"
        self.logs = self.home / "log"
        self.processes = self.home / "processes"
        self.uplink = self.home / "uplink.pid"
        self.restoring = self.home / "restoring"
        self.lock = self.home / "cluster.lock"
        self.authentication = self.home / "authentication.yaml"
        self.authorization = self.home / "authorization.yaml"
        self.admission = self.home / "admission.yaml"
        self.audit_policy = self.home / "audit-policy.yaml"
        self.encryption = self.home / "encryption.yaml"
        self.scheduler = self.home / "scheduler.yaml"
        self.audit_log = self.logs / "audit.log"

    @classmethod
    def of_machine(cls, directory: Path) -> ClusterPaths:
        """Those of a machine that joined a cluster, in a directory of any name."""
        home = directory.absolute()
        return cls(home.parent, home.name)

    def node(self, name: str) -> Path:
        return self.home / "nodes" / name

    def kubelet(self, name: str) -> Path:
        """The directory of a node's kubelet, with the sockets at which device plugins register."""
        return self.node(name) / "kubelet"

    @property
    def cgroup_parent(self) -> str:
        """The cgroup, in every hierarchy, below which all the cluster's processes are. It carries
        the root's identity too, so that clusters of one name under two roots do not meet."""
        digest = format(_fnv1a(str(self.root.resolve()).encode()), "08x")
        return f"longshore-{self.home.name}-{digest}"

    def create(self) -> None:
        for path in (self.home, self.pki, self.logs, self.processes, self.store.parent):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def save(self, config: ClusterConfig) -> None:
        write_private(self.config, orjson.dumps(asdict(config), option=orjson.OPT_INDENT_2))

    def load(self) -> ClusterConfig:
        """Raises UnknownCluster when there is none."""
        try:
            return config_of(orjson.loads(self.config.read_bytes()))
        except FileNotFoundError:
            known = ", ".join(sorted(names(self.root))) or "none"
            raise UnknownCluster(
                f"no cluster is called {self.home.name!r} in {self.root} (there: {known})"
            ) from None


def config_of(kept: dict[str, Any]) -> ClusterConfig:
    """What cluster.json says. Raises TypeError for what this version does not know."""
    election, store = Rules(**kept.pop("election", {})), StoreConfig(**kept.pop("store", {}))
    addresses = tuple(kept.pop("addresses", ()))
    roster = tuple((name, number) for name, number in kept.pop("roster", ()))
    parts = {"election": election, "store": store, "addresses": addresses, "roster": roster}
    return ClusterConfig(**{**kept, **parts, "autoscale": _autoscaling(kept.get("autoscale"))})


def _autoscaling(kept: dict[str, Any] | None) -> Autoscaling | None:
    if kept is None:
        return None
    return Autoscaling(**{**kept, "rules": ScalingRules(**kept["rules"])})


def default_root() -> Path:
    """Where clusters live: /var/lib/longshore for root, else the user's own data directory."""
    if os.geteuid() == 0:
        return Path("/var/lib/longshore")
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data) / "longshore"


def names(root: Path) -> Iterator[str]:
    """The clusters below a root, half-made ones too: down must be able to name them."""
    if root.is_dir():
        for path in root.iterdir():
            if NAME_FORM.fullmatch(path.name) and path.is_dir():
                yield path.name


def check_name(name: str) -> str:
    if not NAME_FORM.fullmatch(name):
        raise ClusterError(
            f"{name!r} is no name for a cluster: use up to 32 of a-z, 0-9 and -, "
            "beginning and ending with a letter or digit"
        )
    return name


def _fnv1a(data: bytes) -> int:
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value
