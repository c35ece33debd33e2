"""Probes, restarts and init containers.

Upstream: test/e2e/common/node/{container_probe,runtime,init_container}.go. What upstream watches for
minutes is watched here for as long as a probe needs to make a mistake.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from longshore.base.clock import parse_rfc3339

from ..driver import Cluster
from .playing import Case, Doc, Played, container, namespace, play, pod, ready

pytestmark = [pytest.mark.root, pytest.mark.slow]

AT_ONCE = {"periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 5}
LIFE_S = 3
HTTP = {"httpGet": {"path": "/healthz", "port": 8080}}
TCP = {"tcpSocket": {"port": 8080}}
GRPC = {"grpc": {"port": 8080}}
EXEC = {"exec": {"command": ["cat", "/tmp/health"]}}
WEB = "busybox mkdir /tmp/www; echo ok > /tmp/www/healthz; busybox httpd -p 8080 -h /tmp/www"
# What a server of grpc.health.v1 sends that is well: its settings, and when it was asked the answer.
_SETTINGS = r"\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0"
_ANSWER = (
    r"\0\0\24\1\4\0\0\0\1\210\17\20\20application/grpc"
    r"\0\0\7\0\0\0\0\0\1\0\0\0\0\2\10\1"
    r"\0\0\17\1\5\0\0\0\1\0\13grpc-status\0010"
)
_TALK = f"printf '{_SETTINGS}'; sleep 0.2; printf '{_ANSWER}'; sleep 1"
HEALTHY = f'busybox nc -ll -p 8080 -e /bin/sh -c "{_TALK}" &'


def restarts(count: int) -> Any:
    """Until a container of the pod was started again that often."""

    def until(pod: Doc) -> bool:
        statuses = _statuses(pod) or [{"restartCount": 0}]
        return bool(statuses[0]["restartCount"] >= count)

    return until


def _statuses(pod: Doc, of: str = "containerStatuses") -> list[Doc]:
    found: list[Doc] = pod["status"].get(of) or []
    return found


def live(name: str, script: str, handler: Doc, delay_s: int = 1) -> Case:
    """Its liveness probe finds nothing wrong, so that it ends by itself. A busy machine may let it begin to
    listen a little later than it is asked."""
    probe = {**handler, **AT_ONCE, "failureThreshold": 2, "initialDelaySeconds": delay_s}
    return Case(name, pod(container(f"{script}; sleep {LIFE_S}", livenessProbe=probe)))


def killed(name: str, script: str, handler: Doc) -> Case:
    """Its liveness probe fails after a while, so that it is started again."""
    main = container(f"{script}; sleep 1000", livenessProbe={**handler, **AT_ONCE})
    return Case(name, pod(main, restartPolicy="Always"), phase="Running", until=restarts(1))


LIVE = [
    live("http-live", WEB, HTTP),
    live("tcp-live", WEB, TCP),
    live("exec-live", "echo ok > /tmp/health", EXEC),
    live("grpc-live", HEALTHY.replace(" &", " & true"), GRPC),
]
KILLED = [
    killed("http-killed", f"{WEB}; (sleep 1; busybox rm /tmp/www/healthz) & true", HTTP),
    killed("exec-killed", "echo ok > /tmp/health; (sleep 1; busybox rm /tmp/health) & true", EXEC),
    killed("grpc-killed", "true", GRPC),
]
ALWAYS_KILLED = Case(
    "killed-again-and-again",
    pod(container("sleep 1000", livenessProbe={**EXEC, **AT_ONCE}), restartPolicy="Always"),
    phase="Running",
    until=restarts(2),
)
READY_LATER = Case(
    "ready-later",
    pod(
        container(
            "sleep 1000",
            readinessProbe={"exec": {"command": ["true"]}, "initialDelaySeconds": 2, **AT_ONCE},
        )
    ),
    phase="Running",
    until=ready,
)
NEVER_READY = Case(
    "never-ready",
    pod(
        container(
            f"sleep {LIFE_S}", readinessProbe={"exec": {"command": ["false"]}, **AT_ONCE}
        )
    ),
)  # fmt: skip


def counted(name: str, policy: str, last: str, **more: Any) -> Case:
    """Fails until its last time; each time a line more is in a volume that outlives the container."""
    script = f"echo >> /v/times; [ $(busybox wc -l < /v/times) = {last} ] || exit 1"
    main = container(
        f"{script}; {more.pop('then', 'true')}", volumeMounts=[{"name": "v", "mountPath": "/v"}]
    )
    spec = pod(main, restartPolicy=policy, volumes=[{"name": "v", "emptyDir": {}}])
    return Case(name, spec, **more)


POLICIES = {
    "always": (
        counted("always", "Always", "3", then="sleep 1000", phase="Running", until=lambda pod: restarts(2)(pod) and ready(pod)),
        2,
    ),
    "on-failure": (counted("on-failure", "OnFailure", "2"), 1),
    "never": (counted("never", "Never", "2", phase="Failed"), 0),
}  # fmt: skip


def initialised(name: str, policy: str, first: str, **more: Any) -> Case:
    """Two init containers, the first with a script of its own, then a container."""
    main = container("sleep 1000" if policy == "Always" else "true")
    inits = [container(first, name="one"), container("true", name="two")]
    return Case(name, pod(main, restartPolicy=policy, initContainers=inits), **more)


def first_restarted(pod: Doc) -> bool:
    """The first init container was started twice again."""
    statuses = _statuses(pod, "initContainerStatuses")
    return bool(statuses and statuses[0]["restartCount"] >= 2)


INITIALISED = [
    initialised("init-always", "Always", "true", phase="Running", until=ready),
    initialised("init-never", "Never", "true"),
    initialised("init-fails-never", "Never", "false", phase="Failed"),
    initialised("init-fails-always", "Always", "false", phase="Pending", until=first_restarted),
]
CASES = [
    ALWAYS_KILLED, *LIVE, *KILLED, READY_LATER, NEVER_READY, *INITIALISED,
    *(case for case, _ in POLICIES.values()),
]  # fmt: skip


@pytest.fixture(scope="module")
def played(cluster: Cluster) -> Iterator[Played]:
    with namespace(cluster, "probes") as api:
        yield play(api, CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_comes_so_far(played: Played, case: Case) -> None:
    played.check(case)


@pytest.mark.parametrize("case", [*LIVE, READY_LATER, NEVER_READY], ids=lambda case: case.name)
def test_is_never_restarted(played: Played, case: Case) -> None:
    assert _statuses(played.pod(case.name))[0]["restartCount"] == 0


def test_restarts_are_counted_one_by_one(played: Played) -> None:
    seen = [_statuses(pod) for pod in played.history[ALWAYS_KILLED.name]]
    counts = [statuses[0]["restartCount"] for statuses in seen if statuses]
    assert sorted(set(counts)) == list(range(max(counts) + 1))
    assert counts == sorted(counts)


def test_nothing_is_ready_before_its_probe_may_begin(played: Played) -> None:
    status = played.pod(READY_LATER.name)["status"]
    (since,) = [c["lastTransitionTime"] for c in status["conditions"] if c["type"] == "Ready"]
    began = status["containerStatuses"][0]["state"]["running"]["startedAt"]
    assert parse_rfc3339(since) - parse_rfc3339(began) >= 2


def test_what_fails_its_readiness_probe_is_never_ready(played: Played) -> None:
    assert not any(map(ready, played.history[NEVER_READY.name]))


@pytest.mark.parametrize("name", POLICIES)
def test_restart_policies(played: Played, name: str) -> None:
    case, count = POLICIES[name]
    assert _statuses(played.pod(case.name))[0]["restartCount"] == count


@pytest.mark.parametrize("name", ["init-always", "init-never"])
def test_init_containers_run_before_the_others(played: Played, name: str) -> None:
    status = played.pod(name)["status"]
    ends = [one["state"]["terminated"] for one in status["initContainerStatuses"]]
    assert [end["reason"] for end in ends] == ["Completed", "Completed"]
    assert {c["type"]: c["status"] for c in status["conditions"]}["Initialized"] == "True"
    main = status["containerStatuses"][0]["state"]
    began = (main.get("running") or main.get("terminated"))["startedAt"]
    assert ends[0]["finishedAt"] <= ends[1]["startedAt"] <= ends[1]["finishedAt"] <= began


@pytest.mark.parametrize("name", ["init-fails-never", "init-fails-always"])
def test_nothing_runs_after_an_init_container_that_failed(played: Played, name: str) -> None:
    for seen in played.history[name]:
        for status in (*_statuses(seen, "initContainerStatuses")[1:], *_statuses(seen)):
            assert "running" not in status["state"] and not status["lastState"]
    last = played.pod(name)["status"]
    assert {c["type"]: c["status"] for c in last["conditions"]}["Initialized"] == "False"
    assert last["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
