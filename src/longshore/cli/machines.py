"""Commands for machines that join a cluster: be a node, and be none any more."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import click

from longshore.cli.cri import cri_options
from longshore.cli.nodes import wait_option

DIRECTORY = Path("/var/lib/longshore-agent")

directory_option = click.option(
    "--dir", "directory", default=DIRECTORY, show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the node keeps its certificate, images, containers and volumes.",
)  # fmt: skip

machine_option = click.option(
    "--dir", "directory", type=click.Path(path_type=Path, file_okay=False),
    help="The directory of a machine that joined, instead of a cluster's name.",
)  # fmt: skip


@click.command()
@click.option(
    "--join", "invitation", required=True, metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A bootstrap kubeconfig (longshore token create --file FILE).",
)  # fmt: skip
@click.option(
    "--node", default=socket.gethostname, show_default="the host's name",
    help="The name of the node that this machine becomes.",
)  # fmt: skip
@directory_option
@click.option(
    "--runtime", type=click.Choice(["oci", "cri", "hollow"]), default="oci", show_default=True,
    help="oci: conmon and runc; cri: containerd or CRI-O of this machine; hollow: pods run nothing.",
)  # fmt: skip
@cri_options
@click.option(
    "--node-ip", default="", metavar="IP",
    help="The address at which other machines reach this one. [default: the one from which it "
    "reaches the server]",
)  # fmt: skip
@click.option(
    "--shutdown-grace-period", "grace_s", default=30.0, show_default=True,
    help="Seconds that pods have together when the machine is shut down.",
)  # fmt: skip
@click.option(
    "--shutdown-grace-period-critical-pods", "critical_s", default=10.0, show_default=True,
    help="How many of these, the last ones, are for critical pods.",
)  # fmt: skip
@click.option(
    "--reserve", default="", metavar="LIST",
    help="What no pod gets: cpu=500m,memory=1Gi,ephemeral-storage=5Gi.",
)  # fmt: skip
@click.option(
    "--config", "settings", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="A KubeletConfiguration: eviction, reservations, logs, images, CPUs (docs/node-resources.md).",
)  # fmt: skip
@click.option(
    "--static-pods", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Manifests of pods that this node runs by itself. [default: static-pods below its directory]",
)  # fmt: skip
def agent(
    grace_s: float,
    critical_s: float,
    reserve: str,
    settings: Path | None,
    static_pods: Path | None,
    **options: Any,
) -> None:
    """Join a cluster as a node, and be it until interrupted. Its containers go on without it."""
    from longshore.cluster.agent.settings import resources_of
    from longshore.cluster.config import ClusterError
    from longshore.cluster.joining.run import JoinRequest, join
    from longshore.machinery.kubelet.config import bands

    if not 0 <= critical_s <= grace_s:
        raise ClusterError(
            "--shutdown-grace-period-critical-pods: use 0 to what --shutdown-grace-period is"
        )
    told: dict[str, Any] = {
        "shutdown": bands(grace_s, critical_s),
        "resources": resources_of(settings, reserve),
    }
    if static_pods is not None:
        told["static_pods"] = static_pods.absolute()
    join(JoinRequest(**options, kubelet=tuple(told.items())))


@click.command()
@directory_option
@wait_option
def shutdown(directory: Path, wait: float) -> None:
    """End this node's pods, the lowest priorities first, and then its agent: the machine is shut down.
    Units of longshore install-service do it by themselves."""
    from longshore.cluster.agent.shutting_down import of_machine

    of_machine(directory, wait)
    click.echo("all pods have ended, and the agent")


@click.command()
@directory_option
@click.option(
    "--list", "only_list", is_flag=True, help="Say what would be removed; remove nothing."
)
def leave(directory: Path, only_list: bool) -> None:
    """Be no node any more: end the agent and its pods, and remove all that they had here. The cluster
    keeps the Node until kubectl delete node."""
    from longshore.cluster.joining import leaving

    if only_list:
        for line in leaving.remains(directory):
            click.echo(line)
        return
    leaving.leave(directory)
    click.echo(f"{directory} is gone")
