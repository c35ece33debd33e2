"""`longshore simulate`: what would land where, without a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from longshore.cli.options import echo_json, json_option, profiles_option


@click.command()
@click.option(
    "-f", "--filename", "files", multiple=True, required=True, metavar="FILE",
    help="Manifests: a file, a directory, or - for standard input. May be repeated.",
)  # fmt: skip
@click.option(
    "--shape", type=click.Path(path_type=Path, dir_okay=False),
    help="Pools of nodes, in YAML (docs/scheduler.md). [default: 3 nodes of 16 CPUs in 3 zones]",
)  # fmt: skip
@click.option(
    "--nodes", type=click.IntRange(1, 100_000), metavar="COUNT",
    help="How many nodes there are; the pools share them as their counts say.",
)  # fmt: skip
@click.option(
    "-n", "--namespace", default="default", show_default=True,
    help="Where objects are meant for that name no namespace.",
)  # fmt: skip
@click.option(
    "--from-cluster", is_flag=True,
    help="The nodes of a running cluster, with what is on them, instead of a shape.",
)  # fmt: skip
@click.option(
    "--kubeconfig", type=click.Path(path_type=Path, dir_okay=False),
    help="As whom to ask that cluster. [default: $KUBECONFIG, else ~/.kube/config]",
)  # fmt: skip
@click.option("--context", default="", help="Which of its contexts. [default: the current one]")
@click.option("--seed", default=1, show_default=True, help="Which of equal nodes are taken.")
@click.option(
    "--svg", type=click.Path(path_type=Path, dir_okay=False), help="Also draw a picture there."
)
@profiles_option
@json_option
def simulate(
    files: tuple[str, ...], svg: Path | None, as_json: bool, seed: int, **options: Any
) -> None:
    """Say where workloads would land, what would not fit and why, and how full each zone would be:
    on nodes that need not exist."""
    from longshore.cluster.simulate import manifests, report
    from longshore.cluster.simulate.run import simulate as simulated
    from longshore.cluster.simulate.svg import as_svg

    given = manifests.read(files, options["namespace"])
    cluster = _cluster(options)
    profiles = options["profiles"](cluster)
    outcome = simulated(_present(options, cluster), given, seed, profiles)
    if svg is not None:
        _write(svg, as_svg(outcome))
    if as_json:
        echo_json(outcome.as_dict())
    else:
        click.echo(report.as_text(outcome))


def _cluster(options: dict[str, Any]) -> Any:
    """The access to the cluster of which the nodes are; None for nodes that are made up."""
    from longshore.cluster.client import access
    from longshore.cluster.config import ClusterError

    if not options["from_cluster"]:
        return None
    if options["shape"] or options["nodes"]:
        raise ClusterError("--from-cluster has nodes; --shape and --nodes make others")
    return access.read(options["kubeconfig"], options["context"])


def _present(options: dict[str, Any], cluster: Any) -> Any:
    """The nodes, and what is on them."""
    from longshore.cluster.simulate import present
    from longshore.cluster.simulate import shape as shapes

    if cluster is not None:
        return present.of_cluster(cluster)
    pools = shapes.read(options["shape"]) if options["shape"] else shapes.DEFAULT
    return present.Present([*shapes.nodes(pools, options["nodes"])])


def _write(file: Path, text: str) -> None:
    from longshore.cluster.config import ClusterError

    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ClusterError(f"--svg: {file}: {error.strerror}") from None
