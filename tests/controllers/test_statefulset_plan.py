"""The StatefulSet's planner in a world of its own, in which users, agents and crashes come in any order:
its safety rules hold at every step, and it gets there once all is calm."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from longshore.base.clock import rfc3339
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common.owners import is_deleting
from longshore.machinery.controllers.statefulset import identity
from longshore.machinery.controllers.statefulset.plan import Revisions, StatefulPlan, plan
from longshore.machinery.controllers.statefulset.status import is_ready

NOW = 1_767_225_600.0
READY = {"type": "Ready", "status": "True", "lastTransitionTime": rfc3339(NOW - 60)}


def revision(number: int) -> Doc:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}
    metadata = {"name": f"web-r{number}"}
    return {"metadata": metadata, "data": {"spec": {"template": template}}, "revision": number}


@dataclass
class Model:
    """The objects, and who acts on them. revisions: how many there have been."""

    stateful: Doc
    pods: dict[str, Doc] = field(default_factory=dict)
    claims: dict[str, Doc] = field(default_factory=dict)
    revisions: int = 1
    serial: Any = field(default_factory=lambda: itertools.count(1))

    def planned(self) -> StatefulPlan:
        newest = revision(self.revisions)
        name = self.stateful["status"].get("currentRevision", newest["metadata"]["name"])
        current = {"metadata": {"name": name}, "data": newest["data"]}
        pods, revisions = list(self.pods.values()), Revisions(current, newest)
        return plan(self.stateful, pods, revisions, self.claims.get, NOW)

    def turn(self, steps_done: int = 1_000) -> bool:
        """One turn of the controller, which dies after so many writes; whether it wrote anything."""
        steps = self.planned()
        self.check(steps)
        before = self.stateful["status"]
        work: list[tuple[Callable[[Any], None], Any]] = [
            *((self.own, one) for one in steps.owned),
            *((self.make_claim, one) for one in steps.claims),
            *((self.create, one) for one in steps.create),
            *((self.end, one) for one in steps.delete),
            (self.say, steps.status),
        ]
        for do, what in work[:steps_done]:
            do(what)
        return len(work) > 1 or self.stateful["status"] != before

    # ---- what is written

    def own(self, change: tuple[Doc, list[Doc]]) -> None:
        claim, refs = change
        name = claim["metadata"]["name"]
        self.claims[name] = {**claim, "metadata": {**claim["metadata"], "ownerReferences": refs}}

    def make_claim(self, claim: Doc) -> None:
        assert claim["metadata"]["name"] not in self.claims
        self.claims[claim["metadata"]["name"]] = claim

    def create(self, pod: Doc) -> None:
        name = pod["metadata"]["name"]
        assert name not in self.pods, "two pods of one ordinal"
        metadata = {**pod["metadata"], "uid": f"pod-{next(self.serial)}"}
        self.pods[name] = {**pod, "metadata": metadata, "status": {"phase": "Pending"}}

    def end(self, pod: Doc) -> None:
        name = pod["metadata"]["name"]
        there = self.pods[name]
        assert not is_deleting(there), "told to end twice"
        metadata = {**there["metadata"], "deletionTimestamp": rfc3339(NOW)}
        self.pods[name] = {**there, "metadata": metadata}

    def say(self, status: Doc) -> None:
        self.stateful = {**self.stateful, "status": status}

    # ---- agents and users

    def agent(self, place: int, what: str) -> None:
        """The agent of some pod ends it if it must; else says what has become of it."""
        if not self.pods:
            return
        name = sorted(self.pods)[place % len(self.pods)]
        pod = self.pods[name]
        if is_deleting(pod):
            del self.pods[name]
            self.collect()
        elif pod["status"]["phase"] not in ("Failed", "Succeeded"):
            status = {"phase": what, "conditions": [READY] if what == "Running" else []}
            self.pods[name] = {**pod, "status": status}

    def collect(self) -> None:
        """Claims whose pod is gone go too."""
        uids = {pod["metadata"]["uid"] for pod in self.pods.values()} | {"set"}
        for name, claim in list(self.claims.items()):
            refs = claim["metadata"].get("ownerReferences") or ()
            if refs and not any(ref["uid"] in uids for ref in refs):
                del self.claims[name]

    def change(self, **spec: Any) -> None:
        self.stateful = {**self.stateful, "spec": {**self.stateful["spec"], **spec}}

    # ---- what must hold

    @property
    def wanted(self) -> range:
        return identity.ordinals(self.stateful)

    def well(self) -> set[str]:
        return {n for n, p in self.pods.items() if is_ready(p) and not is_deleting(p)}

    def check(self, steps: StatefulPlan) -> None:
        """The safety of what is planned."""
        made = [one["metadata"]["name"] for one in steps.create]
        ended = [one["metadata"]["name"] for one in steps.delete]
        assert len(set(made)) == len(made)
        assert not self.pods.keys() & set(made)
        self.check_updates(ended)
        if self.stateful["spec"]["podManagementPolicy"] == "OrderedReady":
            self.check_order(made, ended)

    def check_updates(self, ended: list[str]) -> None:
        names = [f"web-{n}" for n in self.wanted]
        rolling = self.stateful["spec"]["updateStrategy"]["rollingUpdate"]
        kept = names[: rolling["partition"]]
        well = self.well()
        assert not well & set(ended) & set(kept), "the partition protects"
        before = sum(name not in well for name in names)
        after = sum(name not in well or name in ended for name in names)
        assert after <= max(before, rolling["maxUnavailable"])

    def check_order(self, made: list[str], ended: list[str]) -> None:
        well = self.well()
        for name in made:
            below = range(self.wanted.start, int(name.rpartition("-")[2]))
            assert all(f"web-{n}" in well for n in below)
        condemned = [name for name in ended if int(name.rpartition("-")[2]) not in self.wanted]
        assert len(made) + len(condemned) <= 1
        if condemned:
            others = [name for name in self.pods if int(name.rpartition("-")[2]) not in self.wanted]
            assert condemned[0] == max(others, key=lambda n: int(n.rpartition("-")[2]))
            assert all(f"web-{n}" in well for n in self.wanted)
            assert condemned[0] in well or well.issuperset(set(others) - set(condemned))


def model(policy: str, scaled: str, replicas: int) -> Model:
    claim = {"metadata": {"name": "data"}, "spec": {}}
    metadata = {"name": "web", "namespace": "default", "uid": "set"}
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "podManagementPolicy": policy,
        "updateStrategy": {"rollingUpdate": {"partition": 0, "maxUnavailable": 1}},
        "volumeClaimTemplates": [claim],
        "persistentVolumeClaimRetentionPolicy": {"whenScaled": scaled, "whenDeleted": "Delete"},
    }
    return Model({"metadata": metadata, "spec": spec, "status": {}})


def rolling(partition: int, unavailable: int) -> Doc:
    return {"rollingUpdate": {"partition": partition, "maxUnavailable": unavailable}}


small = st.integers(0, 4)
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("turn"), st.integers(0, 6), small),
        st.tuples(
            st.just("agent"),
            small,
            st.sampled_from(["Running", "Running", "Pending", "Failed", "Succeeded"]),
        ),
        st.tuples(st.just("scale"), small, small),
        st.tuples(st.just("template"), small, small),
        st.tuples(st.just("rolling"), small, st.integers(1, 3)),
        st.tuples(st.just("delete"), small, small),
    ),
    max_size=60,
)


def happen(world: Model, what: str, first: int, second: Any) -> None:
    if what == "turn":
        world.turn(first)
    elif what == "agent":
        world.agent(first, second)
    elif what == "scale":
        world.change(replicas=first, ordinals={"start": second % 2})
    elif what == "template":
        world.revisions += 1
    elif what == "rolling":
        world.change(updateStrategy=rolling(first, second))
    elif world.pods:
        pod = world.pods[sorted(world.pods)[first % len(world.pods)]]
        if not is_deleting(pod):
            world.end(pod)


def calm_down(world: Model) -> None:
    """Agents do what they should, and the controller is left alone."""
    for _ in range(200):
        busy = world.turn()
        for place in range(len(world.pods)):
            name = sorted(world.pods)[place % len(world.pods)] if world.pods else ""
            busy = busy or (bool(name) and name not in world.well())
            world.agent(place, "Running")
        if not busy:
            return
    raise AssertionError("it does not come to rest")


@given(
    st.sampled_from(["OrderedReady", "Parallel"]),
    st.sampled_from(["Retain", "Delete"]),
    small,
    happenings,
)
def test_safety_at_every_step_and_all_well_in_the_end(
    policy: str, scaled: str, replicas: int, events: list[tuple[str, int, Any]]
) -> None:
    world = model(policy, scaled, replicas)
    for event in events:
        happen(world, *event)
    calm_down(world)
    assert world.well() == {f"web-{n}" for n in world.wanted} == set(world.pods)
    partition = world.stateful["spec"]["updateStrategy"]["rollingUpdate"]["partition"]
    newest = f"web-r{world.revisions}"
    for ordinal in world.wanted[partition:]:
        assert identity.revision_of(world.pods[f"web-{ordinal}"]) == newest
    claims = {f"data-web-{n}" for n in world.wanted}
    assert claims <= world.claims.keys()
    if scaled == "Delete":
        owners = {name: world.claims[name]["metadata"]["ownerReferences"] for name in claims}
        assert all(ref["kind"] == "StatefulSet" for refs in owners.values() for ref in refs)


@given(st.sampled_from(["OrderedReady", "Parallel"]), st.integers(0, 12))
def test_a_controller_that_dies_between_any_two_writes_goes_on(
    policy: str, dies_after: int
) -> None:
    """A roll-out, an update and a scale-down, in every turn of which it dies after so many writes;
    every other turn it lives."""
    world = model(policy, "Delete", 3)
    for change in ({}, {"template": True}, {"replicas": 1}):
        if "template" in change:
            world.revisions += 1
        else:
            world.change(**change)
        for number in range(60):
            world.turn(dies_after if number % 2 else 1_000)
            world.agent(number, "Running")
        calm_down(world)
    assert set(world.pods) == {"web-0"}
    assert set(world.claims) == {"data-web-0"}


def test_a_claims_name_says_whose_it_may_be() -> None:
    assert identity.sets_of_claim("data-web-0") == ["web"]
    assert identity.sets_of_claim("big-data-my-web-12") == ["data-my-web", "my-web", "web"]
    assert identity.sets_of_claim("data") == []


def test_of_two_sick_pods_that_are_to_go_the_lower_holds_the_higher_up() -> None:
    world = model("OrderedReady", "Retain", 3)
    for place in range(3):
        world.turn()
        world.agent(place, "Running")
    for place in (1, 2):
        world.agent(place, "Pending")
    world.change(replicas=1)
    assert world.planned().delete == []
    world.agent(1, "Running")
    assert [one["metadata"]["name"] for one in world.planned().delete] == ["web-2"]
