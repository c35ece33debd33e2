"""Upstream's scheduler_perf workloads, under their own names and sizes.

Floors are the thresholds of the job ci-benchmark-scheduler-perf, in pods a second
(kubernetes/kubernetes, test/integration/scheduler_perf/*/performance-config.yaml). Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from longshore.cluster.bench import templates
from longshore.cluster.config import ClusterError
from longshore.core.objects.kinds import Doc

Template = Callable[[], Doc]
_ZONES = ("moon-1", "moon-2", "moon-3")


@dataclass(frozen=True, slots=True)
class Churn:
    """What comes, every so many seconds, beside the measured pods: a pod; and, if recreated, a node
    and a Service with it, all of which go again before the next."""

    pod: Template
    interval_s: float
    recreated: bool = False


@dataclass(frozen=True, slots=True)
class Workload:
    """nodes with these zones in turn, and besides them, if named, one for all pods; initial pods
    are bound before measuring begins, of the same template if they have none of their own; pods are measured. floor is upstream's, in pods a second."""

    case: str
    nodes: int
    initial: int
    pods: int
    floor: int
    template: Template = templates.pod
    initial_template: Template | None = None
    zones: tuple[str, ...] = ()
    named_node: bool = False
    churn: Churn | None = None

    def sized(self, nodes: int | None, pods: int | None) -> Workload:
        """With other numbers; what is not said goes with the nodes."""
        count = nodes or self.nodes

        def scaled(number: int) -> int:
            return -(-number * count // self.nodes)

        return replace(
            self, nodes=count, initial=scaled(self.initial), pods=pods or scaled(self.pods)
        )


_UNSCHEDULABLE = Churn(templates.high_priority_large_cpu, 0.2)
_TABLE = (
    Workload("SchedulingBasic", 5000, 1000, 10_000, 680),
    Workload("SchedulingNodeAffinity", 5000, 5000, 10_000, 220,
             zones=("zone1",), template=templates.with_node_affinity),
    Workload("SchedulingPodAffinity", 5000, 5000, 5000, 35,
             zones=("zone1",), template=templates.with_pod_affinity),
    Workload("SchedulingPodAntiAffinity", 5000, 1000, 2000, 60,
             template=templates.with_pod_anti_affinity),
    Workload("SchedulingPreferredPodAffinity", 5000, 5000, 5000, 90,
             template=templates.with_preferred_pod_affinity),
    Workload("SchedulingPreferredPodAntiAffinity", 5000, 5000, 5000, 90,
             template=templates.with_preferred_pod_anti_affinity),
    Workload("TopologySpreading", 5000, 5000, 5000, 460,
             partial(templates.spreading, "DoNotSchedule"), templates.pod, zones=_ZONES),
    Workload("PreferredTopologySpreading", 5000, 5000, 5000, 340,
             partial(templates.spreading, "ScheduleAnyway"), templates.pod, zones=_ZONES),
    Workload("PreemptionAsync", 5000, 20_000, 5000, 570,
             initial_template=templates.low_priority, churn=Churn(templates.high_priority, 0.2)),
    Workload("SchedulingWithMixedChurn", 5000, 0, 10_000, 710,
             churn=Churn(templates.high_priority_large_cpu, 1.0, recreated=True)),
    Workload("SchedulingDaemonset", 15_000, 0, 30_000, 1100, templates.of_daemon, named_node=True),
    Workload("Unschedulable", 5000, 100, 10_000, 590, churn=_UNSCHEDULABLE),
)  # fmt: skip
WORKLOADS: Mapping[str, Workload] = {one.case: one for one in _TABLE}


def chosen(cases: Sequence[str]) -> list[Workload]:
    """The workloads of those names, all if there is none. Raises ClusterError."""
    unknown = [name for name in cases if name not in WORKLOADS]
    if unknown:
        known = ", ".join(WORKLOADS)
        raise ClusterError(f"--case {unknown[0]}: there is no such workload; there are {known}")
    return [WORKLOADS[name] for name in cases or WORKLOADS]
