"""Commands for machines that join a cluster: be a node, and be none any more."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import click

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
    "--runtime", type=click.Choice(["oci", "hollow"]), default="oci", show_default=True,
    help="oci: conmon and runc; hollow: pods run nothing.",
)  # fmt: skip
@click.option(
    "--node-ip", default="", metavar="IP",
    help="The address at which other machines reach this one. [default: the one from which it "
    "reaches the server]",
)  # fmt: skip
def agent(**options: Any) -> None:
    """Join a cluster as a node, and be it until interrupted. Its containers go on without it."""
    from longshore.cluster.joining import JoinRequest, join

    join(JoinRequest(**options))


@click.command()
@directory_option
@click.option(
    "--list", "only_list", is_flag=True, help="Say what would be removed; remove nothing."
)
def leave(directory: Path, only_list: bool) -> None:
    """Be no node any more: end the agent and its pods, and remove all that they had here. The cluster
    keeps the Node until kubectl delete node."""
    from longshore.cluster import leaving

    if only_list:
        for line in leaving.remains(directory):
            click.echo(line)
        return
    leaving.leave(directory)
    click.echo(f"{directory} is gone")
