"""The DaemonSet's roster and planner in a world of their own, in which nodes, users, agents and crashes
come in any order: what holds at every step, that nothing is counted wrong, and what a change costs."""

from __future__ import annotations

import itertools
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.base.clock import rfc3339
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common import pods as pod_state
from longshore.machinery.controllers.common.owners import is_deleting
from longshore.machinery.controllers.daemonset import plan as planning
from longshore.machinery.controllers.daemonset.line import Line
from longshore.machinery.controllers.daemonset.nodes import meant_by, should_run
from longshore.machinery.controllers.daemonset.pods import PodMaker, mark_of, node_of
from longshore.machinery.controllers.daemonset.roster import Roster

NOW = 1_767_225_600.0
READY = {"type": "Ready", "status": "True", "lastTransitionTime": rfc3339(NOW - 60)}


def daemon_set(surge: int, unavailable: int) -> Doc:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    spec = {
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling},
        "template": {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": []}},
    }
    metadata = {"name": "agent", "namespace": "default", "uid": "set", "generation": 1}
    return {"metadata": metadata, "spec": spec, "status": {}}


@dataclass
class Model:
    """The objects, and who acts on them. version: of the template."""

    daemon_set: Doc
    nodes: dict[str, Doc] = field(default_factory=dict)
    pods: dict[str, Doc] = field(default_factory=dict)
    version: int = 1
    roster: Roster | None = None
    drawn: int = 0
    serial: Any = field(default_factory=lambda: itertools.count(1))

    # ---- the controller

    def settled(self) -> Roster:
        mark = f"v{self.version}"
        if self.roster is None or self.roster.of[2] != mark:
            self.roster = Roster(("set", 1, mark), planning.rules_of(self.daemon_set, mark))
            for name in self.nodes:
                self.roster.touch(name)
            for pod in self.pods.values():
                self.roster.note(pod)
        while self.roster.settle(self._node, self.pods.get, NOW, 1_000):
            pass
        return self.roster

    def _node(self, name: str) -> Doc | None:
        self.drawn += 1
        return self.nodes.get(name)

    def turn(self, steps_done: int = 1_000) -> bool:
        """One turn of the controller, which dies after so many writes; whether it wrote anything."""
        roster = self.settled()
        steps = planning.plan(self.daemon_set, roster, 0)
        self.check(steps)
        maker = PodMaker(self.daemon_set, roster.of[2])
        work = [
            *((self.create, maker.pod_for(node)) for node in steps.create),
            *((self.end, one.pod) for one in steps.remove),
        ]
        for do, what in work[:steps_done]:
            do(what)
        if steps_done < len(work):
            self.roster = None
        return bool(work)

    # ---- what is written

    def create(self, pod: Doc) -> None:
        serial = next(self.serial)
        metadata = {
            **pod["metadata"],
            "name": f"agent-{serial:06}",
            "creationTimestamp": rfc3339(NOW - 1_000_000 + serial),
        }
        self.put({**pod, "metadata": metadata, "status": {"phase": "Pending"}})

    def end(self, pod: Doc) -> None:
        there = self.pods[pod["metadata"]["name"]]
        assert not is_deleting(there), "told to end twice"
        self.put({**there, "metadata": {**there["metadata"], "deletionTimestamp": rfc3339(NOW)}})

    def put(self, pod: Doc) -> None:
        self.pods[pod["metadata"]["name"]] = pod
        if self.roster is not None:
            self.roster.note(pod)

    # ---- agents and users

    def agent(self, place: int, what: str) -> None:
        """The scheduler binds some pod, its agent ends it if it must, or says what became of it."""
        if not self.pods:
            return
        name = sorted(self.pods)[place % len(self.pods)]
        pod = self.pods[name]
        if is_deleting(pod):
            del self.pods[name]
            if self.roster is not None:
                self.roster.note(pod)
        elif not pod_state.is_terminal(pod):
            status = {"phase": what, "conditions": [READY] if what == "Running" else []}
            bound = {**pod["spec"], "nodeName": node_of(pod)}
            self.put({**pod, "spec": bound, "status": status})

    def node(self, place: int, effect: str) -> None:
        """A node is added, or tainted; "gone" takes it away."""
        name = f"n{place}"
        if effect == "gone":
            self.nodes.pop(name, None)
            # Pods of a node that is gone are collected by somebody else.
            for pod in [one for one in self.pods.values() if pod_state.node_name(one) == name]:
                del self.pods[pod["metadata"]["name"]]
        else:
            taints = [{"key": "sick", "effect": effect}] if effect else []
            self.nodes[name] = {"metadata": {"name": name}, "spec": {"taints": taints}}
        if self.roster is not None:
            self.roster.renew(name)

    # ---- what must hold

    def wanted(self) -> set[str]:
        meant = meant_by(self.daemon_set["spec"]["template"]["spec"])
        return {name for name, node in self.nodes.items() if should_run(meant, node)[0]}

    def living(self, node: str) -> list[Doc]:
        here = [pod for pod in self.pods.values() if node_of(pod) == node]
        return [pod for pod in here if not is_deleting(pod) and not pod_state.is_terminal(pod)]

    def served(self, without: AbstractSet[str] = frozenset()) -> set[str]:
        """Nodes that are meant and have a pod that works."""
        return {
            node
            for node in self.wanted()
            if any(
                pod_state.is_ready(pod) and pod["metadata"]["name"] not in without
                for pod in self.living(node)
            )
        }

    def check(self, steps: planning.DaemonPlan) -> None:
        rolling = self.daemon_set["spec"]["updateStrategy"]["rollingUpdate"]
        going = {one.pod["metadata"]["name"] for one in steps.remove}
        assert len(going) == len(steps.remove), "told to end twice"
        assert len(set(steps.create)) == len(steps.create)
        for node in steps.create:
            most = 1 if rolling["maxSurge"] else 0
            assert len(self.living(node)) <= most, "one too many"
        missing, wanted = len(self.wanted() - self.served()), len(self.wanted())
        after = wanted - len(self.served(going))
        assert after <= max(missing, rolling["maxUnavailable"]), "too few are left"
        self.check_counts(steps.status)

    def check_counts(self, status: Doc) -> None:
        """The sums that were kept are those that are counted anew."""
        fresh = Model(self.daemon_set, self.nodes, self.pods, self.version)
        assert planning.plan(self.daemon_set, fresh.settled(), 0).status == status
        assert self.roster is not None
        assert fresh.roster is not None
        assert comparable(fresh.roster.lines) == comparable(self.roster.lines)


