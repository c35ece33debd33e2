"""What operators read of the controllers as a whole: Leases, queues and zones; and Endpoints that a
person keeps."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .driver import Cluster, eventually, within

pytestmark = pytest.mark.slow


def metrics(kube: Cluster) -> dict[str, float]:
    lines = kube.kubectl("get", "--raw", "/metrics").splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


async def test_who_leads_is_told_in_leases(hollow: Cluster) -> None:
    def held() -> bool:
        shown = hollow.kubectl("get", "lease", "-n", "kube-system", "--no-headers").splitlines()
        holders = {line.split()[0]: line.split()[1] for line in shown}
        names = ("kube-controller-manager", "kube-scheduler")
        return all(re.match(r"server\S*_\S+", holders.get(name, "")) for name in names)

    await eventually(held, "the two Leases")


async def test_queues_and_zones_are_counted(hollow: Cluster) -> None:
    before = metrics(hollow)
    hollow.kubectl("create", "deployment", "counted", "--image=nginx:1")
    hollow.kubectl("wait", "deployment/counted", "--for=condition=Available", "--timeout=120s")
    after = metrics(hollow)
    hollow.kubectl("delete", "deployment", "counted")
    for queue in ("deployment", "replicaset"):
        for name in ("adds_total", "queue_duration_seconds_count", "work_duration_seconds_count"):
            counted = f'workqueue_{name}{{name="{queue}"}}'
            assert after[counted] > before.get(counted, 0), counted
        for name in ("depth", "unfinished_work_seconds", "longest_running_processor_seconds"):
            assert f'workqueue_{name}{{name="{queue}"}}' in after
        assert f'workqueue_retries_total{{name="{queue}"}}' in after
    assert after['node_collector_zone_health{zone=""}'] == 100
    assert after['node_collector_zone_size{zone=""}'] == len(hollow.get("nodes")["items"])


async def test_endpoints_of_ones_own_are_mirrored(hollow: Cluster) -> None:
    with within(hollow, "mirrored") as kube:
        port = {"name": "pg", "port": 5432}
        named = {"metadata": {"name": "db", "labels": {"tier": "data"}}, "apiVersion": "v1"}
        kube.apply({**named, "kind": "Service", "spec": {"ports": [port]}})
        subset: dict[str, Any] = {"addresses": [{"ip": "192.0.2.10"}], "ports": [port]}
        kube.apply({**named, "kind": "Endpoints", "subsets": [subset]})

        def told() -> list[str]:
            line = "{range .items[*]}{.endpoints[*].addresses}{' '}{.metadata.labels.tier}{end}"
            wanted = "-l=kubernetes.io/service-name=db"
            return kube.kubectl("get", "endpointslices", wanted, f"-o=jsonpath={line}").split()

        await eventually(lambda: told() == ['["192.0.2.10"]', "data"], "the mirror")
        subset["addresses"] = [{"ip": "192.0.2.11"}]
        kube.apply({**named, "kind": "Endpoints", "subsets": [subset]})
        await eventually(lambda: told() == ['["192.0.2.11"]', "data"], "the change")
        kube.kubectl("delete", "endpoints", "db")
        await eventually(lambda: told() == [], "that it is gone")
