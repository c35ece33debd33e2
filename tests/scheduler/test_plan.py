"""A decision is a value: what goes in decides what comes out, and nothing else changes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.explain import verdicts
from longshore.machinery.scheduler.plan import plan
from longshore.machinery.scheduler.pods.podclass import PodClass, PodClasses
from longshore.machinery.scheduler.view.view import ClusterView

from .placing import node, place, pod, view_of
from .test_classes import HOST, REQUIRED, labelled

ZONE = "topology.kubernetes.io/zone"


def zoned(count: int, zones: int = 3, **more: Any) -> ClusterView:
    return view_of(*(node(f"n{i}", labels={ZONE: f"z{i % zones}"}, **more) for i in range(count)))


def several(*docs: Doc, each: int) -> list[tuple[str, PodClass]]:
    classes = PodClasses()
    return [(f"{k}-{i}", classes.of(doc)) for k, doc in enumerate(docs) for i in range(each)]


MIXED = (
    labelled("a", {"app": "a"}),
    labelled(
        "b", {"app": "b"},
        affinity={"podAntiAffinity": {REQUIRED: [
            {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": "b"}}}]}},
    ),
    labelled(
        "c", {"app": "c"},
        topologySpreadConstraints=[{
            "maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": {"app": "c"}}}],
    ),
    pod("d", {"cpu": "99"}),
)  # fmt: skip


def test_the_same_question_has_the_same_answer_and_leaves_no_trace() -> None:
    view, asked = zoned(30), several(*MIXED, each=25)
    free, taken = view.free.copy(), view.loads.taken.copy()
    one, other = plan(view, asked, seed=5), plan(view, asked, seed=5)
    assert one == other
    assert np.array_equal(view.free, free)
    assert np.array_equal(view.loads.taken, taken)
    assert not any(view.counts(term.query).rows for _, c in asked for term in c.affinity or ())


def test_each_pod_is_placed_or_refused_with_a_reason() -> None:
    decision = plan(zoned(30), several(*MIXED, each=25), seed=0)
    assert len(decision.placements) == 75
    assert set(decision.refusals.values()) == {"0/30 nodes are available: 30 Insufficient cpu."}
    of_b = [name for uid, name in decision.placements.items() if uid.startswith("1-")]
    assert max(Counter(of_b).values()) == 1
    of_c = [int(name[1:]) % 3 for uid, name in decision.placements.items() if uid.startswith("2-")]
    assert sorted(Counter(of_c).values()) == [8, 8, 9]


def test_what_was_placed_before_counts_for_who_comes_after() -> None:
    view = view_of(node("a", cpu="2"), node("b", cpu="2"))
    asked = several(pod("x", {"cpu": "1500m"}), pod("y", {"cpu": "1"}), each=2)
    decision = plan(view, asked, seed=0)
    assert sorted(decision.placements) == ["0-0", "0-1"]
    assert sorted(decision.refusals) == ["1-0", "1-1"]


def test_the_seed_decides_between_equal_nodes() -> None:
    view, asked = zoned(20, zones=1), several(pod("p", {"cpu": "1"}), each=1)
    chosen = [plan(view, asked, seed).placements["0-0"] for seed in range(20)]
    assert len(set(chosen)) == 20


def test_a_series_that_wants_to_be_together_begins_somewhere_and_stays() -> None:
    term = {"topologyKey": ZONE, "labelSelector": {"matchLabels": {"app": "x"}}}
    doc = labelled("p", {"app": "x"}, affinity={"podAffinity": {REQUIRED: [term]}})
    zones = {int(name[1:]) % 3 for name in place(zoned(30), doc, 40)}
    assert len(zones) == 1


def test_one_a_node_is_all_that_fits_of_those_that_keep_apart() -> None:
    assert len(set(place(zoned(40), MIXED[1], 60))) == 40


@pytest.mark.parametrize("count", [9, 90])
def test_too_few_domains_hold_no_more_than_the_skew(count: int) -> None:
    constraint = {**MIXED[2]["spec"]["topologySpreadConstraints"][0], "minDomains": 5, "maxSkew": 2}
    doc = labelled("p", {"app": "c"}, topologySpreadConstraints=[constraint])
    placed = place(zoned(30), doc, count)
    assert sorted(Counter(int(name[1:]) % 3 for name in placed).values()) == [2, 2, 2]


def test_a_full_zone_holds_the_others_back() -> None:
    nodes = [node("a", pods=1, labels={ZONE: "small"}), node("b", labels={ZONE: "large"})]
    placed = Counter(place(view_of(*nodes), MIXED[2], 50))
    assert placed == {"a": 1, "b": 2}


def test_a_table_tells_every_rule_s_verdict_and_score() -> None:
    view = view_of(node("good"), node("tainted", taints=["a=b:NoSchedule"]), node("small", cpu="0"))
    found = verdicts(view, PodClasses().of(pod("p", {"cpu": "1", "memory": "1Gi"})))
    told = {
        (one.rule, view.names[row]): reason
        for one in found
        for row, reason in enumerate(one.reasons)
        if reason
    }
    assert told == {
        ("TaintToleration", "tainted"): "node(s) had untolerated taint(s)",
        ("NodeResourcesFit", "small"): "Insufficient cpu",
    }
    fit = next(one for one in found if one.rule == "NodeResourcesFit")
    assert fit.weight == 1
    assert fit.scores is not None
    assert fit.scores[0] == pytest.approx((75 + 87.5) / 2)