def comparable(lines: dict[str, Line]) -> dict[str, Any]:
    return {name: (one.counts, one.standing, sorted(one.marks)) for name, one in lines.items()}


small = st.integers(0, 5)
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("turn"), st.integers(0, 6), small),
        st.tuples(
            st.just("agent"),
            st.integers(0, 12),
            st.sampled_from(["Running", "Running", "Running", "Pending", "Failed", "Succeeded"]),
        ),
        st.tuples(
            st.just("node"), small, st.sampled_from(["", "", "NoSchedule", "NoExecute", "gone"])
        ),
        st.tuples(st.just("template"), small, small),
        st.tuples(st.just("delete"), st.integers(0, 12), small),
    ),
    max_size=80,
)


def happen(world: Model, what: str, first: int, second: Any) -> None:
    if what == "turn":
        world.turn(first)
    elif what == "agent":
        world.agent(first, second)
    elif what == "node":
        world.node(first, second)
    elif what == "template":
        world.version += 1
    elif world.pods:
        pod = world.pods[sorted(world.pods)[first % len(world.pods)]]
        if not is_deleting(pod):
            world.end(pod)


def calm_down(world: Model) -> None:
    for _ in range(200):
        busy = world.turn() or any(is_deleting(pod) for pod in world.pods.values())
        for place in reversed(range(len(world.pods))):  # one that goes moves none that is to come
            world.agent(place, "Running")
        if not busy:
            return
    raise AssertionError("it does not come to rest")


@given(st.sampled_from([(0, 1), (0, 3), (1, 0), (3, 0)]), happenings)
def test_safety_at_every_step_and_one_of_the_newest_everywhere_in_the_end(
    amounts: tuple[int, int], events: list[tuple[str, int, Any]]
) -> None:
    world = Model(daemon_set(*amounts))
    for place in range(3):
        world.node(place, "")
    for event in events:
        happen(world, *event)
    calm_down(world)
    assert world.served() == world.wanted()
    for node in world.wanted():
        assert [mark_of(pod) for pod in world.living(node)] == [f"v{world.version}"]


@given(st.sampled_from([(0, 2), (2, 0)]), st.integers(0, 12))
def test_a_controller_that_dies_between_any_two_writes_goes_on(
    amounts: tuple[int, int], dies_after: int
) -> None:
    world = Model(daemon_set(*amounts))
    for place in range(6):
        world.node(place, "")
    for _ in range(2):
        for number in range(60):
            world.turn(dies_after if number % 2 else 1_000)
            world.agent(number, "Running")
        calm_down(world)
        assert len(world.pods) == 6
        world.version += 1


@pytest.mark.parametrize("nodes", [10, 15_000])
def test_a_pods_news_concerns_its_node_alone(nodes: int) -> None:
    world = Model(daemon_set(0, 1))
    for place in range(nodes):
        world.node(place, "")
    while world.settled().create:
        roster = world.settled()
        maker = PodMaker(world.daemon_set, roster.of[2])
        for node in planning.plan(world.daemon_set, roster, 0).create:
            world.create(maker.pod_for(node))
    world.drawn = 0
    name = f"agent-{5:06}"
    pod = world.pods[name]
    world.put({**pod, "status": {"phase": "Running", "conditions": [READY]}})
    status = planning.plan(world.daemon_set, world.settled(), 0).status
    assert (status["desiredNumberScheduled"], status["numberReady"]) == (nodes, 1)
    assert world.drawn == 0, "what the node is was known"
