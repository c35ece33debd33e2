"""`longshore bench`: measure this machine, with workloads that others publish figures of."""

from __future__ import annotations

from typing import Any

import click

from longshore.cli.options import echo_json


@click.group()
def bench() -> None:
    """Measurements of what Longshore does on this machine."""


@bench.command("scheduler")
@click.option(
    "--case", "cases", multiple=True, metavar="NAME",
    help="A workload, as upstream names it. May be repeated. [default: all]",
)  # fmt: skip
@click.option(
    "--nodes", type=click.IntRange(min=1), help="How many nodes. [default: as upstream, 5000]"
)
@click.option(
    "--pods",
    type=click.IntRange(min=1),
    help="How many pods are measured. [default: as upstream, in proportion to the nodes]",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object for each case instead."
)
def bench_scheduler(
    cases: tuple[str, ...], nodes: int | None, pods: int | None, as_json: bool
) -> None:
    """Run kube-scheduler's own benchmark (scheduler_perf): pods a second from creation to bound,
    through a durable store."""
    from longshore.cluster.bench.run import measured
    from longshore.cluster.bench.workloads import chosen
    from longshore.cluster.config import ClusterError

    if not as_json:
        click.echo(_TITLE)
    failed: list[str] = []
    for workload in chosen(cases):
        try:
            result = measured(workload.sized(nodes, pods))
        except ClusterError as error:
            failed.append(str(error))
            continue
        if as_json:
            echo_json(result.as_dict())
        else:
            click.echo(_line(result, workload.floor))
    if failed:
        raise ClusterError("; ".join(failed))


def _line(result: Any, floor: int) -> str:
    return (
        f"{result.case:<36}{result.nodes:>7,}{result.pods:>8,}{result.pods_per_s:>9,.0f}"
        f"{result.slowest_second:>9,.0f}{result.p50_ms:>8,.0f}{result.p99_ms:>8,.0f}"
        f"{result.cpu_us:>8,.0f}{result.rss_mb:>8,.0f}{floor:>8,}"
        f"{result.pods_per_s / floor:>7.1f}x"
    )


_TITLE = (
    f"{'CASE':<36}{'NODES':>7}{'PODS':>8}{'PODS/S':>9}{'SLOWEST':>9}{'P50 MS':>8}{'P99 MS':>8}"
    f"{'CPU US':>8}{'RSS MB':>8}{'FLOOR':>8}{'TIMES':>8}"
)
