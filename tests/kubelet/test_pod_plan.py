"""What a pod needs next: the order of its life, restarts and back-off, endings."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.lifecycle.model import Backoff, Health, PodView, Trouble, Verdict
from longshore.machinery.kubelet.lifecycle.plan import (
    Ending,
    Finish,
    Kill,
    PodPlan,
    Prepare,
    Release,
    Start,
    ending,
    grace_s,
    next_backoff,
    plan_pod,
)
from longshore.machinery.kubelet.lifecycle.status import phase_of
from longshore.machinery.runtime.protocol import Container, State

from .docs import NOW, container, deleting, exited, pod, running, view

SIDECAR = container("proxy", restartPolicy="Always")


def test_a_new_pod_is_prepared_first() -> None:
    assert plan_pod(view(pod(), sandbox=False)) == PodPlan((Prepare(),))


def test_a_pod_that_could_not_be_prepared_waits_for_its_next_try() -> None:
    trouble = Trouble("FailedMount", 'configmap "x" not found', NOW - 3, NOW + 7)
    assert plan_pod(view(pod(), sandbox=False, pod_trouble=trouble)) == PodPlan((), NOW + 7)
    late = view(pod(), sandbox=False, pod_trouble=trouble, now=NOW + 7)
    assert plan_pod(late) == PodPlan((Prepare(),))


def test_all_containers_start_together() -> None:
    doc = pod(container("a"), container("b"))
    assert plan_pod(view(doc)) == PodPlan((Start("a", 0), Start("b", 0)))


def test_init_containers_run_one_after_the_other() -> None:
    doc = pod(inits=[container("one"), container("two")])
    assert plan_pod(view(doc)).steps == (Start("one", 0),)
    assert plan_pod(view(doc, running("one"))).steps == ()
    assert plan_pod(view(doc, exited("one"))).steps == (Start("two", 0),)
    assert plan_pod(view(doc, exited("one"), exited("two"))).steps == (Start("main", 0),)


def test_an_init_container_that_fails_is_tried_again_unless_the_pod_is_never_restarted() -> None:
    doc = pod(inits=[container("one")])
    assert plan_pod(view(doc, exited("one", 1))).steps == (Start("one", 1),)
    never = pod(inits=[container("one")], restartPolicy="Never")
    assert plan_pod(view(never, exited("one", 1))).steps == ()
    assert phase_of(view(never, exited("one", 1))) == "Failed"


def test_a_sidecar_starts_before_the_rest_and_is_waited_for() -> None:
    doc = pod(inits=[SIDECAR, container("migrate")])
    assert plan_pod(view(doc)).steps == (Start("proxy", 0),)
    slow = {"proxy": Health(started=False, ready=False)}
    assert plan_pod(view(doc, running("proxy"), health=slow)).steps == ()
    assert plan_pod(view(doc, running("proxy"))).steps == (Start("migrate", 0),)


def test_a_sidecar_is_stopped_only_after_the_main_containers_have_ended() -> None:
    doc = pod(inits=[SIDECAR, container("logs", restartPolicy="Always")], restartPolicy="Never")
    plan = plan_pod(view(doc, running("proxy"), running("logs"), exited("main")))
    assert [step.name for step in plan.steps if isinstance(step, Kill)] == ["logs"]
    assert phase_of(view(doc, running("proxy"), exited("main"))) == "Running"
    assert phase_of(view(doc, exited("proxy", 143), exited("logs"), exited("main"))) == "Succeeded"


def test_a_sidecar_that_ends_comes_back_beside_running_containers() -> None:
    doc = pod(inits=[SIDECAR])
    assert plan_pod(view(doc, exited("proxy"), running("main"))).steps == (Start("proxy", 1),)


@pytest.mark.parametrize(
    ("policy", "code", "restarts"),
    [("Always", 0, True), ("Always", 1, True), ("OnFailure", 0, False),
     ("OnFailure", 1, True), ("Never", 0, False), ("Never", 1, False)],
)  # fmt: skip
def test_restart_policies(policy: str, code: int, restarts: bool) -> None:
    plan = plan_pod(view(pod(restartPolicy=policy), exited("main", code)))
    assert plan.steps == ((Start("main", 1),) if restarts else ())


def test_a_container_that_keeps_failing_is_held_back() -> None:
    backoffs = {"main": Backoff(20.0, NOW - 30)}
    held = view(pod(), exited("main", 1, attempt=2, at=NOW - 5), backoffs=backoffs)
    assert plan_pod(held) == PodPlan((), NOW + 15)
    assert plan_pod(replace(held, now=NOW + 15)).steps == (Start("main", 3),)


def test_back_off_doubles_to_five_minutes_and_is_forgotten_after_ten() -> None:
    delays, backoff = [], None
    for _ in range(7):
        backoff = next_backoff(backoff, NOW, NOW)
        delays.append(backoff.delay_s)
    assert delays == [10, 20, 40, 80, 160, 300, 300]
    assert next_backoff(backoff, NOW + 601, NOW + 601).delay_s == 10
    healthy = view(pod(), exited("main", 1, at=NOW), backoffs={"main": Backoff(300.0, NOW - 601)})
    assert plan_pod(healthy).steps == (Start("main", 1),)


def test_an_unhealthy_container_is_killed_then_restarted() -> None:
    sentence = "Container main failed liveness probe, will be restarted"
    doc = pod(terminationGracePeriodSeconds=5)
    plan = plan_pod(view(doc, running(), health={"main": Health(True, False, sentence)}))
    assert plan.steps == (Kill("main", "main-0", 5.0, "Unhealthy", sentence),)


def test_a_failed_probe_s_own_grace_period_counts_unless_the_pod_ends() -> None:
    doc, failed = pod(terminationGracePeriodSeconds=60), {"main": Health(True, False, "why", 2)}
    plan = plan_pod(view(doc, running(), health=failed))
    assert plan.steps == (Kill("main", "main-0", 2.0, "Unhealthy", "why"),)
    ending = plan_pod(view(deleting(doc, grace_s=60), running(), health=failed))
    assert [step.grace_s for step in ending.steps if isinstance(step, Kill)] == [60.0]


def test_a_container_in_trouble_waits_while_others_start() -> None:
    doc = pod(container("a"), container("b"))
    trouble = Trouble("ErrImagePull", "no such image", NOW - 5, NOW + 5)
    assert plan_pod(view(doc, troubles={"a": trouble})).steps == (Start("b", 0),)
    assert plan_pod(view(doc, running("b"), troubles={"a": trouble})) == PodPlan((), NOW + 5)


def test_a_deleted_pod_is_stopped_with_its_grace_then_finished() -> None:
    doc = deleting(pod(container("a"), container("b")), grace_s=7)
    plan = plan_pod(view(doc, running("a"), exited("b")))
    assert plan.steps == (Kill("a", "a-0", 7.0, "Killing", "Stopping container a"),)
    assert plan_pod(view(doc, exited("a"), exited("b"))).steps == (Finish(),)
    assert plan_pod(view(deleting(pod()), sandbox=False)).steps == (Finish(),)


def test_a_pod_deleted_by_force_still_gets_its_stop_signal() -> None:
    plan = plan_pod(view(deleting(pod(), grace_s=0), running()))
    assert plan.steps == (Kill("main", "main-0", 1.0, "Killing", "Stopping container main"),)
    gone = plan_pod(view(pod(terminationGracePeriodSeconds=600), running(), gone=True))
    assert [step.grace_s for step in gone.steps if isinstance(step, Kill)] == [2.0]


def test_a_pod_past_its_deadline_is_stopped_and_failed() -> None:
    doc = pod(activeDeadlineSeconds=90)
    assert plan_pod(view(doc, running())) == PodPlan((), NOW + 30)
    late = view(doc, running(), now=NOW + 30)
    assert [type(step) for step in plan_pod(late).steps] == [Kill]
    assert phase_of(view(doc, exited(code=143), now=NOW + 31)) == "Failed"


def test_an_ended_pod_gives_back_what_it_held_once() -> None:
    doc = pod(restartPolicy="Never")
    assert plan_pod(view(doc, exited(), held=True)).steps == (Release(),)
    assert plan_pod(view(doc, exited(), held=False)).steps == ()


def test_a_terminal_phase_on_record_is_never_undone() -> None:
    failed = view(pod(), sandbox=False, phase="Failed")
    assert plan_pod(failed).steps == ()
    assert phase_of(failed) == "Failed"


# -- properties: a pod is played through with a runtime that does as it is told ---------------


@dataclass
class World:
    """One pod on an obedient runtime; checks each order as it is given."""

    doc: Doc
    now: float = NOW
    attempts: dict[str, dict[int, Container]] = field(default_factory=dict)
    backoffs: dict[str, Backoff] = field(default_factory=dict)
    sandbox: bool = False
    held: bool = False
    finished: bool = False
    phase: str = "Pending"
    phases: list[str] = field(default_factory=lambda: ["Pending"])

    def view(self) -> PodView:
        newest = {n: a[max(a)] for n, a in self.attempts.items()}
        return PodView(doc=self.doc, now=self.now, containers=newest, sandbox=self.sandbox,
                       held=self.held, backoffs=dict(self.backoffs), started_at=NOW,
                       phase=self.phase)  # fmt: skip

    def turn(self) -> float | None:
        """Do all that is planned until nothing is; the moment to look again."""
        for _ in range(50):
            plan = plan_pod(self.view())
            if self.finished or not plan.steps:
                self.phase = phase_of(self.view())
                self.phases.append(self.phase)
                return plan.wake_at
            for step in plan.steps:
                self.do(step)
        raise AssertionError("the plan never comes to rest")

    def do(self, step: object) -> None:
        match step:
            case Prepare():
                assert not self.sandbox
                self.sandbox = self.held = True
            case Start(name, attempt):
                self.start(name, attempt)
            case Kill(name):
                self.end(name, 143)
            case Release():
                assert not self.live()
                self.held = self.sandbox = False
            case Finish():
                assert not self.live()
                self.finished = True

    def live(self) -> list[str]:
        return [c.name for a in self.attempts.values() for c in a.values()
                if c.state is not State.EXITED]  # fmt: skip

    def start(self, name: str, attempt: int) -> None:
        assert "deletionTimestamp" not in self.doc["metadata"], "started while being deleted"
        assert self.sandbox, "started without a sandbox"
        assert name not in self.live(), "two running instances of one container"
        known = self.attempts.setdefault(name, {})
        assert attempt == (max(known) + 1 if known else 0)
        if known:
            self.check_restart(name, known[max(known)])
            old = self.backoffs.get(name)
            self.backoffs[name] = next_backoff(old, known[max(known)].finished_at, self.now)
        if name in {c["name"] for c in self.doc["spec"]["containers"]}:
            self.check_initialized()
        known[attempt] = replace(running(name, attempt), started_at=self.now)

    def check_restart(self, name: str, ended: Container) -> None:
        sidecars = {c["name"] for c in self.doc["spec"].get("initContainers", [])
                    if c.get("restartPolicy") == "Always"}  # fmt: skip
        policy = self.doc["spec"]["restartPolicy"]
        assert name in sidecars or policy != "Never", "restarted although it never may be"
        if name not in sidecars and policy == "OnFailure":
            assert ended.exit_code != 0
        old = self.backoffs.get(name)
        if old is not None and ended.finished_at - old.at <= 600:
            assert self.now >= ended.finished_at + old.delay_s, "restarted before its time"

    def check_initialized(self) -> None:
        mains = {c["name"] for c in self.doc["spec"]["containers"]}
        if mains & self.attempts.keys() - {n for n, a in self.attempts.items() if not a}:
            return
        for init in self.doc["spec"].get("initContainers", []):
            known = self.attempts.get(init["name"], {})
            assert known, f"{init['name']} never ran"
            newest = known[max(known)]
            if init.get("restartPolicy") == "Always":
                assert newest.state is State.RUNNING
            else:
                assert newest.state is State.EXITED
                assert newest.exit_code == 0

    def end(self, name: str, code: int) -> None:
        known = self.attempts[name]
        newest = known[max(known)]
        known[max(known)] = replace(
            newest, state=State.EXITED, exit_code=code, finished_at=self.now
        )


_NAMES = st.sampled_from(["init-1", "init-2", "side", "a", "b"])
_EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("exit"), _NAMES, st.sampled_from([0, 0, 1, 137])),
        st.tuples(st.just("wait"), st.just(""), st.integers(0, 700)),
        st.tuples(st.just("delete"), st.just(""), st.integers(0, 30)),
    ),
    max_size=25,
)
_PODS = st.builds(
    lambda policy, inits, deadline: pod(
        container("a"), container("b"), inits=inits, restartPolicy=policy,
        **({"activeDeadlineSeconds": deadline} if deadline else {}),
    ),
    st.sampled_from(["Always", "OnFailure", "Never"]),
    st.sampled_from([
        [], [container("init-1"), container("init-2")],
        [container("side", restartPolicy="Always"), container("init-1")],
    ]),
    st.sampled_from([0, 0, 0, 300]),
)  # fmt: skip


def _play(world: World, events: list[tuple[str, str, int]]) -> Iterator[World]:
    world.turn()
    yield world
    for what, name, number in events:
        if world.finished:
            return
        if what == "exit" and name in world.live():
            world.end(name, number)
        elif what == "wait":
            world.now += number
        elif what == "delete" and "deletionTimestamp" not in world.doc["metadata"]:
            world.doc = deleting(world.doc, number)
        wake = world.turn()
        yield world
        assert wake is None or wake > world.now, "woken at once, again and again"


@given(_PODS, _EVENTS)
@settings(max_examples=120, deadline=None)
def test_whatever_happens_the_rules_of_a_pods_life_hold(
    doc: Doc, events: list[tuple[str, str, int]]
) -> None:
    rank = {"Pending": 0, "Running": 1, "Succeeded": 2, "Failed": 2}
    for world in _play(World(doc), events):
        assert len(world.live()) == len(set(world.live()))
        steps = [rank[phase] for phase in world.phases]
        assert steps == sorted(steps), world.phases
        ended = [phase for phase in world.phases if rank[phase] == 2]
        assert len(set(ended)) <= 1, "a pod changed how it ended"


@given(_PODS, _EVENTS)
@settings(max_examples=100, deadline=None)
def test_a_pod_that_is_deleted_is_finished_at_once(
    doc: Doc, events: list[tuple[str, str, int]]
) -> None:
    world = World(doc)
    for _ in _play(world, events):
        pass
    if not world.finished:
        world.doc = deleting(world.doc)
        world.turn()
    assert world.finished
    assert not world.live()
    assert not math.isnan(world.now)


def test_the_node_ends_a_pod_by_itself() -> None:
    """Its containers are stopped with at most the verdict's grace, whatever its restart policy."""
    evicted = Verdict("Evicted", "The node was low on resource: memory. ", grace_s=1.0)
    plan = plan_pod(view(pod(), running(), verdict=evicted))
    assert [(k.name, k.grace_s) for k in plan.steps if isinstance(k, Kill)] == [("main", 1.0)]
    over = ending(view(pod(), exited(code=137), verdict=evicted))
    assert over == Ending("Failed", "Evicted", "The node was low on resource: memory. ")


def test_a_verdict_never_lengthens_the_grace() -> None:
    patient = Verdict("Terminated", "shutdown", grace_s=60.0)
    doc = pod(terminationGracePeriodSeconds=5)
    assert grace_s(view(doc, running(), verdict=patient)) == 5.0
