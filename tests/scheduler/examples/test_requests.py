"""What a pod takes: kubernetes.io/docs/concepts/configuration/manage-resources-containers,
docs/concepts/workloads/pods/init-containers and sidecar-containers, pod-overhead, pod-level
resources, and docs/tasks/configure-pod-container/extended-resource."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc

from ..judged import fits, refusal
from ..reference import amounts
from ..reference.cluster import Cluster
from ..reference.profile import Profile
from .objects import node, pod

DONGLE = "example.com/dongle"


def container(**requests: str) -> Doc:
    return {"name": "c", "image": "i", "resources": {"requests": requests}}


def sidecar(**requests: str) -> Doc:
    return {**container(**requests), "restartPolicy": "Always"}


def room_for(mypod: Doc, **exactly: str) -> None:
    """The pod fits a node with exactly so much, and none with a little less of anything."""
    assert fits(Cluster.of([node("n", amounts=exactly)]), mypod) == {"n"}
    for name, text in exactly.items():
        less = amounts.amount(name, text) - 1
        short = {**exactly, name: f"{less}m" if name == "cpu" else str(less)}
        assert refusal(Cluster.of([node("n", amounts=short)]), mypod) == (
            f"0/1 nodes are available: 1 Insufficient {name}."
        )


def test_a_pods_request_is_the_sum_of_its_containers() -> None:
    """The page's frontend: two containers of 64Mi and 250m each."""
    each = container(memory="64Mi", cpu="250m")
    room_for(pod("frontend", containers=[each, each]), cpu="500m", memory="128Mi")


def test_the_highest_init_container_counts_if_it_is_more() -> None:
    mypod = pod(
        "p",
        containers=[container(cpu="1", memory="1Gi")],
        initContainers=[container(cpu="3"), container(cpu="2", memory="512Mi")],
    )
    room_for(mypod, cpu="3", memory="1Gi")


def test_sidecars_run_beside_what_starts_after_them() -> None:
    """KEP-753: an init container adds to the sidecars before it; all of them to the containers."""
    first = [sidecar(cpu="1"), container(cpu="3"), sidecar(cpu="500m")]
    room_for(pod("p", containers=[container(cpu="2")], initContainers=first), cpu="4")
    late = [container(cpu="3"), sidecar(cpu="1")]
    room_for(pod("p", containers=[container(cpu="2500m")], initContainers=late), cpu="3500m")


def test_overhead_is_added() -> None:
    """The page's kata-fc: 2.25 CPU and 320 MiB."""
    mypod = pod(
        "test-pod",
        containers=[container(cpu="500m", memory="100Mi"), container(cpu="1500m", memory="100Mi")],
        overhead={"cpu": "250m", "memory": "120Mi"},
    )
    room_for(mypod, cpu="2250m", memory="320Mi")


def test_requests_of_the_whole_pod_replace_those_of_its_containers() -> None:
    """KEP-2837, with overhead on top; what the pod does not name is still the containers' sum."""
    mypod = pod(
        "p",
        containers=[container(cpu="500m", memory="100Mi"), container(memory="100Mi")],
        resources={"requests": {"cpu": "1"}},
        overhead={"cpu": "100m"},
    )
    room_for(mypod, cpu="1100m", memory="200Mi")


def test_dongles() -> None:
    """The page's two pods: three of four dongles are taken, two more do not fit."""
    nodes = [node("n", amounts={DONGLE: "4"}), node("without")]
    first = pod("extended-resource-demo", requests={DONGLE: "3"})
    assert fits(Cluster.of(nodes), first) == {"n"}
    cluster = Cluster.of(nodes)
    cluster.bind(first, "n")
    assert refusal(cluster, pod("extended-resource-demo-2", requests={DONGLE: "2"})) == (
        f"0/2 nodes are available: 2 Insufficient {DONGLE}."
    )
    assert fits(cluster, pod("one-more", requests={DONGLE: "1"})) == {"n"}


def test_extended_resources_of_somebody_else_can_be_ignored() -> None:
    """NodeResourcesFitArgs.ignoredResources and ignoredResourceGroups."""
    cluster, asked = Cluster.of([node("n")]), pod("p", requests={DONGLE: "2"})
    assert fits(cluster, asked, Profile(ignored_resources=frozenset({DONGLE}))) == {"n"}
    group = Profile(ignored_resource_groups=frozenset({"example.com"}))
    assert fits(cluster, asked, group) == {"n"}


def test_a_node_is_full_by_what_is_requested() -> None:
    """ "FailedScheduling ... 0/42 nodes available: insufficient cpu" as it reads now, with every
    resource that a node is short of, and too many pods."""
    busy = node("busy", amounts={"cpu": "1"})
    full = node("full", amounts={"pods": "1", "memory": "1Gi"})
    there = [pod("x", requests={"cpu": "600m"}, on="busy"), pod("y", on="full")]
    mypod = pod("p", requests={"cpu": "500m", "memory": "2Gi"})
    assert refusal(Cluster.of([busy, full], there), mypod) == (
        "0/2 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 1 Too many pods."
    )


def test_a_pod_that_asks_for_nothing_fits_an_overcommitted_node() -> None:
    there = [pod("x", requests={"cpu": "4"}, on="n")]
    cluster = Cluster.of([node("n", amounts={"cpu": "2"})], there)
    assert fits(cluster, pod("p")) == {"n"}
    assert fits(cluster, pod("p", requests={"memory": "1Gi"})) == {"n"}
    assert fits(cluster, pod("p", requests={"cpu": "1m"})) == set()
