"""What kubectl shows of a pod: phases, conditions, the state of each container."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.lifecycle.model import Backoff, Health, Trouble, Verdict
from longshore.machinery.kubelet.lifecycle.recall import recalled
from longshore.machinery.kubelet.lifecycle.status import pod_status

from .docs import NOW, container, deleting, exited, pod, running, view


def condition(status: Doc, type_: str) -> Doc:
    [found] = [c for c in status["conditions"] if c["type"] == type_]
    return {k: v for k, v in found.items() if k in ("status", "reason", "message") and v}


def state(status: Doc, name: str = "main") -> Doc:
    everything = [*status["containerStatuses"], *status.get("initContainerStatuses", [])]
    [found] = [c for c in everything if c["name"] == name]
    shown: Doc = found
    return shown


def test_a_pod_that_is_being_made() -> None:
    status = pod_status(view(pod(), sandbox=False, ips=()))
    assert status["phase"] == "Pending"
    assert state(status)["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert condition(status, "PodReadyToStartContainers") == {"status": "False"}
    assert condition(status, "Ready") == {
        "status": "False", "reason": "ContainersNotReady",
        "message": "containers with unready status: [main]",
    }  # fmt: skip
    assert "podIP" not in status


def test_an_image_is_told_with_what_made_its_id() -> None:
    ran = replace(running(), image_id="41" * 32)
    assert state(pod_status(view(pod(), ran)))["imageID"] == "sha256:" + "41" * 32
    told = {**pod(), "status": pod_status(view(pod(), ran))}
    assert [one.image_id for one in recalled(told, {}, NOW)] == ["41" * 32]


def test_a_running_pod_is_ready() -> None:
    status = pod_status(view(pod(), running()))
    assert status["phase"] == "Running"
    assert status["podIPs"] == [{"ip": "10.42.0.2"}]
    assert status["hostIPs"] == [{"ip": "10.90.0.10"}]
    assert status["observedGeneration"] == 1
    for type_ in ("Ready", "ContainersReady", "Initialized", "PodReadyToStartContainers"):
        assert condition(status, type_) == {"status": "True"}
    shown = state(status)
    assert shown["state"] == {"running": {"startedAt": "2025-12-31T23:59:00Z"}}
    assert (shown["ready"], shown["started"], shown["restartCount"]) == (True, True, 0)
    assert shown["containerID"] == "longshore://main-0"


def test_a_crash_loop_shows_when_and_why() -> None:
    doc, end = pod(), exited(code=3, attempt=4, at=NOW - 2)
    status = pod_status(view(doc, end, backoffs={"main": Backoff(80.0, NOW - 9)}))
    shown = state(status)
    assert shown["state"]["waiting"] == {
        "reason": "CrashLoopBackOff",
        "message": "back-off 1m20s restarting failed container=main pod=web_shop(uid-web)",
    }
    assert shown["lastState"]["terminated"]["exitCode"] == 3
    assert shown["lastState"]["terminated"]["reason"] == "Error"
    assert (shown["restartCount"], shown["ready"]) == (4, False)
    assert status["phase"] == "Running"


def test_an_image_error_turns_into_back_off() -> None:
    trouble = Trouble("ErrImagePull", "manifest unknown", NOW, NOW + 10)
    fresh = state(pod_status(view(pod(), troubles={"main": trouble})))
    assert fresh["state"]["waiting"]["reason"] == "ErrImagePull"
    later = state(pod_status(view(pod(), troubles={"main": trouble}, now=NOW + 3)))
    assert later["state"]["waiting"]["reason"] == "ImagePullBackOff"
    assert "manifest unknown" in later["state"]["waiting"]["message"]


def test_a_completed_pod() -> None:
    status = pod_status(view(pod(restartPolicy="Never"), exited()))
    assert status["phase"] == "Succeeded"
    assert state(status)["state"]["terminated"]["reason"] == "Completed"
    assert condition(status, "Ready") == {"status": "False", "reason": "PodCompleted"}
    assert condition(status, "Initialized") == {"status": "True", "reason": "PodCompleted"}


def test_out_of_memory_and_last_words_are_told() -> None:
    end = exited(code=137)
    oom = type(end)(**{**_fields(end), "reason": "OOMKilled"})
    messages = {("main", 0): "too much"}
    status = pod_status(view(pod(restartPolicy="Never"), oom, messages=messages))
    ended = state(status)["state"]["terminated"]
    assert (ended["reason"], ended["message"], status["phase"]) == (
        "OOMKilled",
        "too much",
        "Failed",
    )


def _fields(container: Any) -> dict[str, Any]:
    return {name: getattr(container, name) for name in container.__dataclass_fields__}


def test_a_deadline_is_the_reason_of_the_pod() -> None:
    status = pod_status(view(pod(activeDeadlineSeconds=10), exited(code=143)))
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")


def test_init_containers_hold_the_rest_back() -> None:
    doc = pod(inits=[container("one"), container("two")])
    status = pod_status(view(doc, exited("one")))
    assert condition(status, "Initialized") == {
        "status": "False", "reason": "ContainersNotInitialized",
        "message": "containers with incomplete status: [two]",
    }  # fmt: skip
    assert state(status)["state"]["waiting"]["reason"] == "PodInitializing"
    assert state(status, "one")["ready"] is True


def test_readiness_follows_probes_and_gates() -> None:
    unready = {"main": Health(started=True, ready=False)}
    assert (
        condition(pod_status(view(pod(), running(), health=unready)), "Ready")["status"] == "False"
    )
    gated = pod(readinessGates=[{"conditionType": "example.com/lb"}])
    assert (
        condition(pod_status(view(gated, running())), "Ready")["reason"] == "ReadinessGatesNotReady"
    )
    open_gate = {"type": "example.com/lb", "status": "True"}
    told = {**gated, "status": {"conditions": [open_gate]}}
    status = pod_status(view(told, running()))
    assert condition(status, "Ready") == {"status": "True"}
    assert open_gate in status["conditions"], "a foreign condition was lost"


def test_transition_times_move_only_with_the_status() -> None:
    first = pod_status(view(pod(), running()))
    again = pod_status(view(pod(), running(), reported=first, now=NOW + 50))
    assert again == first
    later = pod_status(view(pod(), exited(code=1, at=NOW + 60), reported=first, now=NOW + 60,
                            backoffs={"main": Backoff(10, NOW + 55)}))  # fmt: skip
    [ready] = [c for c in later["conditions"] if c["type"] == "Ready"]
    assert ready["lastTransitionTime"] == "2026-01-01T00:01:00Z"


def test_a_deleted_pod_ends_in_a_phase_that_says_how() -> None:
    assert pod_status(view(deleting(pod()), exited()))["phase"] == "Succeeded"
    assert pod_status(view(deleting(pod()), exited(code=143)))["phase"] == "Failed"
    assert pod_status(view(deleting(pod()), running()))["phase"] == "Running"
    assert pod_status(view(deleting(pod()), sandbox=False))["phase"] == "Failed"


def test_what_is_in_the_way_of_the_whole_pod_is_its_message() -> None:
    trouble = Trouble("FailedMount", 'configmap "settings" not found', NOW, NOW + 10)
    status = pod_status(view(pod(), sandbox=False, pod_trouble=trouble))
    assert (status["phase"], status["message"]) == ("Pending", 'configmap "settings" not found')


def test_a_pod_that_its_node_ended_says_why() -> None:
    """KEP-3329: Jobs tell disruptions from failures by the condition."""
    evicted = Verdict("Evicted", "The node was low on resource: memory. ", 1.0, disrupts=True)
    status = pod_status(view(pod(), exited(code=137), verdict=evicted))
    assert (status["phase"], status["reason"]) == ("Failed", "Evicted")
    assert status["message"] == "The node was low on resource: memory. "
    assert condition(status, "DisruptionTarget") == {
        "status": "True", "reason": "TerminationByKubelet",
        "message": "The node was low on resource: memory. ",
    }  # fmt: skip
    later = pod_status(view({**pod(), "status": status}, exited(code=137), phase="Failed"))
    assert condition(later, "DisruptionTarget") == condition(status, "DisruptionTarget")
