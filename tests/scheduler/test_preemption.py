"""Whom preemption removes, and where: all nodes at once, judged by a plain reading of the rules."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.pods.podclass import PodClass, PodClasses
from longshore.machinery.scheduler.preemption.budgets import Budgets
from longshore.machinery.scheduler.preemption.columns import Scene
from longshore.machinery.scheduler.preemption.roster import Resident, Roster
from longshore.machinery.scheduler.preemption.search import Asked, Found, search
from longshore.machinery.scheduler.view.view import ClusterView

from .placing import node, pod

CPU_OF_A_NODE = 10


@dataclass(frozen=True)
class Low:
    """A pod that may have to go: on node number at, with so many cpus."""

    name: str
    at: int
    cpu: int
    priority: int
    start: float
    app: str = ""
    free: bool = False


class Site:
    """Nodes of ten cpus with pods on them; pods are free to overfill a node, as they do for tests."""

    def __init__(self, nodes: int, pods: list[Low], budgets: dict[str, int] | None = None) -> None:
        self.pods = pods
        self.budgets = Budgets()
        self.classes = PodClasses()
        self.view, self.roster = ClusterView(), Roster()
        for number in range(nodes):
            self.view.put_node(node(f"n{number}", cpu=str(CPU_OF_A_NODE)))
        for one in pods:
            self.add(one)
        for app, allowed in (budgets or {}).items():
            self.budgets.put(budget(app, allowed))

    def add(self, one: Low) -> None:
        doc = pod(one.name, {"cpu": str(one.cpu)})
        doc["metadata"]["labels"] = {"app": one.app}
        found = self.class_of(doc)
        self.view.put_pod(one.name, f"n{one.at}", found)
        resident = Resident(
            "shop", one.name, f"n{one.at}", found, one.priority, one.start, one.free
        )
        self.roster.put(one.name, resident)

    def class_of(self, doc: Doc) -> PodClass:
        return self.classes.of(doc)

    def search(self, cpu: int, priority: int, count: int = 1) -> Found:
        wanted = self.class_of(pod("urgent", {"cpu": str(cpu)}))
        asked = Asked(wanted, priority, count, 0)
        return search(Scene(self.view, self.roster).look(), asked, self.budgets)

    def found(self, cpu: int, priority: int) -> tuple[int, set[str]] | None:
        """The node chosen for one pod, and who goes."""
        makings = self.search(cpu, priority).makings
        if not makings:
            return None
        return makings[0].row, {self.roster.uids[slot] for slot in makings[0].victims}


def budget(app: str, allowed: int) -> Doc:
    return {
        "metadata": {"namespace": "shop", "name": app},
        "spec": {"selector": {"matchLabels": {"app": app}}},
        "status": {"disruptionsAllowed": allowed},
    }


# --- the same, as upstream's rules are written ---


def plain_victims(
    pods: list[Low], cpu: int, priority: int, budgets: dict[str, int]
) -> tuple[list[Low], int] | None:
    """Who goes from one node, and how many of them against their budget."""
    lower = [one for one in pods if one.priority < priority]
    if not lower:
        return None
    stay = [one for one in pods if one not in lower]
    if not fits([*stay], cpu):
        return None
    lower.sort(key=lambda one: (-one.priority, one.start))
    left, violating = dict(budgets), []
    for one in lower:
        if one.app in left and not one.free:
            left[one.app] -= 1
            if left[one.app] < 0:
                violating.append(one)
    gone: list[Low] = []
    for one in [*violating, *(one for one in lower if one not in violating)]:
        if not one.free and fits([*stay, one], cpu):
            stay.append(one)
        elif not one.free:
            gone.append(one)
    return gone, sum(one in violating for one in gone)


def fits(pods: list[Low], cpu: int) -> bool:
    return sum(one.cpu for one in pods) + cpu <= CPU_OF_A_NODE


def plain_rank(victims: list[Low], violations: int) -> tuple[float, ...]:
    """The less the better."""
    if not victims:
        return (0, float("-inf"), 0, 0, 0)
    highest = max(one.priority for one in victims)
    earliest = min(one.start for one in victims if one.priority == highest)
    total = sum(one.priority + (1 << 31) for one in victims)
    return (violations, highest, total, len(victims), -earliest)


PODS = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(1, 6), st.sampled_from([-5, 0, 0, 0, 3, 10, 10]),
        st.sampled_from([1.0, 2.0, 3.0, 4.0, 5.0]), st.sampled_from(["", "", "a", "b"]),
        st.sampled_from([False, False, False, True]),
    ),
    max_size=24,
)  # fmt: skip


@settings(max_examples=300)
@given(
    drawn=PODS, cpu=st.integers(1, 10), priority=st.sampled_from([0, 1, 5, 10, 20]),
    allowed=st.dictionaries(st.sampled_from("ab"), st.integers(-1, 2)),
)  # fmt: skip
def test_victims_and_nodes_are_those_of_the_rules(
    drawn: list[tuple[int, int, int, float, str, bool]], cpu: int, priority: int,
    allowed: dict[str, int],
) -> None:  # fmt: skip
    pods = [
        Low(f"p{number}", at, cpus, rank, start, app, free)
        for number, (at, cpus, rank, start, app, free) in enumerate(drawn)
    ]
    offers = {}
    for number in range(4):
        here = [one for one in pods if one.at == number]
        offer = plain_victims(here, cpu, priority, allowed)
        if offer is not None:
            offers[number] = (plain_rank(*offer), {one.name for one in offer[0]})
    found = Site(4, pods, allowed).found(cpu, priority)
    if not offers:
        assert found is None
        return
    assert found is not None
    at, victims = found
    best = min(rank for rank, _ in offers.values())
    assert offers[at][0] == best
    # Pods that are alike in all that counts may stand in for one another.
    twins = {one.name: (one.priority, one.start, one.cpu, one.app) for one in pods}
    assert sorted(twins[name] for name in victims) == sorted(twins[n] for n in offers[at][1])


@settings(max_examples=100)
@given(drawn=PODS, cpu=st.integers(1, 6), count=st.integers(1, 20))
def test_many_preemptors_fit_where_room_is_made_for_them(
    drawn: list[tuple[int, int, int, float, str, bool]], cpu: int, count: int
) -> None:
    pods = [
        Low(f"p{number}", at, cpus, rank, start)
        for number, (at, cpus, rank, start, _, _) in enumerate(drawn)
    ]
    site = Site(4, pods)
    makings = site.search(cpu, 5, count).makings
    assert len(makings) <= count
    assert len({one.row for one in makings}) == len(makings)
    for making in makings:
        left = [
            one for one in pods
            if one.at == making.row
            and one.name not in {site.roster.uids[slot] for slot in making.victims}
        ]  # fmt: skip
        assert fits(left, cpu)
        assert all(
            one.priority < 5 for one in pods
            if one.name in {site.roster.uids[slot] for slot in making.victims}
        )  # fmt: skip


# --- cases by name ---


def low(name: str, at: int, cpu: int = 10, priority: int = 0, start: float = 1.0) -> Low:
    return Low(name, at, cpu, priority, start)


def test_nobody_of_the_same_priority_goes() -> None:
    assert Site(1, [low("a", 0, priority=5)]).found(1, 5) is None
    assert Site(1, [low("a", 0, priority=5)]).found(1, 6) == (0, {"a"})


def test_the_more_important_is_reprieved_first() -> None:
    pods = [low("a", 0, cpu=5, priority=1), low("b", 0, cpu=5, priority=2)]
    assert Site(1, pods).found(5, 10) == (0, {"a"})


def test_of_equal_ones_the_older_stays() -> None:
    pods = [low("young", 0, cpu=5, start=9.0), low("old", 0, cpu=5, start=2.0)]
    assert Site(1, pods).found(5, 10) == (0, {"young"})


def test_a_pod_that_has_not_started_goes_first() -> None:
    pods = [low("young", 0, cpu=5, start=float("inf")), low("old", 0, cpu=5, start=2.0)]
    assert Site(1, pods).found(5, 10) == (0, {"young"})


def test_the_node_whose_victims_matter_least() -> None:
    assert Site(2, [low("a", 0, priority=2), low("b", 1, priority=1)]).found(1, 9) == (1, {"b"})


def test_the_fewest_victims() -> None:
    pods = [low("a", 0, cpu=5), low("b", 0, cpu=5), low("c", 1)]
    assert Site(2, pods).found(10, 9) == (1, {"c"})


def test_the_latest_start() -> None:
    pods = [low("early", 0, start=1.0), low("late", 1, start=7.0)]
    assert Site(2, pods).found(1, 9) == (1, {"late"})


def test_a_budget_that_would_be_violated_weighs_most() -> None:
    pods = [Low("kept", 0, 10, -5, 1.0, app="a"), low("free", 1, priority=8)]
    assert Site(2, pods, {"a": 0}).found(1, 9) == (1, {"free"})
    assert Site(2, pods, {"a": 1}).found(1, 9) == (0, {"kept"})


def test_a_budget_is_violated_where_there_is_no_other_way() -> None:
    assert Site(1, [Low("kept", 0, 10, 0, 1.0, app="a")], {"a": 0}).found(1, 9) == (0, {"kept"})


def test_one_who_leaves_anyhow_makes_room_for_nothing() -> None:
    pods = [Low("leaving", 0, 10, 0, 1.0, free=True), low("b", 1)]
    assert Site(2, pods).found(10, 9) == (0, set())


def test_a_budget_is_spent_once_by_preemptors_at_the_same_time() -> None:
    pods = [Low(f"p{at}", at, 10, 0, 1.0, app="a") for at in range(3)]
    assert len(Site(3, pods, {"a": 1}).search(10, 9, 3).makings) == 1


def test_why_it_does_not_help() -> None:
    pods = [low("a", 0, cpu=4), low("high", 0, cpu=6, priority=9), low("same", 1, priority=9)]
    found = Site(2, pods).search(5, 9)
    assert not found.makings
    assert (found.hurdles, found.without_victims) == ({"Insufficient cpu": 1}, 1)


def test_what_no_node_has_is_not_made_by_removing() -> None:
    site = Site(1, [low("a", 0)])
    wanted = site.class_of(pod("urgent", {"example.com/gpu": "1"}))
    asked = Asked(wanted, 9, 1, 0)
    assert not search(Scene(site.view, site.roster).look(), asked, site.budgets).makings


def test_host_ports_are_freed() -> None:
    site = Site(2, [low("a", 0, cpu=1)])
    port = [{"hostPort": 80, "containerPort": 80}]
    holder = site.class_of(pod("holder", ports=port))
    for name, at, priority in (("low", "n0", 0), ("high", "n1", 9)):
        site.view.put_pod(name, at, holder)
        site.roster.put(name, Resident("shop", name, at, holder, priority, 1.0))
    asked = Asked(site.class_of(pod("urgent", ports=port)), 9, 1, 0)
    found = search(Scene(site.view, site.roster).look(), asked, site.budgets)
    (making,) = found.makings
    assert (making.row, [site.roster.uids[slot] for slot in making.victims]) == (0, ["low"])


def test_a_pod_apart_from_another_drives_it_out() -> None:
    site = Site(2, [low("high", 1, cpu=10, priority=9)])
    mate = pod("mate")
    mate["metadata"]["labels"] = {"app": "x"}
    other = site.class_of(mate)
    site.view.put_pod("mate", "n0", other)
    site.roster.put("mate", Resident("shop", "mate", "n0", other, 0, 1.0))
    term = {"labelSelector": {"matchLabels": {"app": "x"}}, "topologyKey": "kubernetes.io/hostname"}
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    wanted = site.class_of(pod("urgent", {"cpu": "1"}, affinity=apart))
    found = search(Scene(site.view, site.roster).look(), Asked(wanted, 9, 1, 0), site.budgets)
    (making,) = found.makings
    assert (making.row, [site.roster.uids[slot] for slot in making.victims]) == (0, ["mate"])
    site.roster.put("mate", Resident("shop", "mate", "n0", other, 9, 1.0))
    scene = Scene(site.view, site.roster).look()
    assert not search(scene, Asked(wanted, 9, 1, 0), site.budgets).makings
