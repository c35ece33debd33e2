"""A cluster whose node has its containers run by a containerd of the cluster's own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longshore.cluster.config import ClusterPaths
from longshore.cluster.host.processes import Process, recorded
from longshore.machinery.kubelet.lifecycle.qos import POD_PIDS_MAX
from longshore.machinery.runtime.oci import cgroups
from longshore.machinery.runtime.oci.destroy import mounts_below

from .conftest import started
from .driver import Cluster, eventually, longshore
from .leaks import processes_below

pytestmark = [pytest.mark.slow, pytest.mark.root]


@pytest.fixture(scope="module")
def cri(short_root: Path, images: list[Path]) -> Iterator[Cluster]:
    """One node, and the tests' last one takes it down."""
    cluster = started("cri", short_root, "--nodes", "1", "--runtime", "cri")
    try:
        cluster.longshore("image load", str(images[2]))
        yield cluster
    finally:
        if ClusterPaths(short_root, "cri").home.exists():
            cluster.longshore("down")


def pod(name: str, script: str, **spec: Any) -> dict[str, Any]:
    container = {
        "name": "c", "image": "busybox:1.36", "imagePullPolicy": "Never",
        "command": ["sh", "-c", script],
    }  # fmt: skip
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def phase(cluster: Cluster, name: str) -> str:
    return str(cluster.get("pod", name)["status"].get("phase"))


def restarts(cluster: Cluster, name: str) -> int:
    return int(cluster.get("pod", name)["status"]["containerStatuses"][0]["restartCount"])


def process_limits(uid: str) -> set[str]:
    """What the control groups of a pod as a whole say."""
    found = cgroups.hierarchies()
    place = found.get("pids") or found["unified"]
    return {file.read_text().strip() for file in place.glob(f"**/*{uid}/pids.max")}


def containerd_of(cluster: Cluster) -> int:
    """The pid of containerd itself, a child of who keeps it; 0 if there is none now."""
    keeper = keeper_of(cluster).pid
    children = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
    return int(children[0]) if children else 0


def keeper_of(cluster: Cluster) -> Process:
    paths = ClusterPaths(cluster.root, cluster.name)
    (keeper,) = [one for one in recorded(paths.processes) if one.role == "containerd"]
    return keeper


async def test_pods_run_are_talked_to_and_end(cri: Cluster) -> None:
    cri.apply(pod("talker", "echo hello; trap 'exit 0' TERM; while :; do sleep 0.05; done"))
    cri.apply(pod("done", "echo over; exit 3", restartPolicy="Never", hostNetwork=True))
    cri.kubectl("wait", "--for=condition=Ready", "pod/talker", "--timeout=120s")
    assert cri.kubectl("logs", "talker") == "hello\n"
    assert cri.kubectl("exec", "-i", "talker", "--", "cat", stdin="there and back") == (
        "there and back"
    )
    failed = cri.kubectl_run("exec", "talker", "--", "sh", "-c", "echo bad >&2; exit 7")
    assert (failed.returncode, failed.stderr.splitlines()[0]) == (7, "bad")
    await eventually(lambda: phase(cri, "done") == "Failed", "the pod ends")
    status = cri.get("pod", "done")["status"]
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3
    assert status["containerStatuses"][0]["containerID"].startswith("containerd://")
    node = cri.get("node", "node-1")
    assert status["podIP"] == node["status"]["addresses"][0]["address"]
    assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("containerd://1.")
    assert process_limits(cri.get("pod", "talker")["metadata"]["uid"]) == {str(POD_PIDS_MAX)}
    cri.kubectl("delete", "pod", "talker", "done", "--timeout=120s")
    paths = ClusterPaths(cri.root, cri.name)
    assert [one for one in mounts_below(paths.home / "containerd") if "k8s.io" in str(one)] == []


async def test_a_killed_containerd_is_started_again_and_pods_do_not_notice(cri: Cluster) -> None:
    cri.apply(pod("steady", "while :; do sleep 0.05; done"))
    cri.kubectl("wait", "--for=condition=Ready", "pod/steady", "--timeout=120s")
    before = cri.get("pod", "steady")["status"]["containerStatuses"][0]
    cri.apply(pod("ending", "sleep 1; exit 5", restartPolicy="Never"))
    cri.kubectl("wait", "--for=jsonpath={.status.phase}=Running", "pod/ending", "--timeout=120s")
    killed = containerd_of(cri)
    os.kill(killed, signal.SIGKILL)
    await eventually(lambda: containerd_of(cri) not in (0, killed), "containerd is started again")
    await eventually(lambda: phase(cri, "ending") == "Failed", "an end meanwhile is found")
    ended = cri.get("pod", "ending")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["exitCode"] == 5
    after = cri.get("pod", "steady")["status"]["containerStatuses"][0]
    assert after == before
    assert cri.kubectl("exec", "steady", "--", "echo", "still") == "still\n"
    cri.apply(pod("late", "echo late; sleep 1000"))
    cri.kubectl("wait", "--for=condition=Ready", "pod/late", "--timeout=120s")


async def test_a_cluster_that_was_stopped_starts_its_pods_again(cri: Cluster) -> None:
    cri.longshore("stop")
    paths = ClusterPaths(cri.root, cri.name)
    assert mounts_below(paths.home / "containerd") == []
    cri.longshore("start")
    await eventually(lambda: restarts(cri, "steady") >= 1, "the pod runs again")
    cri.kubectl("wait", "--for=condition=Ready", "pod/steady", "pod/late", "--timeout=120s")


async def test_down_leaves_nothing_whatever_was_killed(cri: Cluster) -> None:
    paths = ClusterPaths(cri.root, cri.name)
    keeper_of(cri).kill(signal.SIGKILL)
    cri.longshore("down")
    assert not paths.home.exists()
    assert mounts_below(paths.home) == []
    assert cgroups.existing(cgroups.checked(paths.cgroup_parent)) == []
    assert list(processes_below(paths.home)) == []


def test_what_it_cannot_do_is_refused(short_root: Path) -> None:
    words = ["up", "--name", "no", "--root", str(short_root), "--runtime", "cri"]
    said = longshore(*words, "--autoscale", "1:3", code=2)
    assert "--autoscale is not there yet with --runtime cri" in said
