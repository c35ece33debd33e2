"""Containers' own restart policies and rules (KEP-5307)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.lifecycle.model import Backoff
from longshore.machinery.kubelet.lifecycle.plan import Kill, Reset, Start, plan_pod
from longshore.machinery.kubelet.lifecycle.restarting import comes_back, floors_after
from longshore.machinery.kubelet.lifecycle.status import phase_of, pod_status

from .docs import container, exited, pod, running, view
from .world import NODE, until, world


def rule(operator: str, *values: int) -> Doc:
    codes = {"operator": operator, "values": list(values)}
    return {"action": "Restart", "exitCodes": codes}


@pytest.mark.parametrize(
    ("policy", "rules", "code", "back"),
    [
        ("Never", (), 1, False), ("Always", (), 0, True), ("OnFailure", (), 0, False),
        ("OnFailure", (), 3, True), ("Never", (rule("In", 42, 43),), 43, True),
        ("Never", (rule("In", 42),), 1, False), ("Never", (rule("NotIn", 0),), 7, True),
        ("Never", (rule("NotIn", 0),), 0, False), ("OnFailure", (rule("In", 0),), 0, True),
    ],
)  # fmt: skip
def test_a_containers_own_word_goes_before_its_pods(
    policy: str, rules: tuple[Doc, ...], code: int, back: bool
) -> None:
    one = container(restartPolicy=policy, restartPolicyRules=list(rules))
    for of_pod in ("Always", "OnFailure", "Never"):
        assert comes_back(one, of_pod, code) is back


def test_without_a_policy_of_its_own_the_pods_holds() -> None:
    assert comes_back(container(), "Always", 0)
    assert not comes_back(container(restartPolicyRules=[rule("In", 1)]), "Never", 1)


def test_one_container_comes_back_in_a_pod_that_is_never_restarted() -> None:
    doc = pod(container(restartPolicy="OnFailure"), container("once"), restartPolicy="Never")
    seen = view(doc, exited("main", 1), exited("once", 1))
    assert plan_pod(seen).steps == (Start("main", 1),)
    assert phase_of(seen) == "Running"
    assert phase_of(view(doc, exited("main", 0), exited("once", 0))) == "Succeeded"
    assert phase_of(view(doc, exited("main", 0), exited("once", 1))) == "Failed"


def test_a_rule_ends_a_pod_that_is_always_restarted() -> None:
    doc = pod(container(restartPolicy="Never", restartPolicyRules=[rule("In", 42)]))
    assert plan_pod(view(doc, exited("main", 42))).steps == (Start("main", 1),)
    assert phase_of(view(doc, exited("main", 1))) == "Failed"


def test_init_containers_have_policies_too() -> None:
    never = pod(inits=[container("one", restartPolicy="Never")])
    assert phase_of(view(never, exited("one", 1))) == "Failed"
    retried = pod(inits=[container("one", restartPolicy="OnFailure")], restartPolicy="Never")
    seen = view(retried, exited("one", 1))
    assert plan_pod(seen).steps == (Start("one", 1),)
    assert phase_of(seen) == "Pending"


def test_what_comes_back_by_a_rule_is_seen_waiting() -> None:
    doc = pod(
        container(restartPolicy="Never", restartPolicyRules=[rule("In", 42)]),
        container("beside"),
        restartPolicy="Never",
    )
    ended = exited("main", 42, attempt=1)
    backoffs = {"main": Backoff(10.0, ended.finished_at)}
    status = pod_status(view(doc, ended, running("beside"), backoffs=backoffs))
    assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"


# -- all containers of a pod together (KEP-5532)


def all_anew(*values: int) -> Doc:
    return rule("In", *values) | {"action": "RestartAllContainers"}


WATCHED = pod(
    container(restartPolicy="Never", restartPolicyRules=[all_anew(42)]),
    container("beside"),
    inits=[container("setup")],
    restartPolicy="Never",
)


def _condition(status: Doc) -> str:
    found = (c for c in status["conditions"] if c["type"] == "AllContainersRestarting")
    return str(next(found)["status"])


def test_all_others_are_ended_first() -> None:
    seen = view(WATCHED, exited("setup"), exited("main", 42), running("beside"))
    assert plan_pod(seen).steps == (
        Kill("beside", "beside-0", 2.0, "Killing", "Stopping container beside"),
    )
    assert _condition(pod_status(seen)) == "True"


def test_then_they_start_from_the_beginning() -> None:
    ended = view(WATCHED, exited("setup"), exited("main", 42), exited("beside", 137))
    assert plan_pod(ended).steps == (Reset(),)
    assert phase_of(replace(ended, phase="Running")) == "Running"
    floors = floors_after(ended.containers, ended.spec)
    assert floors == {"setup": 1, "main": 1, "beside": 1}
    anew = replace(ended, floors=floors, phase="Running")
    assert plan_pod(anew).steps == (Start("setup", 1),)
    status = pod_status(anew)
    assert (status["phase"], _condition(status)) == ("Running", "False")
    (main, _) = status["containerStatuses"]
    assert main["lastState"]["terminated"]["exitCode"] == 42
    assert main["state"] == {"waiting": {"reason": "PodInitializing"}}
    going = view(
        WATCHED,
        exited("setup", attempt=1),
        exited("main", 42),
        exited("beside", 137),
        floors=floors,
    )
    assert plan_pod(going).steps == (Start("main", 1), Start("beside", 1))


def test_other_ends_go_by_the_policies() -> None:
    assert phase_of(view(WATCHED, exited("setup"), exited("main", 1), exited("beside"))) == "Failed"
    assert phase_of(view(WATCHED, exited("setup"), exited("main"), exited("beside"))) == "Succeeded"


async def test_a_whole_pod_starts_anew_on_an_agent(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.start_agent()
        await until(lambda: w.registry.cache.get(kinds.NODE, "", NODE))
        await w.run_pod(WATCHED)
        await until(lambda: "running" in w.container("setup")["state"])
        uid = (await w.pod())["metadata"]["uid"]
        await w.runtime.crash(uid, "setup", 0)
        await until(lambda: w.ready())
        await w.runtime.crash(uid, "main", 42)
        await until(lambda: w.container("setup")["restartCount"] == 1)
        await until(lambda: "running" in w.container("setup")["state"])
        await w.runtime.crash(uid, "setup", 0)
        await until(lambda: w.ready())
        assert (w.container()["restartCount"], w.container("beside")["restartCount"]) == (1, 1)
        assert w.container()["lastState"]["terminated"]["exitCode"] == 42
        await w.runtime.crash(uid, "main", 0)
        await w.runtime.crash(uid, "beside", 0)
        await until(lambda: w.phase() == "Succeeded")
