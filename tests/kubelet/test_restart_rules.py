"""Containers' own restart policies and rules (KEP-5307)."""

from __future__ import annotations

import pytest

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.model import Backoff
from longshore.machinery.kubelet.plan import Start, plan_pod
from longshore.machinery.kubelet.restarting import comes_back
from longshore.machinery.kubelet.status import phase_of, pod_status

from .docs import container, exited, pod, running, view


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
