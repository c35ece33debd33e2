"""Which nodes may take a pod, and how a refusal reads."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects.kinds import Doc

from .placing import class_of, explain, node, place, pod, view_of

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def node_affinity(*terms: Doc) -> Doc:
    return {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": list(terms)}}}


def expression(key: str, operator: str, *values: str) -> Doc:
    return {"key": key, "operator": operator, "values": list(values)}


CLUSTER = [
    node("plain"),
    node("fast", labels={"disk": "ssd", "cores": "64"}),
    node("slow", labels={"disk": "hdd", "cores": "4"}),
]


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        pytest.param({"nodeSelector": {"disk": "ssd"}}, {"fast"}, id="selector"),
        pytest.param({"nodeSelector": {"disk": "tape"}}, set(), id="selector nobody meets"),
        pytest.param(
            {"affinity": node_affinity({"matchExpressions": [expression("disk", "Exists")]})},
            {"fast", "slow"},
            id="Exists",
        ),
        pytest.param(
            {"affinity": node_affinity({"matchExpressions": [expression("disk", "DoesNotExist")]})},
            {"plain"},
            id="DoesNotExist",
        ),
        pytest.param(
            {"affinity": node_affinity({"matchExpressions": [expression("disk", "NotIn", "hdd")]})},
            {"plain", "fast"},
            id="NotIn holds without the label",
        ),
        pytest.param(
            {"affinity": node_affinity({"matchExpressions": [expression("cores", "Gt", "8")]})},
            {"fast"},
            id="Gt",
        ),
        pytest.param(
            {"affinity": node_affinity({"matchExpressions": [expression("cores", "Lt", "8")]})},
            {"slow"},
            id="Lt",
        ),
        pytest.param(
            {"affinity": node_affinity({"matchFields": [expression("metadata.name", "In", "slow")]})},
            {"slow"},
            id="the node's name",
        ),
        pytest.param(
            {
                "affinity": node_affinity(
                    {"matchExpressions": [expression("disk", "In", "ssd")]},
                    {"matchExpressions": [expression("disk", "DoesNotExist")]},
                )
            },
            {"plain", "fast"},
            id="terms are alternatives",
        ),
        pytest.param({"affinity": node_affinity({})}, set(), id="an empty term matches nothing"),
    ],
)  # fmt: skip
def test_labels_decide(wish: dict[str, Any], expected: set[str]) -> None:
    view = view_of(*CLUSTER)
    assert set(place(view, pod("p", **wish), count=300)) == expected


@pytest.mark.parametrize(
    ("tolerations", "fits"),
    [
        pytest.param([], False, id="none"),
        pytest.param([{"key": "gpu", "operator": "Equal", "value": "a"}], True, id="equal"),
        pytest.param([{"key": "gpu", "value": "a"}], True, id="equal is the default"),
        pytest.param([{"key": "gpu", "value": "b"}], False, id="another value"),
        pytest.param([{"key": "gpu", "operator": "Exists"}], True, id="exists"),
        pytest.param([{"operator": "Exists"}], True, id="everything"),
        pytest.param(
            [{"key": "gpu", "operator": "Exists", "effect": "NoExecute"}], False, id="effect"
        ),
    ],
)
def test_a_taint_asks_for_a_toleration(tolerations: list[Doc], fits: bool) -> None:
    view = view_of(node("tainted", taints=["gpu=a:NoSchedule"]))
    assert bool(place(view, pod("p", tolerations=tolerations))) is fits


def test_a_preferred_taint_only_repels() -> None:
    view = view_of(node("shunned", taints=["old=1:PreferNoSchedule"], cpu="64"), node("liked"))
    assert place(view, pod("p")) == ["liked"]
    view.put_node(node("liked", unschedulable=True))
    assert place(view, pod("p")) == ["shunned"]


def test_a_cordon_keeps_pods_off_unless_tolerated() -> None:
    view = view_of(node("n", unschedulable=True))
    assert place(view, pod("p")) == []
    tolerant = pod("p", tolerations=[{"operator": "Exists"}])
    assert place(view, tolerant) == ["n"]


def test_a_host_port_is_taken_once() -> None:
    ports = [{"containerPort": 80, "hostPort": 80}]
    view = view_of(node("a"), node("b"))
    assert sorted(place(view, pod("p", ports=ports), count=3)) == ["a", "b"]
    view.put_pod("uid-p", "a", class_of(pod("p", ports=ports)))
    assert place(view, pod("q", ports=ports), count=3) == ["b"]
    udp = [{"containerPort": 80, "hostPort": 80, "protocol": "UDP"}]
    assert len(place(view, pod("q", ports=udp), count=3)) == 2


def test_host_ports_on_different_addresses_do_not_collide() -> None:
    view = view_of(node("a"))
    one = pod("p", ports=[{"containerPort": 80, "hostPort": 80, "hostIP": "127.0.0.1"}])
    view.put_pod("uid-p", "a", class_of(one))
    other = pod("q", ports=[{"containerPort": 80, "hostPort": 80, "hostIP": "127.0.0.2"}])
    assert place(view, other) == ["a"]
    assert place(view, pod("r", ports=[{"containerPort": 80, "hostPort": 80}])) == []


def test_an_extended_resource_must_be_offered() -> None:
    view = view_of(node("a"), node("b", extended={"example.com/gpu": "2"}))
    wants = pod("p", {"example.com/gpu": "1"})
    assert place(view, wants, count=5) == ["b", "b"]
    assert explain(view_of(node("a")), wants) == (
        "0/1 nodes are available: 1 Insufficient example.com/gpu."
    )


def test_init_containers_count_by_their_peak_and_sidecars_throughout() -> None:
    def amounts(cpu: str) -> Doc:
        return {"requests": {"cpu": cpu}}

    doc = pod("p", {"cpu": "1"})
    doc["spec"]["initContainers"] = [
        {"name": "side", "resources": amounts("500m"), "restartPolicy": "Always"},
        {"name": "first", "resources": amounts("3")},
        {"name": "second", "resources": amounts("2")},
    ]
    doc["spec"]["overhead"] = {"cpu": "100m"}
    assert class_of(doc).requests == {"cpu": 3600}


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        pytest.param([], "no nodes available to schedule pods", id="no nodes"),
        pytest.param(
            [
                node("a", memory="1Gi"),
                node("b", memory="1Gi"),
                node("c", unschedulable=True),
            ],
            "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient memory.",
            id="memory and a cordon",
        ),
        pytest.param(
            [
                node("a", cpu="1", memory="1Gi"),
                node("b", taints=["gpu=a:NoSchedule"]),
                node("c", labels={"disk": "hdd"}),
                node("d", pods=0, labels={"disk": "ssd"}),
            ],
            "0/4 nodes are available: 1 Too many pods, "
            "1 node(s) had untolerated taint(s), "
            "2 node(s) didn't match Pod's node affinity/selector.",
            id="each node counts for its first objection",
        ),
        pytest.param(
            [node("a", cpu="1", memory="1Gi", labels={"disk": "ssd"})],
            "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.",
            id="but for every resource that is short",
        ),
    ],
)
def test_a_refusal_explains_itself(nodes: list[Doc], message: str) -> None:
    selector = {"disk": "ssd"} if "disk" in str(nodes) else {}
    wants = pod("p", {"cpu": "2", "memory": "2Gi"}, nodeSelector=selector)
    view = view_of(*nodes)
    assert place(view, wants) == []
    assert explain(view, wants) == message


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        pytest.param(
            {
                "resourceClaims": [{"name": "gpu", "resourceClaimName": "c"}],
                "schedulingGroup": {"podGroupName": "g"},
            },
            "spec.resourceClaims of the pods of a pod group is not supported yet",
            id="claims of devices in a group",
        ),
    ],
)
def test_what_is_not_supported_is_refused_by_name(spec: dict[str, Any], named: str) -> None:
    view = view_of(node("a"))
    assert place(view, pod("p", **spec)) == []
    assert explain(view, pod("p", **spec)) == named
