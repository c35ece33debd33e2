"""What-if: shapes of clusters, workloads made by the real road of a write, and what is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from longshore.cluster.config import ClusterError
from longshore.cluster.simulate import manifests, report, shape
from longshore.cluster.simulate.outcome import NodeLoad, Outcome, loads
from longshore.cluster.simulate.present import Present
from longshore.cluster.simulate.run import simulate
from longshore.cluster.simulate.svg import as_svg
from longshore.doors.kubernetes.yamlbody import read_yaml
from longshore.machinery.scheduler.profile import Profile, Strategy

POOL = {"name": "general", "count": 3, "cpu": 4, "memory": "8Gi"}
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 6
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: nginx, resources: {requests: {cpu: "1", memory: 1Gi}}}
"""
TOO_LARGE = """
apiVersion: batch/v1
kind: Job
metadata: {name: big}
spec:
  parallelism: 2
  template:
    spec:
      restartPolicy: Never
      containers:
      - {name: big, image: big, resources: {requests: {cpu: "40"}}}
"""
QUOTA = """
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: small, namespace: shop}
spec: {hard: {pods: "4"}}
---
"""

SPEC = "spec: {containers: [{name: c, image: c}]}"
TEMPLATE = "template: {metadata: {labels: {app: a}}, " + SPEC + "}"
ONCE = "template: {spec: {restartPolicy: Never, containers: [{name: c, image: c}]}}"
SELECTED = "selector: {matchLabels: {app: a}}, " + TEMPLATE
WORKLOADS = {
    "DaemonSet": f"""
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: agent}}
spec: {{{SELECTED}}}
""",
    "StatefulSet": f"""
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: db}}
spec: {{replicas: 2, serviceName: db, {SELECTED}}}
""",
    "Job": f"""
apiVersion: batch/v1
kind: Job
metadata: {{name: batch}}
spec: {{parallelism: 5, completions: 3, completionMode: Indexed, {ONCE}}}
""",
    "CronJob": f"""
apiVersion: batch/v1
kind: CronJob
metadata: {{name: nightly}}
spec: {{schedule: "0 3 * * *", jobTemplate: {{spec: {{parallelism: 2, {ONCE}}}}}}}
""",
    "ReplicationController": f"""
apiVersion: v1
kind: ReplicationController
metadata: {{name: old}}
spec: {{replicas: 2, {TEMPLATE}}}
""",
    "Pod": f"""
apiVersion: v1
kind: Pod
metadata: {{name: alone}}
{SPEC}
""",
}

PRIORITY = """
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: vip}
value: 1000
"""


def simulated(tmp_path: Path, text: str, **pool: Any) -> Outcome:
    file = tmp_path / "manifest.yaml"
    file.write_text(text)
    pools = shape.pools({"pools": [POOL | {"zones": ["a", "b", "c"]} | pool]})
    return simulate(Present([*shape.nodes(pools)]), manifests.read([str(file)], "default"), 1)


# --- shapes ---


def test_nodes_take_the_zones_of_their_pool_in_turn() -> None:
    pools = shape.pools({"pools": [POOL | {"count": 4, "zones": ["a", "b"], "region": "north"}]})
    nodes = [*shape.nodes(pools)]
    assert [node["metadata"]["labels"][shape.ZONE] for node in nodes] == ["a", "b", "a", "b"]
    assert {node["metadata"]["labels"][shape.REGION] for node in nodes} == {"north"}
    assert nodes[0]["status"]["allocatable"] == {"cpu": "4", "memory": "8Gi", "pods": "110"}


def test_pools_share_a_total_as_their_counts_say() -> None:
    pools = shape.pools({"pools": [POOL, POOL | {"name": "gpu", "count": 1}]})
    assert [count for _, count in shape.sized(pools, None)] == [3, 1]
    assert [count for _, count in shape.sized(pools, 10)] == [8, 2]
    assert [count for _, count in shape.sized(pools, 10_000)] == [7500, 2500]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([], "the file: Invalid value: must be a map"),
        ({}, "pools: Required value: a list of at least one pool of nodes"),
        ({"nodes": 3}, "nodes: unknown field; there are pools"),
        (
            {"pools": [POOL | {"disk": "ssd"}]},
            "pools[0].disk: unknown field; there are count, cpu,",
        ),
        ({"pools": [POOL | {"name": "A b"}]}, 'pools[0].name: Invalid value: "A b": a DNS label'),
        ({"pools": [POOL | {"count": 0}]}, "pools[0].count: Invalid value: 0: how many nodes"),
        (
            {"pools": [POOL | {"cpu": "many"}]},
            'pools[0].cpu: Invalid value: "many": must be a quan',
        ),
        ({"pools": [{"name": "a", "count": 1, "cpu": 1}]}, "pools[0].memory: Required value"),
        ({"pools": [POOL | {"zones": "a"}]}, "pools[0].zones: Invalid value: must be a list"),
        ({"pools": [POOL | {"labels": {"a": None}}]}, "pools[0].labels.a: Invalid value: None"),
        (
            {"pools": [POOL | {"taints": ["gpu"]}]},
            'pools[0].taints: Invalid value: "gpu": KEY=VALUE',
        ),
        ({"pools": [POOL, POOL]}, 'pools[1].name: Duplicate value: "general"'),
        (
            {"pools": [POOL | {"count": 100_001}]},
            "pools: Invalid value: no more than 100,000 nodes",
        ),
    ],
)
def test_a_wrong_shape_is_refused_by_the_field(content: Any, why: str) -> None:
    with pytest.raises(ValueError) as refusal:
        shape.pools(content)
    assert str(refusal.value).startswith(why)


