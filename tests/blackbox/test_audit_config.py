"""longshore audit-config, as a person runs it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from .conftest import started
from .driver import Cluster, longshore, longshore_run

pytestmark = pytest.mark.slow


def _failing(cluster: Cluster) -> dict[str, Any]:
    """What fails, and why, by number."""
    told = json.loads(_said(cluster, "--json", "--only", "fail"))
    assert told["cluster"] == cluster.name
    assert told["summary"]["fail"] == len(told["controls"])
    return {one["number"]: one["why"] for one in told["controls"]}


def _said(cluster: Cluster, *words: str) -> str:
    """The report of a cluster; it ends with 1 if something fails, and else with 0."""
    named = ("--name", cluster.name, "--root", str(cluster.root))
    done = longshore_run("audit-config", *named, *words)
    fails = not re.search(r'\b0 fail\b|"fail":0\b', done.stdout)
    assert (done.returncode, done.stderr) == (fails, ""), done.stdout
    return done.stdout


def test_a_default_cluster_and_what_people_do_to_it(short_root: Path) -> None:
    cluster = started("audited", short_root, "--hollow")
    try:
        assert _failing(cluster) == {}
        cluster.kubectl("create", "clusterrolebinding", "all", "--clusterrole=cluster-admin",
                        "--group=system:authenticated")  # fmt: skip
        cluster.kubectl("run", "web", "--image=nginx", "--privileged")
        (short_root / "audited" / "pki" / "admin.key").chmod(0o644)
        found = _failing(cluster)
        assert "pki/admin.key (644)" in found["1.1.21"]
        assert "system:authenticated" in found["5.1.1"]
        assert "system:authenticated" in found["5.1.2"]
        assert "default/web" in found["baseline/privileged"]
        assert "namespace default" in found["5.2.2"]
    finally:
        cluster.longshore("down")


@pytest.mark.root
def test_nothing_fails_in_a_default_cluster_of_real_nodes(short_root: Path) -> None:
    cluster = started("sound", short_root)
    try:
        assert _failing(cluster) == {}
    finally:
        cluster.longshore("down")


def test_a_table_ends_with_a_summary(hollow: Cluster) -> None:
    lines = _said(hollow).splitlines()
    assert lines[0].split() == ["CONTROL", "VERDICT", "TITLE", "WHY"]
    assert lines[1].split()[:2] == ["1.1.1", "n/a"]
    assert lines[-1].startswith("hollow: ")
    assert " fail, " in lines[-1]


def test_a_cluster_that_is_not_there_or_stopped_is_refused_in_a_sentence(short_root: Path) -> None:
    error = longshore("audit-config", "--name", "none", "--root", str(short_root), code=2)
    assert "no cluster is called 'none'" in error
    cluster = started("asleep", short_root, "--hollow")
    try:
        cluster.longshore("stop")
        assert "is it running?" in cluster.longshore("audit-config", code=2)
    finally:
        cluster.longshore("down")


@pytest.mark.root
def test_real_nodes_refuse_what_they_should(cluster: Cluster) -> None:
    told = json.loads(_said(cluster, "--json"))
    nodes = {o["number"]: o for o in told["controls"] if o["number"].startswith("4.")}
    assert {one["verdict"] for one in nodes.values()} == {"pass", "n/a"}
    for number in ("4.2.1", "4.2.2", "4.2.3", "4.2.4", "4.2.9", "4.2.12"):
        assert nodes[number]["why"].startswith("3 nodes: ")
