"""Machines that join a server by a token are whole nodes: pods on all of them reach one another and
Services, whether they share a network or are behind a router. The far one has a containerd of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longshore.cluster.config import ClusterPaths
from longshore.machinery.runtime.oci import cgroups

from .driver import eventually, is_ready
from .leaks import processes_below
from .machines import MACHINES, Machines, containerd_at, machines, on, serve

pytestmark = [pytest.mark.slow, pytest.mark.root]

NODES = tuple(name for name in MACHINES if name != "server")
SERVE = "mkdir /w; echo i am $WHO > /w/index.html; head -c 100000 /dev/zero > /w/big; echo up; exec httpd -f -p 80 -h /w"


def web(node: str) -> dict[str, Any]:
    container = {
        "name": "c", "image": "busybox:1.36", "imagePullPolicy": "Never",
        "command": ["sh", "-c", SERVE], "env": [{"name": "WHO", "value": node}],
    }  # fmt: skip
    spec = {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container]}
    metadata = {"name": node, "labels": {"app": "web"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


SERVICE = {
    "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
}  # fmt: skip
# Only the pod on the near machine may speak to the far one's.
POLICY = {
    "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "far"},
    "spec": {
        "podSelector": {"matchLabels": {"on": "far"}}, "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"on": "near"}}}]}],
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def world(short_root: Path, images: list[Path]) -> Iterator[Machines]:
    with machines(short_root / "m") as world, containerd_at(world, "far", images[2]) as containerd:
        serve(world)
        world.words["far"] = on(containerd)
        for node in NODES:
            if node not in world.words:
                home = str(world.directory(node))
                world.longshore(node, "image", "load", str(images[2]), "--dir", home)
            world.join(node)
        world.kubectl("wait", "--for=create", "sa/default", "--timeout=120s")
        world.apply(*(web(node) for node in NODES), SERVICE)
        world.kubectl("wait", "--for=condition=Ready", "pod", "-l", "app=web", "--timeout=120s")
        yield world


def ip(world: Machines, pod: str) -> str:
    return str(world.get("pod", pod)["status"]["podIP"])


def asked(world: Machines, pod: str, address: str, page: str = "") -> str:
    """What a pod is answered at an address; the last line."""
    script = f"printf 'GET /{page} HTTP/1.0\\r\\n\\r\\n' | nc -w 2 {address} 80"
    return world.kubectl("exec", pod, "--", "sh", "-c", script, code=None).split("\n\n")[-1]


def test_every_pod_reaches_every_other_and_the_service(world: Machines) -> None:
    service = world.get("service", "web")["spec"]["clusterIP"]
    for pod in NODES:
        for other in NODES:
            assert f"i am {other}" in asked(world, pod, ip(world, other))
        assert "i am " in asked(world, pod, service)
        named = world.kubectl("exec", pod, "--", "nslookup", "web.default.svc.cluster.local")
        assert service in named


def test_what_is_larger_than_a_packet_passes_between_networks(world: Machines) -> None:
    assert len(asked(world, "near", ip(world, "far"), "big")) == 100_000


def test_routes_go_straight_where_they_can(world: Machines) -> None:
    ranges = {n["metadata"]["name"]: n["spec"]["podCIDR"] for n in world.get("nodes")["items"]}
    routes = world.at("near", "ip", "route")
    assert f"{ranges['other']} via {MACHINES['other'][1]} dev eth0" in routes
    assert f"{ranges['far']} via" in routes
    assert "dev longshore.vx" in routes.split(f"{ranges['far']} via")[1].splitlines()[0]


def test_the_server_speaks_with_containers(world: Machines) -> None:
    for pod in NODES:
        assert world.kubectl("logs", pod) == "up\n"
        assert world.kubectl("exec", pod, "--", "sh", "-c", "echo $WHO") == f"{pod}\n"


async def test_a_policy_holds_between_machines(world: Machines) -> None:
    for pod in ("near", "far"):
        world.kubectl("label", "pod", pod, f"on={pod}")
    world.apply(POLICY)
    try:
        address = ip(world, "far")
        await eventually(lambda: asked(world, "other", address) == "", "the policy is in force")
        assert "i am far" in asked(world, "near", address)
    finally:
        world.kubectl("delete", "networkpolicy", "far")


async def test_an_agent_that_is_killed_finds_its_containers_again(world: Machines) -> None:
    before = world.get("pod", "far")["status"]["containerStatuses"][0]
    world.kill("far")
    world.join("far")
    world.apply({**web("far"), "metadata": {"name": "late", "labels": {"app": "late"}}})
    await eventually(lambda: is_ready(world.get("pod", "late")), "the agent is back")
    after = world.get("pod", "far")["status"]["containerStatuses"][0]
    assert (after["containerID"], after["restartCount"]) == (before["containerID"], 0)
    assert world.kubectl("logs", "far") == "up\n"
    assert "i am far" in asked(world, "near", ip(world, "far"))


async def test_an_agent_starts_while_no_server_answers(world: Machines) -> None:
    world.kill("server")
    world.kill("other")
    world.join("other")
    serve(world)
    world.apply({**web("other"), "metadata": {"name": "later"}})
    await eventually(lambda: is_ready(world.get("pod", "later")), "the node works again")


def test_a_machine_that_is_shut_down_ends_its_pods_in_order(world: Machines) -> None:
    for name, critical in (("plain", False), ("vital", True)):
        pod = web("far")
        pod["metadata"] = {"name": name}
        if critical:
            pod["spec"]["priorityClassName"] = "system-node-critical"
        world.apply(pod)
    world.kubectl("wait", "--for=condition=Ready", "pod/plain", "pod/vital", "--timeout=120s")
    world.longshore("far", "shutdown", "--dir", str(world.directory("far")))
    world.agents.pop("far").wait(60)
    plain, vital = (world.get("pod", name)["status"] for name in ("plain", "vital"))
    for status in (plain, vital):
        assert (status["phase"], status["reason"]) == ("Failed", "Terminated")
        assert "imminent node shutdown" in status["message"]
        assert reason_of(status, "DisruptionTarget") == ("True", "TerminationByKubelet")
    ends = [
        one["containerStatuses"][0]["state"]["terminated"]["finishedAt"] for one in (plain, vital)
    ]
    assert ends == sorted(ends)
    assert reason_of(world.get("node", "far")["status"], "Ready") == ("False", "KubeletNotReady")
    world.join("far")
    ready = "--for=condition=Ready"
    world.kubectl("wait", ready, "node/far", "--timeout=120s")


def reason_of(status: dict[str, Any], condition: str) -> tuple[str, str]:
    (found,) = [one for one in status["conditions"] if one["type"] == condition]
    return found["status"], found["reason"]


def traces(home: Path) -> list[str]:
    """What there is of a node on this machine: mounts, control groups, processes."""
    group = ClusterPaths.of_machine(home).cgroup_parent
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    found = [line for line in mounts if f"{home}/" in line]
    found += [str(path) for path in cgroups.existing(cgroups.checked(group))]
    return found + list(processes_below(home))


async def test_a_machine_that_leaves_keeps_nothing(world: Machines) -> None:
    home = world.directory("other")
    lines = world.longshore("other", "leave", "--dir", str(home), "--list").splitlines()
    assert f"directory {home}" in lines
    assert any(line.startswith("rules and routes of 10.42.") for line in lines)
    assert traces(home)
    world.longshore("other", "leave", "--dir", str(home))
    world.agents.pop("other").wait(60)
    assert not home.exists()
    assert traces(home) == []
    assert "longshore" not in world.at("other", "nft", "list", "ruleset")
    assert world.at("other", "ip", "route").count("10.42.") == 0
    world.kubectl("delete", "node", "other")
    await eventually(
        lambda: world.at("near", "ip", "route").count(f"via {MACHINES['other'][1]}") == 0,
        "the way to pods that are gone is forgotten",
    )
