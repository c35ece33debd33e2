"""What an agent tells of its node, its pods and itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from longshore.core.objects.errors import NotFound
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.run import Kubelet
from longshore.machinery.kubelet.statistics.measuring import Links
from longshore.machinery.network.counters import Traffic, parse
from longshore.machinery.runtime.pressure import MACHINE, RESOURCES, Pressure, Pressures, Stall
from longshore.machinery.runtime.protocol import Usage

from .docs import container, pod
from .test_evicting import MIB, Measured, Told
from .world import World, until, world_of

LINKS = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0:    5000      50    1    2    0     0          0         0     7000      70    3    4    0     0       0          0
pod1.2:      10       1    0    0    0     0          0         0       20       2    0    0    0     0       0          0
"""


class Counting(Measured):
    """Containers that have used two seconds of CPU each, and the memory they are told to."""

    async def usage(self) -> tuple[Usage, dict[str, Usage]]:
        _, each = await super().usage()
        used = {
            one: Usage(2 * 10**9, use.working_set_bytes, use.working_set_bytes, 0, 7, 1, 3)
            for one, use in each.items()
        }
        return Usage(9 * 10**9, 90 * MIB, 80 * MIB, 0), used

    async def pressure(self) -> dict[str, Pressures]:
        """The machine has waited for a second in all, the pod for two, its container for three."""
        (one,) = await self.containers()
        waits = {MACHINE: 1, one.sandbox: 2, one.id: 3}
        return {who: dict.fromkeys(RESOURCES, waited(seconds)) for who, seconds in waits.items()}


def waited(seconds: int) -> Pressure:
    """Of which half a second was everybody's."""
    return Pressure(Stall(seconds * 10**6, 1.5, 0.5, 0.25), Stall(500_000, 0.0, 0.0, 0.0))


class Node(World):
    """A World that is measured."""

    runtime: Counting
    kubelet: Kubelet

    def __post_init__(self) -> None:
        super().__post_init__()
        self.runtime = Counting(self.clock)

    async def metrics(self, path: str = "") -> set[str]:
        return set((await self.kubelet.statistics.metrics(path)).splitlines())

    async def summary(self) -> Doc:
        return await self.kubelet.statistics.summary()


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with world_of(Node, tmp_path) as made:
        made.kubelet = made.start_agent()
        made.kubelet.gauges = Told()
        made.kubelet.statistics.links = Links(lambda: parse(LINKS), lambda uid: "pod1.2")
        probe = {"httpGet": {"path": "/ok", "port": 80}, "periodSeconds": 5}
        disk = [{"name": "disk", "emptyDir": {}}]
        await made.run_pod(pod(container(readinessProbe=probe), volumes=disk))
        await until(lambda: made.ready())
        made.runtime.memory = {"main": 5 * MIB}
        made.runtime.files = {"main": 3 * MIB}
        yield made


async def test_a_summary_has_everything(node: Node) -> None:
    uid = (await node.pod())["metadata"]["uid"]
    (node.root / "pods" / uid / "volumes" / "disk" / "file").write_bytes(b"x" * 10_000)
    told = await node.summary()
    (shown,) = told["pods"]
    (main,) = shown["containers"]
    assert main["memory"]["workingSetBytes"] == 5 * MIB
    assert main["memory"]["pageFaults"] == 7
    assert main["rootfs"]["usedBytes"] == 3 * MIB
    assert main["logs"]["inodesUsed"] >= 0
    assert shown["process_stats"] == {"process_count": 3}
    assert (shown["network"]["rxBytes"], shown["network"]["txBytes"]) == (20, 10)
    (volume,) = shown["volume"]
    assert volume["name"] == "disk"
    assert volume["usedBytes"] >= 10_000
    assert shown["ephemeral-storage"]["usedBytes"] >= 3 * MIB + 10_000
    assert told["node"]["fs"]["availableBytes"] == 90 * MIB
    assert told["node"]["runtime"]["imageFs"]["capacityBytes"] == 100 * MIB
    assert told["node"]["network"]["txBytes"] == 7000
    assert {one["name"] for one in told["node"]["network"]["interfaces"]} == {"eth0", "pod1.2"}


async def test_who_wants_cpu_and_memory_only_costs_no_look_at_files(node: Node) -> None:
    told = await node.kubelet.statistics.summary(only_cpu_and_memory=True)
    (shown,) = told["pods"]
    assert set(shown) == {"podRef", "startTime", "containers", "cpu", "memory", "io"}


