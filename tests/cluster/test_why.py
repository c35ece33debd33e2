"""How every rule sees every node for a pod, as a table and as text."""

from __future__ import annotations

import pytest

from longshore.cluster.why import report
from longshore.cluster.why.notes import notes
from longshore.cluster.why.report import Answer
from longshore.cluster.why.table import folded, judged
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.offers import ANNOTATION
from longshore.machinery.scheduler.picture import picture
from longshore.machinery.scheduler.queues.settings import LABEL
from tests.scheduler.placing import node, pod

NODES = [
    node("big-0", cpu="8"),
    node("big-1", cpu="8"),
    node("gpu-0", taints=["only=gpu:NoSchedule"]),
    node("small-0", cpu="1"),
]
WAITING = pod("web", {"cpu": "2"})


def answer(doc: Doc, pods: list[Doc] | None = None, nodes: list[Doc] = NODES) -> Answer:
    shown = picture({kinds.NAMESPACE: [], kinds.NODE: nodes, kinds.POD: pods or []}, also=[doc])
    return Answer(doc, judged(shown, doc))


def test_nodes_that_fit_come_first_each_with_its_scores() -> None:
    nodes = answer(WAITING).nodes
    assert [(one.node, not one.objections) for one in nodes] == [
        ("big-0", True), ("big-1", True), ("gpu-0", False), ("small-0", False),
    ]  # fmt: skip
    (fit,) = [one for one in nodes[0].scores if one.rule == "NodeResourcesFit"]
    # 2 of 8 CPUs; 200 MiB, which a pod that says nothing counts as, of 8 GiB.
    assert fit.score == pytest.approx((75.0 + 100 * (1 - 200 / 8192)) / 2)
    assert nodes[0].total == pytest.approx(sum(one.weight * one.score for one in nodes[0].scores))
    assert nodes[2].total == 0


def test_all_rules_that_object_are_told_of() -> None:
    picky = pod("web", {"cpu": "2"}, nodeSelector={"disk": "ssd"})
    told = {one.node: [two.rule for two in one.objections] for one in answer(picky).nodes}
    assert told["gpu-0"] == ["TaintToleration", "NodeAffinity"]
    assert told["small-0"] == ["NodeAffinity", "NodeResourcesFit"]


def test_a_pod_that_is_placed_is_seen_as_if_it_were_placed_now() -> None:
    placed = pod("web", {"cpu": "6"}, node="big-0")
    nodes = answer(placed, [placed]).nodes
    assert {one.node for one in nodes if not one.objections} == {"big-0", "big-1"}
    assert nodes[0].total == nodes[1].total


def test_nodes_that_are_seen_alike_are_one_line() -> None:
    groups = folded(answer(WAITING).nodes)
    assert [list(group.nodes) for group in groups] == [["big-0", "big-1"], ["gpu-0"], ["small-0"]]


def test_the_text_has_scores_and_what_keeps_the_pod_off() -> None:
    text = report.as_text(answer(WAITING))
    assert "2 of 4 nodes would take it" in text
    lines = [line.split("   ") for line in text.splitlines()]
    assert [cell.strip() for cell in lines[4] if cell.strip()][:2] == ["big-0, big-1", "2"]
    assert "TaintToleration: node(s) had untolerated taint(s)" in text
    assert "NodeResourcesFit: Insufficient cpu" in text


def test_one_node_rule_by_rule() -> None:
    told = answer(WAITING)
    assert "big-1 takes it, place 2 of 2:" in report.of_node(told, "big-1")
    assert "small-0 does not take it:\n  NodeResourcesFit: " in report.of_node(told, "small-0")
    with pytest.raises(KeyError):
        report.of_node(told, "nowhere")


def test_as_json_it_is_all_there() -> None:
    told = answer(WAITING).as_dict()
    assert (told["namespace"], told["pod"], told["node"]) == ("shop", "web", "")
    assert [one["fits"] for one in told["nodes"]] == [True, True, False, False]
    assert told["nodes"][3]["objections"] == [
        {"rule": "NodeResourcesFit", "reason": "Insufficient cpu"}
    ]


GROUP = {
    "spec": {"schedulingPolicy": {"gang": {"minCount": 3}}},
    "status": {"conditions": [
        {"type": "PodGroupInitiallyScheduled", "status": "False", "reason": "Unschedulable",
         "message": "2 of 3 fit"}]},
}  # fmt: skip
QUEUE = {
    "spec": {"clusterQueue": "all"},
    "status": {"pendingWorkloads": 4, "admittedWorkloads": 2},
}


@pytest.mark.parametrize(
    ("group", "queue", "told"),
    [
        (
            None,
            None,
            ["its group, PodGroup g, does not exist", "its queue, LocalQueue q, does not exist"],
        ),
        (
            GROUP,
            QUEUE,
            [
                "it is of PodGroup g: at least 3 of its pods run together; Unschedulable: 2 of 3 fit",
                "it is in LocalQueue q of ClusterQueue all: 4 wait, 2 are admitted",
            ],
        ),
        (
            {"spec": {"schedulingPolicy": {"basic": {}}}},
            {"spec": {"clusterQueue": "all"}},
            [
                "it is of PodGroup g: its pods stand alone",
                "it is in LocalQueue q of ClusterQueue all: 0 wait, 0 are admitted",
            ],
        ),
    ],
)
def test_groups_and_queues_are_told_of(
    group: Doc | None, queue: Doc | None, told: list[str]
) -> None:
    doc = pod("web", schedulingGroup={"podGroupName": "g"})
    doc["metadata"]["labels"] = {LABEL: "q"}
    assert list(notes(doc, group, queue)) == told


def test_gates_are_told_of() -> None:
    doc = pod("web", schedulingGates=[{"name": "a.example.org/a"}, {"name": "b"}])
    (told,) = notes(doc, None, None)
    assert told == "it is held by its scheduling gates: a.example.org/a, b"


def test_what_is_offered_to_others_is_not_free() -> None:
    offer = {
        "metadata": {"name": "o"},
        "spec": {"schedulerName": "theirs", "nodeName": "big-0", "resources": {"cpu": "7"}},
    }
    taken = pod("theirs", {"cpu": "6"}, node="big-0", schedulerName="theirs")
    taken["metadata"]["annotations"] = {ANNOTATION: "o"}
    for pods in ([], [taken]):
        objects = {kinds.NODE: NODES[:1], kinds.POD: pods, kinds.OFFER: [offer]}
        (node_,) = judged(picture(objects, also=[WAITING]), WAITING)
        assert [one.reason for one in node_.objections] == ["Insufficient cpu"]
    (node_,) = judged(picture({kinds.NODE: NODES[:1]}, also=[WAITING]), WAITING)
    assert not node_.objections


def test_of_an_offer_only_what_is_left_is_held() -> None:
    offer = {
        "metadata": {"name": "o"},
        "spec": {"schedulerName": "theirs", "nodeName": "big-0", "resources": {"cpu": "4"}},
    }
    taken = pod("theirs", {"cpu": "4"}, node="big-0", schedulerName="theirs")
    taken["metadata"]["annotations"] = {ANNOTATION: "o"}
    objects = {kinds.NODE: NODES[:1], kinds.POD: [taken], kinds.OFFER: [offer]}
    (node_,) = judged(picture(objects, also=[WAITING]), WAITING)
    assert not node_.objections  # 8 CPUs, of which 4 are offered and taken, not 8
