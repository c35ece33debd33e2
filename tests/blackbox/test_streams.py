"""Talking with containers through an unmodified kubectl: exec, attach, cp, port-forward, and the proxy to
pods and Services. kubectl speaks SPDY before 1.31, and WebSocket from then on."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from .driver import EXAMPLES, Cluster, kubectl_versions

pytestmark = [pytest.mark.root, pytest.mark.slow]


POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "talking", "labels": {"app": "talking"}},
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {
                "name": "main",
                "image": "busybox:1.36",
                "command": ["/bin/sh", "-c", "exec sleep 7777"],
            }
        ],
    },
}


@pytest.fixture(scope="module")
def talking(cluster: Cluster) -> Iterator[Cluster]:
    """A pod with a shell."""
    cluster.apply(POD)
    cluster.kubectl("wait", "pod/talking", "--for=condition=Ready", "--timeout=120s")
    yield cluster
    cluster.kubectl("delete", "pod", "talking", "--now")


@pytest.fixture(params=kubectl_versions(), ids=lambda path: Path(path).name)
def shell(request: pytest.FixtureRequest, talking: Cluster) -> Cluster:
    """It, as the oldest and the newest kubectl see it."""
    return replace(talking, program=request.param)


@pytest.fixture(scope="module")
def web(cluster: Cluster) -> Cluster:
    """The examples, running, as the newest kubectl sees them."""
    newest = replace(cluster, program=kubectl_versions()[-1])
    newest.kubectl("apply", "-f", str(EXAMPLES))
    newest.kubectl("rollout", "status", "deployment/nginx-deployment", "--timeout=120s")
    return newest


def test_a_command_has_its_output_its_errors_and_its_exit_code(shell: Cluster) -> None:
    done = shell.kubectl_run(
        "exec", "talking", "--", "/bin/sh", "-c", "echo out; echo err >&2; exit 7"
    )
    assert (done.returncode, done.stdout) == (7, "out\n"), done.stderr
    assert "err\n" in done.stderr


def test_a_command_reads_what_is_typed(shell: Cluster) -> None:
    text = "line\n" * 20_000
    done = shell.kubectl_run("exec", "-i", "talking", "--", "cat", stdin=text)
    assert done.stdout == text, done.stderr


def test_a_command_that_is_not_there(shell: Cluster) -> None:
    done = shell.kubectl_run("exec", "talking", "--", "no-such-thing")
    assert done.returncode != 0
    assert re.search("executable file .*not found", done.stderr)


@pytest.fixture
def proxy(web: Cluster) -> Iterator[str]:
    """`kubectl proxy` on a port of its own; its address."""
    running = subprocess.Popen(
        [web.program or "kubectl", "proxy", "--port=0"], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "KUBECONFIG": web.kubeconfig},
    )  # fmt: skip
    assert running.stdout is not None
    yield "http://" + running.stdout.readline().rpartition(" ")[2].strip()
    running.terminate()
    running.communicate(timeout=90)


def test_a_service_and_a_pod_answer_through_the_proxy(web: Cluster, proxy: str) -> None:
    pod = web.running("app=nginx")[0]["metadata"]["name"]
    for place in ("services/nginx:8080", f"pods/{pod}:80"):
        address = f"{proxy}/api/v1/namespaces/default/{place}/proxy/"
        with urllib.request.urlopen(address, timeout=90) as answer:
            assert "Welcome to nginx!" in answer.read().decode()
    # The backend's own refusals come through.
    request = urllib.request.Request(
        f"{proxy}/api/v1/namespaces/default/pods/{pod}:80/proxy/", data=b"x", method="DELETE"
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=90)
    refused.value.close()
    assert refused.value.code == 405


@pytest.mark.parametrize("program", kubectl_versions(), ids=lambda path: Path(path).name)
def test_a_port_of_a_pod_is_forwarded(web: Cluster, program: str) -> None:
    """By SPDY as by WebSocket: many connections at once, and one that nobody takes, after which kubectl
    ends."""
    pod = web.running("app=nginx")[0]["metadata"]["name"]
    running = subprocess.Popen(
        [program or "kubectl", "port-forward", f"pod/{pod}", ":80", ":81"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "KUBECONFIG": web.kubeconfig},
    )  # fmt: skip
    assert running.stdout is not None
    lines = [line.split() for line in (running.stdout.readline() for _ in range(4))]
    ports = {words[4]: words[2].rpartition(":")[2] for words in lines if "127.0.0.1" in words[2]}

    def page(port: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{ports[port]}/", timeout=90) as answer:
            return str(answer.read().decode())

    try:
        with ThreadPoolExecutor(8) as clients:
            assert all("Welcome to nginx!" in one for one in clients.map(page, ["80"] * 40))
        with pytest.raises((OSError, http.client.HTTPException)):
            page("81")
    finally:
        running.terminate()
        said = running.communicate(timeout=90)[1]
    assert "error forwarding port 81: dial tcp 127.0.0.1:81: connect: connection refused" in said


def test_a_port_is_forwarded_to_clients_without_spdy(web: Cluster) -> None:
    pod = web.running("app=nginx")[0]["metadata"]["name"]
    program = [sys.executable, str(Path(__file__).parent / "clients" / "forwarded.py")]
    done = subprocess.run(
        [*program, web.kubeconfig, pod], capture_output=True, text=True, timeout=60
    )
    assert "Welcome to nginx!" in done.stdout, done.stderr
    assert "error forwarding port 81" in done.stdout


def test_files_are_copied_both_ways(shell: Cluster, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_bytes(os.urandom(300_000))
    shell.kubectl("cp", str(there), "talking:/tmp/copied")
    shell.kubectl("cp", "talking:/tmp/copied", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == there.read_bytes()
