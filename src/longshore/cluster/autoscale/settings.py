"""What a person says about nodes that come and go by themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from longshore.cluster.config import NODES_MAX, Autoscaling, ClusterError
from longshore.cluster.durations import seconds
from longshore.machinery.controllers.nodegroups.rules import EXPANDERS, ScalingRules

_TIMES = {
    "unneeded_s": "--scale-down-unneeded-time",
    "delay_after_add_s": "--scale-down-delay-after-add",
    "provision_s": "--max-node-provision-time",
}


def read(
    sizes: str, expander: str, utilization: float | None, **times: str | None
) -> Autoscaling | None:
    """sizes are MIN:MAX (empty: no autoscaling); times are by field of ScalingRules, as people write
    them (None: upstream's). Raises ClusterError."""
    if not sizes:
        if utilization is not None or any(times.values()):
            raise ClusterError("without --autoscale MIN:MAX nothing else is to be said about it")
        return None
    if expander not in EXPANDERS:
        known = ", ".join(EXPANDERS)
        raise ClusterError(f"--expander {expander!r} is not there yet: use {known}")
    least, _, most = sizes.partition(":")
    if not (least.isdecimal() and most.isdecimal()):
        raise ClusterError(
            f"--autoscale {sizes!r}: write it like 1:6, the fewest and the most nodes"
        )
    rules = _rules({name: text for name, text in times.items() if text is not None})
    if utilization is not None:
        rules = replace(rules, utilization=utilization)
    if fault := rules.fault():
        raise ClusterError(f"--{fault}")
    return Autoscaling(int(least), int(most), rules)


def check(autoscaling: Autoscaling, nodes: int) -> None:
    """Raises ClusterError for sizes that a cluster cannot have."""
    least, most = autoscaling.min_size, autoscaling.max_size
    if not 1 <= least <= most <= NODES_MAX:
        raise ClusterError(
            f"--autoscale {least}:{most}: use 1 to {NODES_MAX}, the smaller number first"
        )
    if not least <= nodes <= most:
        raise ClusterError(f"--nodes {nodes} is not within --autoscale {least}:{most}")


def _rules(times: dict[str, str]) -> ScalingRules:
    told: dict[str, Any] = {name: seconds(text, _TIMES[name]) for name, text in times.items()}
    rules = ScalingRules(**told)
    # Where nodes are to go soon, one is not left standing for long with its taint.
    return replace(rules, taint_delay_s=min(rules.taint_delay_s, rules.unneeded_s / 2))