async def test_pressure_is_told_of_node_pod_and_container(node: Node) -> None:
    told = await node.summary()
    (shown,) = told["pods"]
    for who, seconds in ((told["node"], 1), (shown, 2), (shown["containers"][0], 3)):
        for resource in ("cpu", "memory", "io"):
            assert who[resource]["psi"] == {
                "full": {"total": 500_000, "avg10": 0.0, "avg60": 0.0, "avg300": 0.0},
                "some": {"total": seconds * 10**6, "avg10": 1.5, "avg60": 0.5, "avg300": 0.25},
            }


async def test_cadvisors_names_and_labels(node: Node) -> None:
    uid = (await node.pod())["metadata"]["uid"]
    [running] = await node.runtime.containers()
    told = await node.metrics("cadvisor")
    group = f"/kubepods/pod{uid}"
    main = (f'container="main",id="{group}/{running.id}",image="registry.test/app:1",'
            f'name="{running.id}",namespace="shop",pod="web"')  # fmt: skip
    whole = f'container="",id="{group}",image="",name="",namespace="shop",pod="web"'
    assert f'container_cpu_usage_seconds_total{{{main},cpu="total"}} 2' in told
    assert f"container_memory_working_set_bytes{{{whole}}} {5 * MIB}" in told
    assert f'container_network_receive_bytes_total{{{whole},interface="eth0"}} 20' in told
    assert f'container_fs_usage_bytes{{{main},device=""}} {3 * MIB}' in told
    everything = 'container="",id="/",image="",name="",namespace="",pod=""'
    assert f'container_cpu_usage_seconds_total{{{everything},cpu="total"}} 9' in told
    assert f'container_network_transmit_errors_total{{{everything},interface="eth0"}} 3' in told
    assert "machine_cpu_cores 4" in told
    assert f"container_pressure_io_waiting_seconds_total{{{whole}}} 2" in told
    assert f"container_pressure_cpu_stalled_seconds_total{{{main}}} 0.5" in told


async def test_resource_metrics(node: Node) -> None:
    told = await node.metrics("resource")
    main = 'container="main",namespace="shop",pod="web"'
    assert f"container_cpu_usage_seconds_total{{{main}}} 2" in told
    assert f'pod_memory_working_set_bytes{{namespace="shop",pod="web"}} {5 * MIB}' in told
    assert "node_cpu_usage_seconds_total 9" in told
    assert "resource_scrape_error 0" in told


async def test_the_agents_own_metrics(node: Node) -> None:
    await node.clock.advance(12.0)
    told = await node.metrics()
    assert 'kubelet_node_name{node="node-1"} 1' in told
    assert "kubelet_running_pods 1" in told
    assert "kubelet_started_pods_total 1" in told
    assert "kubelet_pod_start_duration_seconds_count 1" in told
    assert 'kubelet_started_containers_total{container_type="container"} 1' in told
    assert 'kubelet_runtime_operations_total{operation_type="start_container"} 1' in told
    assert (
        'kubelet_runtime_operations_duration_seconds_count{operation_type="run_podsandbox"} 1'
        in told
    )
    uid = (await node.pod())["metadata"]["uid"]
    probes = [line for line in await node.metrics("probes") if uid in line]
    labels = 'probe_type="Readiness",result="successful",container="main",pod="web"'
    [line] = probes
    assert line.startswith(f'prober_probe_total{{{labels},namespace="shop",pod_uid="{uid}"}} ')
    await node.delete(grace_s=0)
    await until(node.gone)
    told_of = node.kubelet.statistics.agent
    await until(lambda: not any(uid in line for line in told_of.probe_lines()))


async def test_what_there_is_not(node: Node) -> None:
    with pytest.raises(NotFound, match="there is no /metrics/mood"):
        await node.metrics("mood")


async def test_pods_and_configuration(node: Node) -> None:
    listed = node.kubelet.statistics.pods()
    assert [one["metadata"]["name"] for one in listed["items"]] == ["web"]
    told = node.kubelet.statistics.configuration()["kubeletconfig"]
    assert (told["kind"], told["containerLogMaxSize"]) == ("KubeletConfiguration", "10Mi")


def test_the_kernels_table_of_links() -> None:
    assert parse(LINKS)["eth0"] == Traffic(5000, 50, 1, 2, 7000, 70, 3, 4)


async def test_operations_that_fail_are_counted(node: Node) -> None:
    node.runtime.unstartable["broken"] = "no such program"
    await node.run_pod(pod(container("broken"), name="broken"))
    await until(lambda: node.waiting("broken", "broken") == "CrashLoopBackOff")
    told = await node.metrics()
    line = 'kubelet_runtime_operations_errors_total{operation_type="start_container"} '
    [counted] = [one for one in told if one.startswith(line)]
    assert int(counted.removeprefix(line)) >= 1
