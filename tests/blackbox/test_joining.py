"""A machine joins a cluster by a token, and is its node by the certificate that it got for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from longshore.base.clock import SystemClock
from longshore.core.pki.authority import Authority

from .driver import Cluster, eventually, longshore

pytestmark = pytest.mark.slow


@contextmanager
def agent(invitation: Path, node: str, directory: Path) -> Iterator[subprocess.Popen[str]]:
    program = str(Path(sys.executable).with_name("longshore"))
    words = ["agent", "--join", str(invitation), "--node", node, "--dir", str(directory)]
    words += ["--runtime", "hollow"]
    with subprocess.Popen([program, *words], stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(90)


def ready(cluster: Cluster, node: str) -> bool:
    path = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    return cluster.kubectl_run("get", "node", node, "-o", path).stdout == "True"


def tokens(cluster: Cluster) -> dict[str, str]:
    """What they are for, by their ids."""
    found = json.loads(cluster.longshore("token list", "--json"))["tokens"]
    return {one["id"]: one["description"] for one in found}


@pytest.fixture
def invitation(hollow: Cluster, tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "join.yaml"
    hollow.longshore("token create", "--file", str(file), "--description", tmp_path.name)
    yield file
    for token in tokens(hollow):
        hollow.longshore("token delete", token)
    hollow.kubectl("delete", "node", "edge", "--ignore-not-found")


def token_of(cluster: Cluster, invitation: Path) -> str:
    found = tokens(cluster).items()
    return next(one for one, purpose in found if purpose == invitation.parent.name)


async def test_a_machine_becomes_a_node_and_stays_it(
    hollow: Cluster, invitation: Path, tmp_path: Path
) -> None:
    assert os.stat(invitation).st_mode & 0o777 == 0o600
    home = tmp_path / "edge"
    with agent(invitation, "edge", home):
        await eventually(lambda: ready(hollow, "edge"), "the node is Ready")
        hollow.kubectl("run", "there", "--image=none", '--overrides={"spec":{"nodeName":"edge"}}')
        await eventually(
            lambda: hollow.get("pod", "there")["status"].get("phase") == "Running", "its pod runs"
        )
    hollow.longshore("token delete", token_of(hollow, invitation))
    with agent(invitation, "edge", home):
        hollow.kubectl("delete", "pod", "there", "--timeout=120s")


async def test_a_token_that_was_withdrawn_lets_nobody_in(
    hollow: Cluster, invitation: Path, tmp_path: Path
) -> None:
    hollow.longshore("token delete", token_of(hollow, invitation))
    words = ["--node", "late", "--dir", str(tmp_path / "late"), "--runtime", "hollow"]
    said = longshore("agent", "--join", str(invitation), *words, code=2)
    assert "does not take this node: Unauthorized" in said
    assert yaml.safe_load(invitation.read_text())["users"][0]["user"]["token"] not in said


async def test_another_server_is_not_talked_to(
    hollow: Cluster, invitation: Path, tmp_path: Path
) -> None:
    """The token is shown to nobody whom the invitation's authority does not vouch for."""
    doc = yaml.safe_load(invitation.read_text())
    (tmp_path / "pki").mkdir()
    stranger = Authority(tmp_path / "pki", SystemClock()).pem.encode()
    doc["clusters"][0]["cluster"]["certificate-authority-data"] = b64encode(stranger).decode()
    invitation.write_text(yaml.safe_dump(doc))
    words = ["--node", "late", "--dir", str(tmp_path / "late"), "--runtime", "hollow"]
    said = longshore("agent", "--join", str(invitation), *words, code=2)
    assert "certificate verify failed" in said


def test_a_file_that_is_no_invitation_says_so(tmp_path: Path) -> None:
    file = tmp_path / "join.yaml"
    file.write_text("apiVersion: v1\nkind: Config\n")
    said = longshore("agent", "--join", str(file), "--node", "a", "--dir", str(tmp_path), code=2)
    assert "is no bootstrap kubeconfig" in said
    assert "longshore token create --file makes one" in said


def test_what_ends_when(hollow: Cluster) -> None:
    found = json.loads(hollow.longshore("certs", "--json"))["certificates"]
    names = {one["name"]: one for one in found}
    assert {"ca", "server", "admin"} <= names.keys()
    assert names["ca"]["days_left"] > 3640
    assert names["admin"]["groups"] == "longshore:cluster-admins"
    assert names["super-admin"]["groups"] == "system:masters"
    assert "by the server" in names["admin"]["renews"]


async def test_a_machine_that_knows_several_servers_joins_through_any_that_answers(
    hollow: Cluster, invitation: Path, tmp_path: Path
) -> None:
    nobody = "https://127.0.0.1:1"
    words = ("--file", str(invitation), "--server", nobody, "--server", hollow.server)
    hollow.longshore("token create", *words)
    with agent(invitation, "edge", tmp_path / "node"):
        await eventually(lambda: ready(hollow, "edge"), "it joins")
    refusal = hollow.longshore("token create", "--server", "127.0.0.1:1", code=2)
    assert "--server '127.0.0.1:1': want https://HOST:PORT" in refusal
