"""`longshore usage`: what projects used, and what they requested of it."""

from __future__ import annotations

from typing import Any

import click

from longshore.cli.options import access_options, echo_json, json_option


@click.command()
@click.option("--project", help="One namespace, over time. [default: a line for each]")
@click.option("--since", default="24h", show_default=True, help="How far back: 90m, 24h, 7d, 730d.")
@access_options
@json_option
def usage(project: str | None, since: str, as_json: bool, access: Any) -> None:
    """Say what projects used: cpu, memory, storage and pods, and what was requested. Of a day each
    minute is kept, of a fortnight each quarter of an hour, of two years each six hours."""
    from longshore.cli.report import table
    from longshore.cluster.durations import seconds
    from longshore.cluster.usage import report, run

    since_s = seconds(since, "--since")
    if project is not None:
        found = run.of_project(access, project, since_s)
        if as_json:
            echo_json(found)
        else:
            click.echo(report.of_project(found, since))
        return
    projects = run.of_all(access, since_s)
    if as_json:
        echo_json({"projects": projects})
    else:
        click.echo(table([report.TITLES, *map(report.row, projects)]))
