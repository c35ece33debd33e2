"""Client libraries, unmodified, against a cluster of hollow nodes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .driver import CACHE, Cluster, eventually

pytestmark = pytest.mark.slow

CLIENTS = Path(__file__).parent / "clients"
# The newest that runs on Debian's Node.js and on the one before.
CLIENT_NODE = "@kubernetes/client-node@1.3.0"


def run(*command: str, kubeconfig: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=90,
        env={**os.environ, "KUBECONFIG": kubeconfig},
    )  # fmt: skip
    assert done.stdout.endswith("well\n"), done.stdout + done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("library", ["kubernetes_asyncio", "lightkube", "kr8s"])
def test_a_program_of_a_python_library(hollow: Cluster, library: str) -> None:
    program = CLIENTS / f"with_{library}.py"
    run(sys.executable, str(program), hollow.kubeconfig, kubeconfig=hollow.kubeconfig)


@pytest.fixture
def kopf(hollow: Cluster, tmp_path: Path) -> Iterator[None]:
    """The operator, running beside the test."""
    with (tmp_path / "kopf.log").open("wb") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", "kopf", "run", "--standalone", "-n", "default",
             str(CLIENTS / "with_kopf.py")],
            stdout=log, stderr=log, env={**os.environ, "KUBECONFIG": hollow.kubeconfig},
        )  # fmt: skip
        yield
        running.send_signal(signal.SIGTERM)
        running.wait(timeout=90)
    log_text = (tmp_path / "kopf.log").read_text()
    assert "Traceback" not in log_text, log_text


async def test_an_operator_works(hollow: Cluster, kopf: None) -> None:
    hollow.kubectl("create", "configmap", "original", "--from-literal=a=1")
    hollow.kubectl("label", "configmap", "original", "copied=yes")

    def copied() -> Any:
        done = hollow.kubectl_run("get", "configmap", "original-copy", "-o", "jsonpath={.data.a}")
        return done.stdout

    assert await eventually(copied, "the operator's copy") == "1"
    hollow.kubectl("patch", "configmap", "original", "-p", '{"data":{"a":"2"}}')
    await eventually(lambda: copied() == "2", "the operator follows a change")
    hollow.kubectl("delete", "configmap", "original")
    await eventually(lambda: copied() == "", "the copy goes with its owner")


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """Where the npm package is, fetched once."""
    if shutil.which("npm") is None:
        pytest.skip("npm is missing (install Node.js): the client of JavaScript is left out")
    folder = CACHE / "js"
    if not (folder / "node_modules" / "@kubernetes").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock",
                   "--prefix", str(folder), CLIENT_NODE]  # fmt: skip
        subprocess.run(command, check=True, timeout=180, capture_output=True)
    return folder


def test_an_informer_of_javascript_reconnects(hollow: Cluster, node_modules: Path) -> None:
    run("node", str(CLIENTS / "informer.mjs"), hollow.kubeconfig, str(node_modules),
        kubeconfig=hollow.kubeconfig)  # fmt: skip
