"""The way out: pasta comes and goes with its cluster. Nothing is sent through it: there need not be
an outside where the tests run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from longshore.machinery.network.uplink import leftovers

from .driver import Cluster, eventually, longshore
from .leaks import machine, nothing_left

pytestmark = [pytest.mark.root, pytest.mark.slow]


def with_uplink(name: str, root: Path) -> Cluster:
    words = ["--name", name, "--root", str(root), "--no-merge", "--uplink", "user"]
    told = json.loads(longshore("up", *words, "--json"))
    return Cluster(name, root, told["server"], told["kubeconfig"])


def pid_of_pasta(cluster: Cluster) -> int:
    """0 while there is none. pasta itself writes the file, after it has made the way out."""
    return next(iter(leftovers(cluster.root / cluster.name / "uplink.pid")), 0)


async def tap_of(cluster: Cluster) -> None:
    """Wait until the LAN's namespace, which pasta runs beside, has its tap and its route."""
    lan = cluster.root / cluster.name / "ns" / "lan"
    assert lan.exists()
    look = ["nsenter", f"--net={lan}", "ip", "route", "show", "default"]
    await eventually(
        lambda: "dev uplink0" in subprocess.run(look, capture_output=True, text=True).stdout,
        "the LAN has its way out",
    )


async def test_pasta_lives_as_long_as_its_cluster(short_root: Path) -> None:
    root = short_root / "u"
    before = machine(root)
    cluster = with_uplink("way", root)
    try:
        await tap_of(cluster)
        first = await eventually(lambda: pid_of_pasta(cluster), "pasta is there")
        assert machine(root)["links"] == before["links"], (
            "the machine's own namespace is left alone"
        )
        assert f"process {first} (uplink)" in cluster.longshore("down --list").splitlines()
        cluster.longshore("stop")
        assert not Path(f"/proc/{first}").exists()
        cluster.longshore("start")
        await tap_of(cluster)
        assert await eventually(lambda: pid_of_pasta(cluster), "pasta is there again") != first
    finally:
        cluster.longshore("down")
    await nothing_left(root, before)


async def test_a_pasta_that_dies_is_started_again(short_root: Path) -> None:
    root = short_root / "a"
    before = machine(root)
    cluster = with_uplink("again", root)
    try:
        await tap_of(cluster)
        first = await eventually(lambda: pid_of_pasta(cluster), "pasta is there")
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: pid_of_pasta(cluster) not in (0, first), "another pasta")
        await tap_of(cluster)
        log = (cluster.root / "again" / "log" / "server.log").read_text()
        assert "pods do not reach the outside: pasta ended with -9" in log
    finally:
        cluster.longshore("down")
    await nothing_left(root, before)


async def test_down_ends_the_pasta_of_a_server_that_was_killed(short_root: Path) -> None:
    root = short_root / "l"
    before = machine(root)
    cluster = with_uplink("lost", root)
    try:
        await tap_of(cluster)
        (server,) = (cluster.root / "lost" / "processes").glob("server.json")
        os.kill(json.loads(server.read_text())["pid"], signal.SIGKILL)
        pasta = pid_of_pasta(cluster)
        (cluster.root / "lost" / "uplink.pid").unlink(missing_ok=True)  # found without it, too
        assert f"process {pasta} (uplink)" in cluster.longshore("down --list")
    finally:
        cluster.longshore("down")
    await nothing_left(root, before)


def test_without_pasta_the_cluster_comes_up_and_says_what_is_missing(
    short_root: Path, tmp_path: Path
) -> None:
    for program in ("conmon", "runc", "nft"):
        found = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin")
        assert found is not None
        (tmp_path / program).symlink_to(found)
    root = short_root / "w"
    longshore_program = str(Path(sys.executable).with_name("longshore"))
    done = subprocess.run(
        [longshore_program, "up", "--name", "without", "--root", str(root), "--no-merge", "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": str(tmp_path)},
    )
    try:
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith("longshore: pods will not reach the outside")
        assert done.stderr.count("\n") == 1
        assert json.loads((root / "without" / "cluster.json").read_text())["uplink"] == "none"
    finally:
        longshore("down", "--name", "without", "--root", str(root))