def test_the_shape_in_the_documentation_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "scheduler.md").read_text(encoding="utf-8")
    (block,) = [part for part in page.split("```yaml\n") if part.startswith("pools:")]
    general, gpu = shape.pools(read_yaml(block.partition("```")[0].encode()))
    assert (general.name, general.count, general.zones) == ("general", 60, ("a", "b", "c"))
    assert gpu.amounts["nvidia.com/gpu"] == "8"
    assert gpu.taints == ({"key": "dedicated", "value": "gpu", "effect": "NoSchedule"},)


# --- simulating ---


def test_a_deployment_is_spread_over_zones(tmp_path: Path) -> None:
    outcome = simulated(tmp_path, WEB)
    (web,) = outcome.workloads
    assert (web.title, web.wanted, web.placed) == ("deployment.apps/web", 6, 6)
    assert web.zones == {"a": 2, "b": 2, "c": 2}
    assert [(zone.name, zone.pods, zone.cpu) for zone in outcome.zones()] == [
        ("a", 2, 0.5), ("b", 2, 0.5), ("c", 2, 0.5),
    ]  # fmt: skip


def test_what_does_not_fit_says_why(tmp_path: Path) -> None:
    (job,) = simulated(tmp_path, TOO_LARGE).workloads
    assert (job.wanted, job.placed) == (2, 0)
    ((why, count),) = job.refused.items()
    assert count == 2
    assert why.startswith("0/3 nodes are available: 3 Insufficient cpu")


def test_a_quota_counts_as_in_a_cluster(tmp_path: Path) -> None:
    (web,) = simulated(tmp_path, QUOTA + WEB).workloads
    assert (web.wanted, web.placed) == (6, 4)
    assert sum(web.refused.values()) == 2
    assert all("exceeded quota: small" in why for why in web.refused)


def test_each_kind_of_workload_gets_the_pods_of_its_controller(tmp_path: Path) -> None:
    docs = "---".join(WORKLOADS[kind] for kind in WORKLOADS)
    outcome = simulated(tmp_path, docs, cpu=64, pods=500)
    assert {one.title: (one.wanted, one.placed) for one in outcome.workloads} == {
        "daemonset.apps/agent": (3, 3),
        "statefulset.apps/db": (2, 2),
        "job.batch/batch": (3, 3),
        "cronjob.batch/nightly": (2, 2),
        "replicationcontroller/old": (2, 2),
        "pod/alone": (1, 1),
    }


def test_a_daemon_is_not_on_nodes_that_it_does_not_mean(tmp_path: Path) -> None:
    outcome = simulated(tmp_path, WORKLOADS["DaemonSet"], taints=["only=gpu:NoSchedule"])
    assert [(one.wanted, one.placed) for one in outcome.workloads] == [(0, 0)]


def test_more_important_pods_take_the_place_of_others(tmp_path: Path) -> None:
    important = WEB.replace("name: web, namespace", "name: vip, namespace").replace(
        "    spec:\n      containers", "    spec:\n      priorityClassName: vip\n      containers"
    )
    docs = "---".join([PRIORITY, WEB.replace("replicas: 6", "replicas: 12"), important])
    outcome = simulated(tmp_path, docs)
    web, vip = outcome.workloads
    assert (web.title, web.wanted, web.placed) == ("deployment.apps/web", 12, 6)
    assert (vip.title, vip.wanted, vip.placed) == ("deployment.apps/vip", 6, 6)


