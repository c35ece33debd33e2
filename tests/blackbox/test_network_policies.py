"""NetworkPolicies between real containers of two tenants, on three nodes, through kubectl."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from .driver import Cluster, eventually, kubectl_versions, longshore_run

pytestmark = [pytest.mark.root, pytest.mark.slow]

_GREEN, _GREY = "policy-green", "policy-grey"
# A server that answers with its name, and what asks from within a pod for at most a second.
_SERVE = "mkdir /tmp/w; echo hello > /tmp/w/index.html; exec busybox httpd -f -p 8080 -h /tmp/w"
_ASK = r"printf 'GET / HTTP/1.0\r\n\r\n' | busybox nc -w 1 {}"


def container_pod(name: str, namespace: str, command: str) -> dict[str, Any]:
    """On another node than the one of its namespace that has the same name, where it can be."""
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "main", "image": "busybox:1.36", "command": ["/bin/sh", "-c", command],
                "ports": [{"name": "web", "containerPort": 8080}],
            }],
        },
    }  # fmt: skip


def policy(name: str, namespace: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace}, "spec": {"podSelector": {}, **spec},
    }  # fmt: skip


@dataclass
class Teams:
    """Two namespaces with a server and a client each."""

    cluster: Cluster

    def asks(self, namespace: str, where: str, pod: str = "client") -> bool:
        """Whether a client has an answer from there."""
        line = _ASK.format(where)
        done = self.cluster.kubectl_run("exec", "-n", namespace, pod, "--", "/bin/sh", "-c", line)
        return done.stdout.endswith("hello\n")

    def ip(self, namespace: str, pod: str = "server") -> str:
        """Address and port of a server."""
        return f"{self.cluster.get('pod', pod, '-n', namespace)['status']['podIP']} 8080"

    async def comes(self, expected: bool, namespace: str, where: str) -> None:
        await eventually(lambda: self.asks(namespace, where) is expected, f"{where}: {expected}")


@pytest.fixture(scope="module")
def teams(cluster: Cluster) -> Iterator[Teams]:
    newest = replace(cluster, program=kubectl_versions()[-1])
    for namespace in (_GREEN, _GREY):
        newest.kubectl("create", "namespace", namespace)
        newest.apply(container_pod("server", namespace, _SERVE))
        newest.apply(container_pod("client", namespace, "exec sleep 7777"))
        newest.kubectl("expose", "pod", "server", "--port=80", "--target-port=web", "-n", namespace)
    for namespace in (_GREEN, _GREY):
        newest.kubectl(
            "wait", "pod", "--all", "--for=condition=Ready", "--timeout=120s", "-n", namespace
        )
    yield Teams(newest)
    newest.kubectl("delete", "namespace", _GREEN, _GREY)


async def test_a_team_closes_its_door_and_opens_it_to_a_neighbour(teams: Teams) -> None:
    cluster, server = teams.cluster, teams.ip(_GREEN)
    service = f"{cluster.get('service', 'server', '-n', _GREEN)['spec']['clusterIP']} 80"
    for namespace in (_GREEN, _GREY):
        await teams.comes(True, namespace, server)
        await teams.comes(True, namespace, service)

    deny = policy("deny", _GREEN, policyTypes=["Ingress"])
    done = cluster.kubectl_run("apply", "-f", "-", stdin=json.dumps(deny))
    assert (done.returncode, done.stderr) == (0, ""), "no warning that nothing acts on it"
    for namespace in (_GREEN, _GREY):
        await teams.comes(False, namespace, server)
        assert not teams.asks(namespace, service)
    assert teams.asks(_GREEN, teams.ip(_GREY)), "only the door inwards is closed"

    grey = {"matchLabels": {"kubernetes.io/metadata.name": _GREY}}
    rule = {"from": [{"namespaceSelector": grey}], "ports": [{"port": "web"}]}
    cluster.apply(policy("neighbour", _GREEN, ingress=[rule]))
    await teams.comes(True, _GREY, server)
    await teams.comes(True, _GREY, service)
    assert not teams.asks(_GREEN, server)

    cluster.kubectl("delete", "networkpolicy", "deny", "neighbour", "-n", _GREEN)
    await teams.comes(True, _GREEN, server)


async def test_a_container_whose_pod_is_isolated_never_speaks(teams: Teams) -> None:
    """It tries from its first moment on, and what it hears is in its log."""
    cluster, server = teams.cluster, teams.ip(_GREY)
    cluster.apply(policy("deny", _GREEN, policyTypes=["Egress"]))
    tries = f"for n in 1 2 3; do {_ASK.format(server)}; done; echo done; exec sleep 7777"
    for number in range(3):
        cluster.apply(container_pod(f"early-{number}", _GREEN, tries))
    for number in range(3):
        said = partial(_log, cluster, f"early-{number}")
        await eventually(partial(_tells, said), "the container tried")
        assert "hello" not in said()
    cluster.kubectl("delete", "networkpolicy", "deny", "-n", _GREEN)
    await eventually(lambda: teams.asks(_GREEN, server, "early-0"), "it may speak now")


async def test_tenants_are_apart_from_their_first_moment(teams: Teams) -> None:
    """By the policies that every tenant is made with."""
    cluster, names = teams.cluster, ("policy-red", "policy-blue")
    for name in names:
        cluster.longshore("tenant create", name, "--pod-security", "baseline")
        cluster.apply(container_pod("server", name, _SERVE))
        cluster.apply(container_pod("client", name, "exec sleep 7777"))
    for name in names:
        ready = ("--for=condition=Ready", "--timeout=120s", "-n", name)
        cluster.kubectl("wait", "pod", "--all", *ready)
    red, blue = names
    for name in names:
        await teams.comes(True, name, teams.ip(name))
        asked = ("exec", "-n", name, "client", "--", "/bin/sh", "-c")
        found = cluster.kubectl(
            *asked, "busybox nslookup -type=a kubernetes.default.svc.cluster.local 10.96.0.10"
        )
        assert "10.96.0.1" in found.replace("10.96.0.10", "")
    assert not teams.asks(red, teams.ip(blue))
    assert not teams.asks(blue, teams.ip(red))
    assert not teams.asks(_GREY, teams.ip(red)), "nor does anybody else come in"
    assert not teams.asks(red, teams.ip(_GREY)), "nor it anywhere"
    for name in names:
        cluster.longshore("tenant delete", name)


def _log(cluster: Cluster, pod: str) -> str:
    return cluster.kubectl_run("logs", "-n", _GREEN, pod).stdout


def _tells(said: Callable[[], str]) -> bool:
    return "done" in said()


def test_the_benchmark_s_control_passes(teams: Teams) -> None:
    cluster = teams.cluster
    for there in (False, True):
        if there:
            cluster.apply(policy("deny", _GREEN, policyTypes=["Ingress"]))
        words = ("audit-config", "--json", "--only", "pass")
        named = ("--name", cluster.name, "--root", str(cluster.root))
        found = {one["number"]: one["why"] for one in _controls(*words, *named)}
        assert "5.3.1" in found
    assert "rules for the NetworkPolicies" in found["5.3.1"]
    cluster.kubectl("delete", "networkpolicy", "deny", "-n", _GREEN)


def _controls(*words: str) -> list[dict[str, str]]:
    told: list[dict[str, str]] = json.loads(longshore_run(*words).stdout)["controls"]
    return told
