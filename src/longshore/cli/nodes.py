"""`longshore node`: nodes that come and go while a cluster runs."""

from __future__ import annotations

from pathlib import Path

import click

from longshore.cli.options import chosen, echo_json, json_option, name_option, root_option

wait_option = click.option(
    "--wait", default=120.0, show_default=True, help="Seconds to wait until the agent has ended."
)


@click.group()
def node() -> None:
    """Add nodes to a running cluster, remove them, list them."""


@node.command("add")
@click.argument("node_name", metavar="[NAME]", default="")
@click.option(
    "--count", default=1, show_default=True, type=click.IntRange(1, 200),
    help="How many, if they have no NAME: they are called node-N.",
)  # fmt: skip
@click.option("--wait", default=60.0, show_default=True, help="Seconds to wait for the nodes.")
@name_option
@root_option
@json_option
def node_add(
    node_name: str, count: int, wait: float, name: str, root: Path | None, as_json: bool
) -> None:
    """Add a node, or several. They are there after stop and start too."""
    from longshore.cli.report import Report
    from longshore.cluster.local.node_changes import Where, add

    report = Report(quiet=as_json)
    added, result = add(Where(name, root), node_name, count, wait, report.phase)
    if as_json:
        echo_json({"added": added, "nodes": result.nodes, "seconds": result.seconds})
    else:
        click.echo(f"{', '.join(added)}: {name} has {result.nodes} nodes")


@node.command("shutdown")
@click.argument("node_name", metavar="NAME")
@wait_option
@name_option
@root_option
def node_shutdown(node_name: str, wait: float, name: str, root: Path | None) -> None:
    """Do as if the node's machine was shut down: its pods end, the lowest priorities first, and then its
    agent. longshore start brings it back."""
    from longshore.cluster.agent.shutting_down import of_cluster

    of_cluster(name, root, node_name, wait)
    click.echo(f"{node_name} is shut down; longshore start{chosen(name, root)} brings it back")


@node.command("remove")
@click.argument("node_name", metavar="NAME")
@click.option(
    "--force", is_flag=True,
    help="End pods that nobody makes again too, and those that a PodDisruptionBudget keeps.",
)  # fmt: skip
@click.option(
    "--delete-emptydir-data", "local_data", is_flag=True,
    help="End pods with data in emptyDir volumes too.",
)  # fmt: skip
@click.option(
    "--wait", default=300.0, show_default=True, help="Seconds to wait until its pods are gone."
)
@name_option
@root_option
def node_remove(
    node_name: str, force: bool, local_data: bool, wait: float, name: str, root: Path | None
) -> None:
    """Cordon a node, evict its pods as PodDisruptionBudgets allow, and take it away."""
    from longshore.cluster.local.node_changes import Where, remove
    from longshore.cluster.nodes.drain import Consent

    remove(Where(name, root), node_name, Consent(force, local_data), wait, click.echo)


@node.command("list")
@name_option
@root_option
@json_option
def node_list(name: str, root: Path | None, as_json: bool) -> None:
    """The nodes of a cluster."""
    from longshore.cli.report import table
    from longshore.cluster.local.node_changes import Where, listed

    found = listed(Where(name, root))
    if as_json:
        echo_json({"nodes": found})
        return
    rows = [("NAME", "STATUS", "ADDRESS", "PODS", "PID", "KUBELET")]
    rows += [
        (one["name"], one["status"], one["address"], str(one["pods"]), str(one["pid"] or "-"),
         one["kubelet"] or "-")
        for one in found
    ]  # fmt: skip
    click.echo(table(rows))
