"""What grows and what goes, for any nodes and pods; judged by the scheduler's planner, as in a server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from longshore.cluster.autoscale.trial import PictureTrial
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.nodegroups.plan import (
    MAX_REACHED,
    Candidate,
    Pool,
    barred,
    grow,
    tried,
)
from longshore.machinery.controllers.nodegroups.protocol import NodeGroup
from longshore.machinery.scheduler.profile import PROFILES

CPU = 8000
LARGE = 16000


def node(name: str, cpu: int = CPU) -> Doc:
    amounts = {"cpu": f"{cpu}m", "memory": "64Gi", "pods": "110"}
    status = {"capacity": amounts, "allocatable": amounts}
    labels = {"kubernetes.io/hostname": name}
    return {"metadata": {"name": name, "labels": labels}, "spec": {}, "status": status}


def pod(number: int, cpu: int, where: str = "", *, apart: bool = False) -> Doc:
    """apart: it is on no node with another of its kind."""
    container = {"name": "c", "image": "one", "resources": {"requests": {"cpu": f"{cpu}m"}}}
    spec: Doc = {"containers": [container], **({"nodeName": where} if where else {})}
    labels = {"app": "apart"} if apart else {"app": "any"}
    if apart:
        term = {"labelSelector": {"matchLabels": labels}, "topologyKey": "kubernetes.io/hostname"}
        required = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
        spec["affinity"] = {"podAntiAffinity": required}
    owner = {"kind": "ReplicaSet", "name": "rs", "uid": "rs", "controller": True}
    metadata = {
        "name": f"p{number}", "namespace": "default", "uid": f"u{number}", "labels": labels,
        "ownerReferences": [{"apiVersion": "apps/v1", **owner}],
    }  # fmt: skip
    return {"metadata": metadata, "spec": spec}


def uid(one: Doc) -> str:
    return str(one["metadata"]["uid"])


def used(look: PictureTrial) -> dict[str, list[int]]:
    """What is free on each node."""
    view = look.picture.view
    return {name: view.free[:, row].tolist() for name, row in view.rows.items()}


def places(look: PictureTrial, pods: Iterable[Doc]) -> dict[str, str]:
    """Where pods are, those that are somewhere."""
    found = {uid(one): look.picture.view.node_of(uid(one)) for one in pods}
    return {one: where for one, where in found.items() if where}


def cpu_of(one: Doc) -> int:
    return int(one["spec"]["containers"][0]["resources"]["requests"]["cpu"][:-1])


def trial(nodes: Iterable[Doc], bound: Iterable[Doc], waiting: Sequence[Doc]) -> PictureTrial:
    namespaces = [{"metadata": {"name": "default"}}]
    objects = {kinds.NODE: [*nodes], kinds.POD: [*bound], kinds.NAMESPACE: namespaces}
    return PictureTrial(objects, (), waiting, PROFILES)


def pool(name: str, size: int, most: int, template: Doc) -> Pool:
    group = NodeGroup(name, 0, most, tuple(f"{name}-{at}" for at in range(size)))
    return Pool(group, template, barred(group, template, in_backoff=False))


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[Doc], list[Doc]]:
    """Nodes, and pods that are on them without exceeding them."""
    nodes = [node(f"n-{at}") for at in range(draw(st.integers(1, 5)))]
    pods: list[Doc] = []
    for one in nodes:
        name, left = one["metadata"]["name"], CPU
        lonely = draw(st.booleans())
        for cpu in draw(st.lists(st.integers(100, 4000), max_size=4)):
            if cpu <= left:
                pods.append(pod(len(pods), cpu, name, apart=lonely))
                left, lonely = left - cpu, False
    return nodes, pods


waiting_pods = st.lists(st.tuples(st.integers(100, 18000), st.booleans()), max_size=8)


@given(clusters(), waiting_pods, st.integers(0, 4), st.integers(0, 3))
def test_what_grows(
    cluster: tuple[list[Doc], list[Doc]], asked: list[tuple[int, bool]], small: int, large: int
) -> None:
    nodes, bound = cluster
    waiting = [pod(100 + at, cpu, apart=apart) for at, (cpu, apart) in enumerate(asked)]
    pools = [
        pool("n", len(nodes), len(nodes) + small, node("t")),
        pool("large", 0, large, node("t", LARGE)),
    ]
    growth = grow(trial(nodes, bound, waiting), pools, waiting)
    sizes = {"n": CPU, "large": LARGE}
    for increase in growth.increases:
        assert 0 < increase.count <= increase.group.max_size - increase.group.size
        room = increase.count * sizes[increase.group.name]
        assert increase.pods and sum(map(cpu_of, increase.pods)) <= room
        assert (
            sum(one["metadata"]["labels"]["app"] == "apart" for one in increase.pods)
            <= increase.count
        )
    helped = [one["metadata"]["uid"] for step in growth.increases for one in step.pods]
    assert len(helped) == len(set(helped)) and not set(helped) & growth.refused.keys()
    grown = {increase.group.name for increase in growth.increases}
    for one in waiting:
        why = growth.refused.get(one["metadata"]["uid"])
        if why is not None and cpu_of(one) <= LARGE and large and "large" not in grown:
            raise AssertionError(f"a free group was not used: {why}")
        if why is not None and cpu_of(one) > LARGE:
            assert MAX_REACHED in why or why == "2 Insufficient cpu"


@given(clusters(), waiting_pods, st.integers(0, 5))
def test_who_goes_leaves_nobody_without_a_place(
    cluster: tuple[list[Doc], list[Doc]], asked: list[tuple[int, bool]], spare: int
) -> None:
    """Nor those that wait and would get a place."""
    nodes, bound = cluster
    waiting = [pod(100 + at, cpu, apart=apart) for at, (cpu, apart) in enumerate(asked)]
    look = trial(nodes, bound, waiting)
    fit = look.place(waiting)
    candidates = [
        Candidate(name, "n", tuple(p for p in bound if p["spec"]["nodeName"] == name), 0.0)
        for name in (one["metadata"]["name"] for one in nodes)
    ]
    gone = {one.node for one, may_go in tried(look, candidates, {"n": spare}) if may_go}
    assert len(gone) <= spare
    homes = places(look, [*bound, *waiting])
    assert homes.keys() == {uid(one) for one in bound} | fit and not gone & {*homes.values()}
    load: Counter[str] = Counter()
    for one in (*bound, *waiting):
        if uid(one) in homes:
            load[homes[uid(one)]] += cpu_of(one)
    assert max(load.values(), default=0) <= CPU


@given(clusters(), waiting_pods)
def test_a_trial_is_as_it_was(
    cluster: tuple[list[Doc], list[Doc]], asked: list[tuple[int, bool]]
) -> None:
    nodes, bound = cluster
    waiting = [pod(100 + at, cpu, apart=apart) for at, (cpu, apart) in enumerate(asked)]
    look = trial(nodes, bound, waiting)
    before = used(look)
    look.pack(node("t"), waiting, 3)
    for one in waiting:
        look.objections(node("t"), one)
    assert used(look) == before and not places(look, waiting)
    for one in nodes:
        name = one["metadata"]["name"]
        there = [p for p in bound if p["spec"]["nodeName"] == name]
        if not look.vacate(name, there):
            assert used(look) == before
        before = used(look)
