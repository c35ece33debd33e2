"""The scheduler: how long deciding takes with nothing around it, and upstream's own benchmark.

`python -m bench.scheduler [NODES] [PODS]` measures deciding alone: processor time of this process, the best
of three. `longshore bench scheduler` is upstream's benchmark by itself.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from time import process_time

from bench.table import Figure
from longshore.cluster.bench.run import measured
from longshore.cluster.bench.workloads import WORKLOADS
from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.plan import plan
from longshore.machinery.scheduler.pods.podclass import PodClass, PodClasses
from longshore.machinery.scheduler.view.view import ClusterView

NODES, PODS, ROUNDS = 5000, 20_000, 3
LARGE_NODES, LARGE_PODS, LARGE_MB = 50_000, 500_000, 8 * 1024
# Of each workload, at most so many pods: the whole is `longshore bench scheduler`.
MEASURED_MOST = 5000
# The goals: upstream's floors times that, and pods a second of the planner alone.
TIMES = 10
UNIQUE_GOAL, CLASSES_GOAL = 20_000, 200_000
SEED = 1


def node(number: int, zones: int = 3) -> Doc:
    name = f"node-{number}"
    labels = {
        "kubernetes.io/hostname": name,
        "topology.kubernetes.io/zone": f"zone-{number % zones}",
        "disk": "ssd" if number % 5 else "hdd",
    }
    amounts = {"cpu": "32", "memory": "128Gi", "pods": "110"}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {},
        "status": {"allocatable": amounts},
    }


def pod(number: int, owner: str, cpu: str = "100m", spec: Doc | None = None) -> Doc:
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": owner}
    container = {
        "name": "c", "image": "i", "resources": {"requests": {"cpu": cpu, "memory": "128Mi"}},
    }  # fmt: skip
    return {
        "metadata": {
            "name": f"p{number}",
            "namespace": "bench",
            "uid": f"uid-{number}",
            "labels": {"app": owner},
            "ownerReferences": [{**reference, "controller": True}],
        },
        "spec": {"containers": [container], **(spec or {})},
        "status": {"phase": "Pending"},
    }


def sets_of(size: int, spec: Doc | None = None) -> Callable[[int], Iterator[Doc]]:
    return lambda count: (pod(n, f"set-{n // size}", spec=spec) for n in range(count))


def all_different(count: int) -> Iterator[Doc]:
    return (pod(n, f"set-{n}", f"{100 + n % 50}m") for n in range(count))


@dataclass(frozen=True, slots=True)
class Case:
    """What pods there are, and how many a second are to be decided on."""

    make: Callable[[int], Iterator[Doc]]
    goal: float | None = None


CASES = {
    "every pod its own": Case(all_different, UNIQUE_GOAL),
    "sets of 10": Case(sets_of(10)),
    "sets of 100": Case(sets_of(100), CLASSES_GOAL),
    "sets of 100, selecting": Case(sets_of(100, {"nodeSelector": {"disk": "ssd"}}), CLASSES_GOAL),
    "one set": Case(sets_of(10**9), CLASSES_GOAL),
}


async def figures() -> list[Figure]:
    return [*_planner(), _large_in_its_own_process(), *_workloads()]


def _planner() -> Iterator[Figure]:
    for name, case in CASES.items():
        seconds = decided(case, NODES, PODS)
        note = f"{PODS:,} pods on {NODES:,} nodes, processor time, best of {ROUNDS}"
        yield Figure(f"deciding alone, {name}", PODS / seconds, "pods/s", case.goal, False, note)


def decided(case: Case, nodes: int, pods: int) -> float:
    """Processor seconds to decide on all pods, once they are read."""
    view, classes = filled(nodes), PodClasses()
    asked = [(doc["metadata"]["uid"], classes.of(doc)) for doc in case.make(pods)]
    return min(_once(view, asked) for _ in range(ROUNDS))


def filled(nodes: int) -> ClusterView:
    view = ClusterView()
    for number in range(nodes):
        view.put_node(node(number))
    return view


def _once(view: ClusterView, asked: list[tuple[str, PodClass]]) -> float:
    begun = process_time()
    decision = plan(view, asked, SEED)
    seconds = process_time() - begun
    assert len(decision.placements) == len(asked), next(iter(decision.refusals.values()))
    return seconds


def _large_in_its_own_process() -> Figure:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        seconds, megabytes = pool.submit(large).result()
    note = f"{LARGE_PODS:,} pods in sets of 500 on {LARGE_NODES:,} nodes, {seconds:.1f} s"
    return Figure("memory to decide on a large cluster", megabytes, "MB", LARGE_MB, True, note)


def large() -> tuple[float, float]:
    """Processor seconds and the most memory that it takes."""
    view, classes = filled(LARGE_NODES), PodClasses()
    asked = [(doc["metadata"]["uid"], classes.of(doc)) for doc in sets_of(500)(LARGE_PODS)]
    seconds = _once(view, asked)
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _workloads() -> Iterator[Figure]:
    for workload in WORKLOADS.values():
        result = measured(workload.sized(None, min(workload.pods, MEASURED_MOST)))
        note = (
            f"{result.pods:,} pods on {result.nodes:,} nodes, slowest second {result.slowest_second:,.0f}, "
            f"p50 {result.p50_ms:.0f} ms, p99 {result.p99_ms:.0f} ms, {result.cpu_us:.0f} us of CPU each, "
            f"{result.rss_mb:.0f} MB; upstream's floor is {workload.floor}"
        )
        goal = float(TIMES * workload.floor)
        yield Figure(workload.case, result.pods_per_s, "pods/s", goal, False, note)


def main() -> None:
    nodes, count = (*map(int, sys.argv[1:]), *(NODES, PODS)[len(sys.argv) - 1 :])
    for name, case in CASES.items():
        seconds = decided(case, nodes, count)
        print(f"{name:24}{count / seconds:>10,.0f} pods/s {seconds / count * 1e6:8.1f} us/pod")


if __name__ == "__main__":
    main()