def test_pods_that_are_there_are_said_to_be_evicted(tmp_path: Path) -> None:
    nodes = [*shape.nodes(shape.pools({"pools": [POOL | {"count": 1}]}))]
    spec = {"containers": [{"name": "c", "resources": {"requests": {"cpu": "4"}}}]}
    there = {
        "metadata": {"namespace": "shop", "name": "old", "uid": "old"},
        "spec": {**spec, "nodeName": "general-0", "priority": 0},
        "status": {"phase": "Running"},
    }
    file = tmp_path / "vip.yaml"
    file.write_text(
        PRIORITY
        + "---"
        + WORKLOADS["Pod"]
        .replace("{containers", "{priorityClassName: vip, containers")
        .replace("image: c", "image: c, resources: {requests: {cpu: 3}}")
    )
    outcome = simulate(Present(nodes, [there]), manifests.read([str(file)], "default"), 1)
    assert outcome.evicted == ["shop/old"]
    assert outcome.workloads[0].placed == 1


@pytest.mark.parametrize(
    ("field", "placed", "why"),
    [
        ("nodeName: general-1", 1, ""),
        ("nodeName: none", 0, 'nodes "none" not found'),
        ("schedulingGates: [{name: a.example.org/a}]", 0, "held by its scheduling gates: a.exampl"),
        ("schedulerName: theirs", 0, "left to another scheduler, theirs"),
    ],
)
def test_pods_that_are_not_the_schedulers(
    tmp_path: Path, field: str, placed: int, why: str
) -> None:
    text = WORKLOADS["Pod"].replace("{containers", f"{{{field}, containers")
    (one,) = simulated(tmp_path, text).workloads
    assert one.placed == placed
    assert [reason[: len(why)] for reason in one.refused] == ([why] if why else [])


GANG = """
apiVersion: scheduling.k8s.io/v1beta1
kind: PodGroup
metadata: {name: g}
spec: {schedulingPolicy: {gang: {minCount: 3}}}
"""


@pytest.mark.parametrize(("members", "placed"), [(2, 0), (3, 3)])
def test_a_gang_is_placed_as_a_whole(tmp_path: Path, members: int, placed: int) -> None:
    text = WORKLOADS["Job"].replace("completions: 3", f"completions: {members}")
    text = text.replace("{restartPolicy", "{schedulingGroup: {podGroupName: g}, restartPolicy")
    (job,) = simulated(tmp_path, GANG + "---" + text).workloads
    assert (job.wanted, job.placed) == (members, placed)
    assert bool(job.refused) == (placed == 0)


def test_profiles_say_how_nodes_are_filled(tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(WEB.replace("replicas: 6", "replicas: 3"))
    packing = Profile(weights={"PodTopologySpread": 0.0}, strategy=Strategy.MOST)
    present = Present([*shape.nodes(shape.pools({"pools": [POOL]}))])
    given = manifests.read([str(file)], "default")
    spread = simulate(present, given, 1)
    packed = simulate(present, given, 1, {packing.name: packing})
    assert sorted(node.used["pods"] for node in spread.nodes) == [1, 1, 1]
    assert sorted(node.used["pods"] for node in packed.nodes) == [0, 0, 3]


def test_the_same_seed_gives_the_same_answer(tmp_path: Path) -> None:
    first, second = simulated(tmp_path, WEB), simulated(tmp_path, WEB)
    assert [node.used for node in first.nodes] == [node.used for node in second.nodes]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("kind: Pod", "each document has to be one object, with apiVersion, kind and metadata"),
        ("{apiVersion: v9, kind: Cat, metadata: {}}", 'no matches for kind "Cat" in version "v9"'),
        (
            WEB.replace("replicas: 6", "replicas: -1"),
            'deployment.apps/web: Deployment.apps "web" is',
        ),
        (WEB + "---" + WEB, "deployment.apps/web is there twice"),
        ("a: [", "manifest.yaml: while parsing"),
    ],
)
def test_what_no_server_would_take_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ClusterError) as refusal:
        simulated(tmp_path, text)
    assert why in str(refusal.value)


# --- telling ---


def node(name: str, zone: str, cpu_millis: int) -> NodeLoad:
    labels = {shape.ZONE: zone}
    status = {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"}}
    (load,) = loads([{"metadata": {"name": name, "labels": labels}, "status": status}]).values()
    load.used.update({"cpu": cpu_millis, "pods": 1})
    return load


def test_a_heat_map_shows_what_is_empty_and_what_is_full() -> None:
    assert report.heat_map([0.0, 0.01, 0.5, 0.99, 1.0]) == ["·▁▄▇█"]
    rows = report.heat_map([0.0] * 1000)
    assert len(rows) <= 4
    assert all(len(row) <= 60 for row in rows)


def test_the_picture_has_a_square_for_each_node_and_says_how_full_they_are() -> None:
    outcome = Outcome([node(f"n{at}", "ab"[at % 2], 40 * at) for at in range(100)], [])
    root = ElementTree.fromstring(as_svg(outcome))
    paths = [one for one in root.iter() if one.tag.endswith("path")]
    assert sum(path.attrib["d"].count("M") for path in paths) == 100
    titles = [title.text for path in paths for title in path]
    assert "5 nodes of zone a are 0 to 10 % full" in titles
