"""Bring a local cluster up: a new one, or one that was stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from longshore.base.files import write_private
from longshore.cluster import doctor, kubeconfig
from longshore.cluster.config import (
    ClusterConfig,
    ClusterError,
    ClusterPaths,
    check_name,
    default_root,
)
from longshore.cluster.host.ports import free_port
from longshore.cluster.host.processes import recorded
from longshore.cluster.local.listening import listen
from longshore.cluster.local.phases import Phase, Timer
from longshore.cluster.local.request import UpRequest, check
from longshore.cluster.local.starting import Start, UpResult

Say = Callable[[str], None]


def up(request: UpRequest, phase: Phase, warn: Say) -> UpResult:
    """Start a new cluster and wait for its nodes. warn hears, in a sentence, of what was asked for
    and is left out. Raises ClusterError."""
    root = (request.root or default_root()).absolute()
    paths = ClusterPaths(root, check_name(request.name))
    check(request)
    if paths.config.exists():
        raise ClusterError(
            f"there is a cluster {request.name!r} already: longshore start, down, or another --name"
        )
    listener = listen(free_port(paths), shared=request.servers > 1)
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
    return Start(config, paths, listener, Timer(phase)).run(request.wait_s, request.merge)


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
    listener = listen(config.port, shared=config.shared) if lacking else None
    start = Start(config, paths, listener, Timer(phase))
    return start.run(wait_s, merge=kubeconfig.mentions(config.context, kubeconfig.user_file()))


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
