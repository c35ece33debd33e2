"""How eagerly groups of nodes grow and shrink: cluster-autoscaler's flags and their defaults. Pure."""

from __future__ import annotations

from dataclasses import dataclass

EXPANDERS = ("least-waste",)
"""How a group is chosen among several that would do (--expander)."""


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """Times in seconds, named as the flags: --scale-down-unneeded-time, --scale-down-unready-time,
    --scale-down-delay-after-add, --scale-down-delay-after-failure, --max-node-provision-time,
    --max-graceful-termination-sec, --max-pod-eviction-time, --node-delete-delay-after-taint,
    --initial-node-group-backoff-duration,
    --max-node-group-backoff-duration, --node-group-backoff-reset-timeout. utilization, 0 to 1, is
    --scale-down-utilization-threshold; drains and deletions are --max-drain-parallelism and
    --max-scale-down-parallelism; pods below priority_cutoff neither wait for nodes nor are moved
    (--expendable-pods-priority-cutoff)."""

    unneeded_s: float = 600.0
    unready_s: float = 1200.0
    delay_after_add_s: float = 600.0
    delay_after_failure_s: float = 180.0
    provision_s: float = 900.0
    termination_s: float = 600.0
    eviction_s: float = 120.0
    taint_delay_s: float = 5.0
    backoff_s: float = 300.0
    backoff_max_s: float = 1800.0
    backoff_reset_s: float = 10_800.0
    utilization: float = 0.5
    drains: int = 1
    deletions: int = 10
    priority_cutoff: int = -10

    @property
    def calm_s(self) -> float:
        """What is not urgent is looked at this seldom, at most (--scan-interval)."""
        return min(10.0, max(0.2, self.unneeded_s / 4))

    def fault(self) -> str:
        """What is wrong with them, in a sentence; empty if nothing is."""
        if not 0 < self.utilization <= 1:
            return (
                f"scale-down-utilization-threshold {self.utilization:g}: use more than 0, up to 1"
            )
        if min(self.unneeded_s, self.delay_after_add_s, self.provision_s) < 0:
            return "times cannot be negative"
        return ""
