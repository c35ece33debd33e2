"""The command line itself: what it prints, refuses and leaves behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from longshore.base.chance import Chance
from longshore.base.clock import SystemClock

from .conftest import started
from .driver import EXAMPLES, Cluster, longshore
from .leaks import machine, nothing_left

NODES = 3


def test_version_and_help_name_every_command() -> None:
    assert "Kubernetes API v1." in longshore("version")
    helped = longshore("--help")
    for word in ("up", "down", "stop", "start", "list", "kubeconfig", "image", "doctor", "version"):
        assert f"\n  {word} " in helped


@pytest.mark.slow
def test_hollow_nodes_run_everything_but_containers(hollow: Cluster) -> None:
    hollow.kubectl("apply", "-f", str(EXAMPLES))
    hollow.kubectl("rollout", "status", "deployment/nginx-deployment", "--timeout=120s")
    assert len(hollow.running("app=nginx")) == NODES
    pod = hollow.running("app=nginx")[0]["metadata"]["name"]
    assert "hollow" in hollow.kubectl("logs", pod, code=1)
    hollow.kubectl("delete", "-f", str(EXAMPLES))


@pytest.mark.slow
def test_json_tells_where_the_cluster_is(tmp_path: Path) -> None:
    words = ["--hollow", "--nodes", "2", "--name", "told", "--root", str(tmp_path), "--no-merge"]
    told = json.loads(longshore("up", *words, "--json"))
    assert told.keys() == {"name", "server", "kubeconfig", "context", "nodes", "seconds"}
    assert (told["name"], told["context"], told["nodes"]) == ("told", "longshore-told", 2)
    assert told["seconds"]["total"] > 0
    assert stat.S_IMODE(Path(told["kubeconfig"]).stat().st_mode) == 0o600
    listed = json.loads(longshore("list", "--json", "--root", str(tmp_path)))["clusters"]
    assert [(c["name"], c["state"], c["nodes"]) for c in listed] == [("told", "running", 2)]
    longshore("down", "--name", "told", "--root", str(tmp_path))
    assert not any(tmp_path.iterdir()) if tmp_path.exists() else True


@pytest.mark.slow
def test_the_users_kubeconfig_is_merged_and_mended(tmp_path: Path) -> None:
    mine = tmp_path / "config"
    other = {"name": "other", "cluster": {"server": "https://127.0.0.1:1"}}
    mine.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "clusters": [other]}))
    environment = {"KUBECONFIG": str(mine)}
    words = ["--name", "merged", "--root", str(tmp_path / "r")]
    longshore("up", *words, "--hollow", env=environment)
    merged = yaml.safe_load(mine.read_text())
    assert merged["current-context"] == "longshore-merged"
    assert [cluster["name"] for cluster in merged["clusters"]] == ["other", "longshore-merged"]
    assert stat.S_IMODE(mine.stat().st_mode) == 0o600
    longshore("down", *words, env=environment)
    mended = yaml.safe_load(mine.read_text())
    assert mended["clusters"] == [other]
    assert mended["contexts"] == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["down", "--name", "nobody"], "no cluster is called 'nobody'"),
        (["stop", "--name", "nobody"], "no cluster is called 'nobody'"),
        (["kubeconfig", "--name", "nobody"], "no cluster is called 'nobody'"),
        (["image", "list", "--name", "nobody"], "no cluster is called 'nobody'"),
        (["up", "--hollow", "--name", "No Name"], "is no name for a cluster"),
        (["up", "--hollow", "--nodes", "0"], "a cluster here has 1 to"),
    ],
)
def test_refusals_are_one_sentence(tmp_path: Path, words: list[str], sentence: str) -> None:
    said = longshore(*words, "--root", str(tmp_path / "r"), code=2)
    assert sentence in said
    assert said.count("\n") == 1
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
def test_a_second_cluster_of_the_name_and_a_taken_port_are_refused(tmp_path: Path) -> None:
    words = ["--name", "one", "--root", str(tmp_path)]
    told = json.loads(longshore("up", *words, "--hollow", "--no-merge", "--json"))
    assert "there is a cluster 'one' already" in longshore("up", *words, "--hollow", code=2)
    longshore("stop", *words)
    port = int(told["server"].rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        assert f"port {port} on 127.0.0.1 is taken" in longshore("start", *words, code=2)
    longshore("start", *words)
    longshore("down", *words)


@pytest.mark.slow
async def test_a_killed_up_can_be_cleaned_by_down(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("longshore")
    chance, clock = Chance.seeded(3), SystemClock()
    for _ in range(6):
        words = ["--name", "cut", "--root", str(tmp_path / "r")]
        up = subprocess.Popen(
            [str(program), "up", *words, "--hollow", "--no-merge"], stdout=subprocess.DEVNULL
        )
        await clock.sleep(chance.uniform(0.02, 0.5))
        up.send_signal(signal.SIGKILL)
        up.wait()
        # Killed between two calls, it may have made the root alone: that is no cluster yet.
        if (tmp_path / "r" / "cut").exists():
            longshore("down", *words)
        assert not list((tmp_path / "r").glob("*"))


@pytest.mark.root
@pytest.mark.slow
async def test_a_killed_up_of_real_containers_leaves_nothing_after_down(short_root: Path) -> None:
    program = Path(sys.executable).with_name("longshore")
    chance, clock, root = Chance.seeded(4), SystemClock(), short_root / "k"
    before = machine(root)
    for _ in range(6):
        words = ["--name", "cut", "--root", str(root)]
        up = subprocess.Popen(
            [str(program), "up", *words, "--uplink", "none", "--no-merge", "--nodes", "2"],
            stdout=subprocess.DEVNULL,
        )
        await clock.sleep(chance.uniform(0.05, 0.9))
        up.send_signal(signal.SIGKILL)
        up.wait()
        if (root / "cut").exists():
            longshore("down", *words)
    await nothing_left(root, before)


@pytest.mark.root
@pytest.mark.slow
async def test_down_leaves_nothing_and_says_beforehand_what_it_removes(
    short_root: Path, images: list[Path]
) -> None:
    root = short_root / "g"
    before = machine(root)
    cluster = started("gone", root, "--nodes", str(NODES))
    cluster.longshore("image load", str(images[1]))
    cluster.kubectl("apply", "-f", str(EXAMPLES / "dockchat-deployment.yaml"))
    cluster.kubectl("apply", "-f", str(EXAMPLES / "frontend-service.yaml"))
    cluster.kubectl("rollout", "status", "deployment/dockchat-frontend", "--timeout=120s")
    during = machine(root)
    for unchanged in ("links", "addresses", "routes", "rules"):
        assert during[unchanged] == before[unchanged]
    announced = cluster.longshore("down", "--list")
    for word in ("process", "mount", "control group", "namespace", "directory"):
        assert f"{word} " in announced
    after = machine(root)
    for kept in (
        "mounts",
        "groups",
    ):  # a node may make more of them: pods' namespaces are made ahead
        assert during[kept] <= after[kept]
    assert cluster.state() == "running"
    cluster.longshore("down")
    await nothing_left(root, before)
    assert not root.exists()


@pytest.mark.root
@pytest.mark.slow
def test_two_clusters_run_side_by_side(short_root: Path) -> None:
    first = started("first", short_root / "s")
    second = started("second", short_root / "s")
    try:
        first.kubectl("create", "configmap", "mine", "--from-literal=a=b")
        assert "NotFound" in second.kubectl("get", "configmap", "mine", code=1)
        first.longshore("down")
        assert "Ready" in second.kubectl("get", "nodes")
    finally:
        longshore("down", "--all", "--root", str(short_root / "s"))


@pytest.mark.root
def test_without_root_real_containers_are_refused(tmp_path: Path) -> None:
    """As another user, who can reach the program but is not root."""
    code = (
        "import os; from longshore.cluster import doctor; os.setuid(65534); doctor.require('oci')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert "real containers need root: run as root, or use --hollow" in done.stderr
