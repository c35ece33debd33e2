"""The options of `longshore up` about nodes that come and go by themselves."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

_OPTIONS = (
    click.option(
        "--autoscale", "autoscale", metavar="MIN:MAX", default="",
        help="Add nodes for pods that find no place, remove nodes that are not needed.",
    ),
    click.option(
        "--expander", default="least-waste", show_default=True,
        help="How a group of nodes is chosen among several.",
    ),
    click.option(
        "--scale-down-unneeded-time", "unneeded_s", metavar="TIME", show_default="10m",
        help="How long a node must not be needed before it is removed.",
    ),
    click.option(
        "--scale-down-delay-after-add", "delay_after_add_s", metavar="TIME", show_default="10m",
        help="How long after a node was added none is removed.",
    ),
    click.option(
        "--scale-down-utilization-threshold", "utilization", type=float, show_default="0.5",
        help="What share of a node must be asked for so that it stays.",
    ),
    click.option(
        "--max-node-provision-time", "provision_s", metavar="TIME", show_default="15m",
        help="How long a new node may take to be Ready.",
    ),
)  # fmt: skip


def autoscale_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """All of them as one parameter, autoscale: an Autoscaling, or None. Raises ClusterError."""

    @wraps(command)
    def with_autoscale(autoscale: str, expander: str, **options: Any) -> Any:
        from longshore.cluster.autoscale.settings import read

        times = {
            name: options.pop(name) for name in ("unneeded_s", "delay_after_add_s", "provision_s")
        }
        sizes = read(autoscale, expander, options.pop("utilization"), **times)
        return command(autoscale=sizes, **options)

    for option in reversed(_OPTIONS):
        with_autoscale = option(with_autoscale)
    return with_autoscale
