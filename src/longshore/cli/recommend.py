"""`longshore recommend`: what workloads should request."""

from __future__ import annotations

from typing import Any

import click

from longshore.cli.options import access_options, echo_json, json_option


@click.command()
@click.argument("workload", required=False, metavar="[KIND/NAME]")
@click.option("-n", "--namespace", help="The workload's. [default: the context's]")
@click.option(
    "--min-history", default="24h", show_default=True,
    help="Recommend nothing for what was measured for less than that.",
)  # fmt: skip
@click.option("--patch", "as_patch", is_flag=True, help="Print kubectl commands; run none.")
@access_options
@json_option
def recommend(
    workload: str | None, as_patch: bool, as_json: bool, access: Any, **options: Any
) -> None:
    """Say what the containers of KIND/NAME, or of all workloads of a namespace, should request, by what
    they were seen to use: as the Vertical Pod Autoscaler reckons it. Changes nothing."""
    from longshore.cli.report import table
    from longshore.cluster.durations import seconds
    from longshore.cluster.recommend import report, run

    needed_s = seconds(options["min_history"], "--min-history")
    namespace = options["namespace"] or access.namespace
    if workload is None:
        found = run.for_namespace(access, namespace, needed_s)
    else:
        found = run.for_workload(access, namespace, workload, needed_s)
    if as_json:
        echo_json({"recommendations": [report.as_dict(one, needed_s) for one in found]})
        return
    if as_patch:
        click.echo("\n".join(report.commands(found)))
    elif known := [one for one in found if one.target is not None]:
        click.echo(table([report.TITLES, *map(report.row, known)]))
    elif not found:
        click.echo(f"no workload of {namespace} was measured yet: {run.MEASURED}")
    for line in report.notes(found, needed_s):
        click.echo(line, err=True)
