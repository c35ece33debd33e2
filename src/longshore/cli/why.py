"""`longshore why`: how every rule of the scheduler sees every node for one pod."""

from __future__ import annotations

from typing import Any

import click

from longshore.cli.options import access_options, echo_json, json_option, profiles_option


@click.command()
@click.argument("pod")
@click.option("-n", "--namespace", help="The pod's. [default: the context's]")
@click.option("--node", help="Everything about one node, rule by rule.")
@access_options
@profiles_option
@json_option
def why(pod: str, node: str | None, as_json: bool, access: Any, **options: Any) -> None:
    """Say why POD is where it is, or why no node takes it: each rule's verdict and score for each
    node, as if it were placed now."""
    from longshore.cluster.config import ClusterError
    from longshore.cluster.why import report
    from longshore.cluster.why.run import why as answered

    answer = answered(
        access, options["namespace"] or access.namespace, pod, options["profiles"](access)
    )
    try:
        if as_json:
            echo_json((answer.only(node) if node else answer).as_dict())
        else:
            click.echo(report.of_node(answer, node) if node else report.as_text(answer))
    except KeyError:
        raise ClusterError(f'nodes "{node}" not found') from None
