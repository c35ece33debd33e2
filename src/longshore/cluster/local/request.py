"""What `longshore up` is asked for, and whether it can be had."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from longshore.cluster import doctor
from longshore.cluster.autoscale import settings as autoscaling
from longshore.cluster.config import (
    NODES_MAX,
    Autoscaling,
    ClusterError,
)
from longshore.cluster.host import etcd
from longshore.machinery.election.plan import Rules

SERVER_COUNTS = (1, 3)


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


def check(request: UpRequest) -> None:
    """Raises ClusterError, in the order in which one would mend it."""
    _check_nodes(request)
    doctor.require(request.runtime)
    _check_servers(request)
    _check_rules(request)


def _check_rules(request: UpRequest) -> None:
    """Who may what, as files tell it. Raises ClusterError. What reads them is the server's, and imported for
    those who have such files: the agents that are forked here would have it in memory as well."""
    if request.encryption_config is not None:
        from longshore.cluster.settings import encryption

        encryption.read(request.encryption_config)
    if not request.rules:
        return
    from longshore.cluster.settings import admission, audit, authorizers, issuers

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
