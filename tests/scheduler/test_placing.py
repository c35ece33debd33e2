"""Where pods go: safety for all, and sense for a few cases that one can follow by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler import batch, plan
from longshore.machinery.scheduler.memo import Memo
from longshore.machinery.scheduler.view.view import ClusterView

from .placing import class_of, node, place, pod, view_of

nodes = st.builds(
    lambda number, cpu, memory, pods, disk, zone, tainted, cordoned: node(
        f"n{number}",
        cpu=f"{cpu}m",
        memory=f"{memory}Mi",
        pods=pods,
        labels={"disk": disk, "topology.kubernetes.io/zone": zone},
        taints=["only=gpu:NoSchedule"] if tainted else [],
        unschedulable=cordoned,
    ),
    st.integers(0, 30),
    st.integers(0, 8000),
    st.integers(0, 8000),
    st.integers(0, 12),
    st.sampled_from(["ssd", "hdd"]),
    st.sampled_from(["a", "b", ""]),
    st.booleans(),
    st.booleans(),
)
pods = st.builds(
    lambda cpu, memory, disk, tolerant, owner: pod(
        "p",
        {"cpu": f"{cpu}m", "memory": f"{memory}Mi"},
        owner=owner,
        nodeSelector={"disk": disk} if disk else {},
        tolerations=[{"operator": "Exists", "key": "only"}] if tolerant else [],
    ),
    st.integers(0, 3000),
    st.integers(0, 3000),
    st.sampled_from(["", "ssd"]),
    st.booleans(),
    st.sampled_from(["", "rs"]),
)
clusters = st.lists(nodes, max_size=8, unique_by=lambda doc: doc["metadata"]["name"])


def milli(text: str) -> int:
    return int(text.removesuffix("m").removesuffix("Mi"))


def check_safe(docs: list[Doc], placed: list[tuple[Doc, str]]) -> None:
    """No node holds more than it has, or a pod that it may not: told from the documents alone."""
    by_name = {doc["metadata"]["name"]: doc for doc in docs}
    for name, there in by_name.items():
        mine = [p for p, node_name in placed if node_name == name]
        amounts = there["status"]["allocatable"]
        for resource in ("cpu", "memory"):
            asked = [p["spec"]["containers"][0]["resources"]["requests"][resource] for p in mine]
            assert sum(map(milli, asked)) <= milli(amounts[resource]), (name, resource)
        assert len(mine) <= int(amounts["pods"])
    for doc, name in placed:
        there = by_name[name]
        wanted = doc["spec"]["nodeSelector"].items()
        assert wanted <= there["metadata"]["labels"].items()
        assert not there["spec"].get("unschedulable")
        assert not there["spec"].get("taints") or doc["spec"]["tolerations"]


def schedule(view: ClusterView, wishes: list[tuple[Doc, int]]) -> list[tuple[Doc, str]]:
    memo = Memo()
    placed: list[tuple[Doc, str]] = []
    for number, (doc, count) in enumerate(wishes):
        pod_class = class_of(doc)
        rows = plan.place(view, pod_class, count, memo)
        view.put_pods([f"{number}-{i}" for i in range(len(rows))], rows, pod_class)
        placed += [(doc, view.names[row]) for row in rows]
    return placed


@given(clusters, st.lists(st.tuples(pods, st.integers(1, 60)), max_size=6))
def test_no_node_is_overcommitted_or_given_what_it_refuses(
    docs: list[Doc], wishes: list[tuple[Doc, int]]
) -> None:
    check_safe(docs, schedule(view_of(*docs), wishes))


@given(clusters, pods, st.integers(17, 90))
def test_a_batch_places_as_many_as_one_at_a_time(docs: list[Doc], doc: Doc, count: int) -> None:
    batch = schedule(view_of(*docs), [(doc, count)])
    single = schedule(view_of(*docs), [(doc, 1)] * count)
    check_safe(docs, batch)
    check_safe(docs, single)
    assert len(batch) == len(single)


@given(clusters, st.lists(st.tuples(pods, st.integers(1, 20)), max_size=5))
def test_taking_all_pods_away_leaves_an_empty_cluster(
    docs: list[Doc], wishes: list[tuple[Doc, int]]
) -> None:
    view = view_of(*docs)
    schedule(view, wishes)
    for number, (_, count) in enumerate(wishes):
        for i in range(count):
            view.drop_pod(f"{number}-{i}")
    assert not view.used.any()
    assert not view.scored.any()
    peers = class_of(pod("p", owner="rs")).peers
    assert peers is not None
    assert not view.counts(peers).rows


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=8),
    st.integers(0, 100),
)
def test_water_is_level_where_there_is_room(pairs: list[tuple[int, int]], count: int) -> None:
    levels, room = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
    count = min(count, int(room.sum()))
    poured = batch.water_fill(levels, room, count)
    assert poured.sum() == count
    assert ((poured >= 0) & (poured <= room)).all()
    wet, open_ = poured > 0, poured < room
    if wet.any() and open_.any():
        # Nothing was poured on a level while a lower one, that still has room, was left by more.
        assert (levels + poured)[wet].max() <= (levels + poured)[open_].min() + 1


def test_pods_of_a_set_spread_over_nodes_and_zones() -> None:
    docs = [node(f"n{i}", labels={"topology.kubernetes.io/zone": f"z{i % 2}"}) for i in range(4)]
    few = Counter(place(view_of(*docs), pod("p", owner="rs"), 4))
    many = Counter(place(view_of(*docs), pod("p", owner="rs"), 40))
    assert set(few.values()) == {1}
    assert set(many.values()) == {10}


def test_a_batch_is_about_as_even_as_one_at_a_time() -> None:
    docs = [node(f"n{i}", cpu=str(4 + i % 5), memory="16Gi") for i in range(10)]
    doc = pod("p", {"cpu": "200m", "memory": "256Mi"}, owner="rs")
    batch = Counter(name for _, name in schedule(view_of(*docs), [(doc, 100)]))
    single = Counter(name for _, name in schedule(view_of(*docs), [(doc, 1)] * 100))
    assert max(abs(batch[n] - single[n]) for n in view_of(*docs).names) <= 3


def test_the_emptier_node_wins() -> None:
    view = view_of(node("busy"), node("idle"))
    view.put_pod("x", "busy", class_of(pod("x", {"cpu": "2", "memory": "4Gi"})))
    assert place(view, pod("p", {"cpu": "1", "memory": "2Gi"})) == ["idle"]


def test_a_pod_goes_where_it_evens_things_out() -> None:
    view = view_of(node("lopsided"), node("even"))
    view.put_pod("x", "lopsided", class_of(pod("x", {"cpu": "3", "memory": "1Gi"})))
    view.put_pod("y", "even", class_of(pod("y", {"cpu": "1750m", "memory": "3584Mi"})))
    assert place(view, pod("p", {"cpu": "100m", "memory": "4Gi"})) == ["lopsided"]


def test_a_preferred_label_wins_among_equals() -> None:
    wish = {
        "weight": 5,
        "preference": {"matchExpressions": [{"key": "disk", "operator": "Exists"}]},
    }
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [wish]}}
    view = view_of(node("a"), node("b"), node("c", labels={"disk": "ssd"}))
    assert place(view, pod("p", affinity=affinity)) == ["c"]


def test_a_node_that_comes_back_still_has_its_pods() -> None:
    view = view_of(node("a", cpu="1"))
    view.put_pod("x", "a", class_of(pod("x", {"cpu": "1"})))
    view.drop_node("a")
    assert view.size == 1
    assert not view.alive.any()
    view.put_node(node("b", cpu="1"))
    view.put_node(node("a", cpu="1"))
    assert place(view, pod("p", {"cpu": "1"}), 2) == ["b"]


def test_rows_and_columns_grow() -> None:
    view = view_of(*(node(f"n{i}") for i in range(300)))
    view.put_node(node("special", extended={"example.com/gpu": "1"}))
    assert place(view, pod("p", {"example.com/gpu": "1"})) == ["special"]
    assert len(set(place(view, pod("p", owner="rs"), 301))) == 301
