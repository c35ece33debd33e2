"""Talking with containers through an unmodified kubectl: exec, attach, and the proxy to pods and
Services. Commands over WebSocket need kubectl 1.31 or newer."""

from __future__ import annotations

import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace

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
def shell(cluster: Cluster) -> Iterator[Cluster]:
    """A pod with a shell, as the newest kubectl sees it."""
    newest = replace(cluster, program=kubectl_versions()[-1])
    newest.apply(POD)
    newest.kubectl("wait", "pod/talking", "--for=condition=Ready", "--timeout=60s")
    yield newest
    newest.kubectl("delete", "pod", "talking", "--now")


@pytest.fixture(scope="module")
def web(cluster: Cluster) -> Cluster:
    """The examples, running, as the newest kubectl sees them."""
    newest = replace(cluster, program=kubectl_versions()[-1])
    newest.kubectl("apply", "-f", str(EXAMPLES))
    newest.kubectl("rollout", "status", "deployment/nginx-deployment", "--timeout=60s")
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
    assert "executable file not found" in done.stderr


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
    running.communicate(timeout=20)


def test_a_service_and_a_pod_answer_through_the_proxy(web: Cluster, proxy: str) -> None:
    pod = web.running("app=nginx")[0]["metadata"]["name"]
    for place in ("services/nginx:8080", f"pods/{pod}:80"):
        address = f"{proxy}/api/v1/namespaces/default/{place}/proxy/"
        with urllib.request.urlopen(address, timeout=20) as answer:
            assert "Welcome to nginx!" in answer.read().decode()
    # The backend's own refusals come through.
    request = urllib.request.Request(
        f"{proxy}/api/v1/namespaces/default/pods/{pod}:80/proxy/", data=b"x", method="DELETE"
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=20)
    refused.value.close()
    assert refused.value.code == 405
