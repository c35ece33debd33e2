"""How long deciding takes: pods a second through the scheduler's desk, with nothing around it.

Run: python bench/scheduler.py [nodes] [pods]. Every case hears of the pods (reading their class)
and takes turns until none waits; times are CPU seconds of this process, best of three.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from time import process_time

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.desk import Desk


def node(number: int, zones: int) -> Doc:
    name = f"node-{number}"
    return {
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "topology.kubernetes.io/zone": f"zone-{number % zones}",
                "disk": "ssd" if number % 5 else "hdd",
            },
        },
        "spec": {},
        "status": {"allocatable": {"cpu": "32", "memory": "128Gi", "pods": "110"}},
    }


def pod(number: int, owner: str, cpu: str = "100m", selector: Doc | None = None) -> Doc:
    metadata: Doc = {
        "name": f"p{number}",
        "namespace": "bench",
        "uid": f"uid-{number}",
        "resourceVersion": "1",
    }
    if owner:
        metadata["ownerReferences"] = [{"uid": owner, "controller": True}]
    requests = {"cpu": cpu, "memory": "128Mi"}
    return {
        "metadata": metadata,
        "spec": {
            "priority": 0,
            "nodeSelector": selector,
            "containers": [{"name": "c", "image": "i", "resources": {"requests": requests}}],
        },
        "status": {"phase": "Pending"},
    }


def one_set(count: int) -> Iterator[Doc]:
    return (pod(n, "rs-1") for n in range(count))


def sets_of(size: int) -> Callable[[int], Iterator[Doc]]:
    return lambda count: (pod(n, f"rs-{n // size}") for n in range(count))


def all_different(count: int) -> Iterator[Doc]:
    return (pod(n, f"rs-{n}", f"{100 + n % 50}m") for n in range(count))


def selecting(count: int) -> Iterator[Doc]:
    return (pod(n, f"rs-{n // 100}", selector={"disk": "ssd"}) for n in range(count))


CASES: dict[str, Callable[[int], Iterator[Doc]]] = {
    "one replica set": one_set,
    "sets of 100": sets_of(100),
    "sets of 100, selecting": selecting,
    "sets of 10": sets_of(10),
    "every pod its own": all_different,
}


def run(nodes: int, pods: list[Doc]) -> tuple[float, int]:
    """CPU seconds from hearing of the pods until all are decided on, and how many got a node."""
    desk = Desk()
    for number in range(nodes):
        desk.view.put_node(node(number, 3))
    start, bound = process_time(), 0
    for one in pods:
        desk.see_pod(one)
    while desk.has_work():
        bound += len(desk.turn().bound)
    return process_time() - start, bound


def main() -> None:
    nodes, count = (int(arg) for arg in (*sys.argv[1:], "1000", "10000")[:2])
    for name, make in CASES.items():
        pods = list(make(count))
        seconds, bound = min(run(nodes, pods) for _ in range(3))
        rate, each = bound / seconds, seconds / count * 1e6
        print(f"{name:24} {bound:>7} pods {rate:>9,.0f} pods/s {each:7.1f} us/pod")


if __name__ == "__main__":
    main()
