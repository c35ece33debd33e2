"""`longshore rebalance`: moves that would make a cluster more even."""

from __future__ import annotations

from typing import Any

import click

from longshore.cli.options import access_options, echo_json, json_option, profiles_option


@click.command()
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be moved; move nothing.")
@click.option(
    "--apply", "really", is_flag=True,
    help="Evict those pods, as far as PodDisruptionBudgets allow.",
)  # fmt: skip
@click.option(
    "-n", "--namespace", "namespaces", multiple=True,
    help="Move only pods of this namespace. May be repeated. [default: of all]",
)  # fmt: skip
@click.option(
    "--max-moves", default=20, show_default=True, type=click.IntRange(1, 1000),
    help="At most so many pods.",
)  # fmt: skip
@click.option(
    "--min-gain", default=20.0, show_default=True, type=click.FloatRange(min=0.1),
    help="Only for so many points of score; a rule of weight 1 gives up to 100.",
)  # fmt: skip
@access_options
@profiles_option
@json_option
def rebalance(only_plan: bool, really: bool, as_json: bool, access: Any, **options: Any) -> None:
    """Say which pods would be better off on which nodes, by the scheduler's own rules and scores;
    with --apply, evict them."""
    from longshore.cluster.config import ClusterError
    from longshore.cluster.rebalance import report, run
    from longshore.machinery.scheduler.rebalance import Limits

    if only_plan == really:
        raise ClusterError("say either --plan, or --apply to evict what the plan names")
    limits = Limits(options["max_moves"], options["min_gain"])
    plan = run.planned(access, limits, options["namespaces"], options["profiles"](access))
    done = run.applied(access, plan.moves) if really else None
    if as_json:
        echo_json(report.as_dict(plan, done))
        return
    click.echo(report.as_text(plan))
    if done:
        click.echo(report.done_as_text(done))
