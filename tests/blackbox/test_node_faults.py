"""One bad night of a node: what its pods and programs do to it stays theirs, and it comes right again."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longshore.cluster.config import ClusterPaths
from longshore.cluster.host.processes import start_time
from longshore.machinery.runtime.oci import cgroups

from .driver import Cluster, eventually, is_ready, longshore
from .leaks import held, until_nothing_new

pytestmark = [pytest.mark.slow, pytest.mark.root]

# Fails to make as many containers as there are lines in a file, and then does as it is told.
WRAPPER = """#!/bin/sh
case " $* " in *" create "*)
  if [ -s {faults} ]; then sed -i 1d {faults}; echo "out of luck" >&2; exit 1; fi;;
esac
exec {program} "$@"
"""
FOREVER = "exec sleep 100000"
_LOG_MOST_BYTES = 120 * 1024 * 1024


def pod(name: str, *command: str, **more: Any) -> dict[str, Any]:
    """more are fields of its spec, but for limits and image, which are its container's."""
    container = {
        "name": "c", "image": more.pop("image", "busybox:1.36"),
        "imagePullPolicy": more.pop("policy", "Never"), "command": [*command],
        "resources": {"limits": more.pop("limits", {})},
    }  # fmt: skip
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1, **more}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


PODS = [
    pod("greedy", "busybox", "dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1",
        limits={"memory": "24Mi"}, restartPolicy="Never"),
    pod("deaf", "sh", "-c", "trap '' TERM INT; while :; do sleep 1; done"),
    pod("bomb", "sh", "-c", f"for i in $(busybox seq 1000); do sleep 1000 & done; {FOREVER}"),
    pod("chatty", "busybox", "yes", "x" * 200),
    pod("orphan", "sh", "-c", FOREVER),
    pod("steady", "sh", "-c", FOREVER),
    pod("missing", "sh", "-c", FOREVER, image="dockchat/frontend:1.0", policy="IfNotPresent"),
]  # fmt: skip


@pytest.fixture(scope="module")
def faults(short_root: Path) -> Path:
    return short_root / "faults.txt"


@pytest.fixture(scope="module")
def night(short_root: Path, faults: Path, images: list[Path]) -> Iterator[Cluster]:
    """A node whose runc and crun fail on demand."""
    programs = short_root / "bin"
    programs.mkdir()
    faults.write_text("")
    for name in ("runc", "crun"):
        if program := shutil.which(name):
            wrapper = programs / name
            wrapper.write_text(WRAPPER.format(faults=faults, program=program))
            wrapper.chmod(0o755)
    path = {"PATH": f"{programs}:{os.environ['PATH']}"}
    words = ("--name", "night", "--root", str(short_root), "--no-merge", "--uplink", "none")
    told = json.loads(longshore("up", *words, "--json", env=path))
    cluster = Cluster("night", short_root, told["server"], told["kubeconfig"])
    try:
        cluster.longshore("image load", str(images[2]))
        yield cluster
    finally:
        cluster.longshore("down")


@pytest.fixture(scope="module")
def before(night: Cluster) -> dict[str, set[str]]:
    """What the node has without pods."""
    night.kubectl("wait", "--for=create", "sa/default", "--timeout=120s")
    return held(paths_of(night))


@pytest.fixture(scope="module")
def busy(night: Cluster, faults: Path, before: dict[str, set[str]]) -> Cluster:
    """All of them at once, after one that had no luck."""
    faults.write_text("one\n")
    night.apply(pod("unlucky", "sh", "-c", FOREVER))
    night.kubectl("wait", "--for=condition=Ready", "pod/unlucky", "--timeout=120s")
    night.apply({"apiVersion": "v1", "kind": "List", "items": PODS})
    return night


def paths_of(cluster: Cluster) -> ClusterPaths:
    return ClusterPaths(cluster.root, cluster.name)


def container(cluster: Cluster, name: str) -> dict[str, Any]:
    statuses = cluster.get("pod", name)["status"].get("containerStatuses") or [{}]
    found: dict[str, Any] = statuses[0]
    return found


def reason(cluster: Cluster, name: str, state: str) -> str:
    return str((container(cluster, name).get("state") or {}).get(state, {}).get("reason"))


async def test_who_has_no_image_waits(busy: Cluster, images: list[Path]) -> None:
    waiting = ("ErrImagePull", "ImagePullBackOff")
    await eventually(lambda: reason(busy, "missing", "waiting") in waiting, "it waits")
    busy.longshore("image load", str(images[1]))


async def test_memory_that_is_not_there_ends_the_container_that_takes_it(busy: Cluster) -> None:
    await eventually(lambda: reason(busy, "greedy", "terminated") == "OOMKilled", "it is ended")
    assert container(busy, "greedy")["state"]["terminated"]["exitCode"] == 137
    assert busy.get("pod", "greedy")["status"]["phase"] == "Failed"


async def test_a_thousand_children_are_ended_with_their_pod(busy: Cluster) -> None:
    await eventually(lambda: is_ready(busy.get("pod", "bomb")), "it runs")
    (group,) = await eventually(lambda: crowded(busy), "its children are there")
    assert int(read(group.with_name("pids.max"))) < 10_000
    busy.kubectl("delete", "pod", "bomb", "--timeout=120s")
    assert not group.exists()


def crowded(cluster: Cluster) -> list[Path]:
    """The pids.current of containers that have a thousand processes."""
    there = cgroups.existing(cgroups.checked(paths_of(cluster).cgroup_parent))
    found = [path / "pids.current" for path in there if len(path.name) == 64]
    return [path for path in found if int(read(path) or 0) > 1000]


def read(path: Path) -> str:
    """Nothing of what has just gone."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def size(path: Path) -> int:
    """Of a file that may have another name by now."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


async def test_who_does_not_hear_is_ended_all_the_same(busy: Cluster) -> None:
    await eventually(lambda: is_ready(busy.get("pod", "deaf")), "it runs")
    busy.kubectl("delete", "pod", "deaf", "--timeout=120s")


async def test_who_prints_without_end_fills_no_disk(busy: Cluster) -> None:
    logs = paths_of(busy).node("node-1") / "kubelet" / "logs"

    def printed() -> int:
        return sum(map(size, logs.glob("default_chatty_*/*/*")))

    await eventually(lambda: printed() > 10 * 1024 * 1024, "it prints")
    sizes = [await eventually(printed, "its size") for _ in range(10)]
    assert max(sizes) < _LOG_MOST_BYTES
    assert set(busy.kubectl("logs", "chatty", "--tail=1")) == {"x", "\n"}
    busy.kubectl("delete", "pod", "chatty", "--timeout=120s")
    assert printed() == 0


async def test_a_container_whose_keeper_dies_is_ended_and_started_again_once(
    busy: Cluster,
) -> None:
    await eventually(lambda: is_ready(busy.get("pod", "orphan")), "it runs")
    before = container(busy, "orphan")["containerID"].rpartition("/")[2]
    (keeper,) = [pid for pid in processes("conmon") if before in read(pid / "cmdline")]
    inside = [pid for pid in children(int(keeper.name)) if pid]
    os.kill(int(keeper.name), signal.SIGKILL)
    await eventually(lambda: container(busy, "orphan").get("restartCount") == 1, "it is restarted")
    await eventually(lambda: is_ready(busy.get("pod", "orphan")), "it runs again")
    assert inside
    assert not any(start_time(pid) for pid in inside)
    assert container(busy, "orphan")["restartCount"] == 1


def processes(name: str) -> Iterator[Path]:
    yield from (path for path in Path("/proc").glob("[0-9]*") if read(path / "comm") == name)


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_runtime_that_fails_is_asked_again(busy: Cluster, faults: Path) -> None:
    assert faults.read_text() == ""
    told = busy.kubectl("get", "events", "--field-selector=involvedObject.name=unlucky")
    assert "out of luck" in told
    assert is_ready(busy.get("pod", "unlucky"))
    assert container(busy, "unlucky")["restartCount"] == 1


async def test_an_image_that_comes_late_is_found(busy: Cluster) -> None:
    await eventually(lambda: is_ready(busy.get("pod", "missing")), "it runs")
    assert container(busy, "missing")["restartCount"] == 0


async def test_the_others_never_noticed_and_nothing_is_left_in_the_morning(
    busy: Cluster, before: dict[str, set[str]]
) -> None:
    assert is_ready(busy.get("pod", "steady"))
    assert container(busy, "steady")["restartCount"] == 0
    busy.kubectl("delete", "pods", "--all", "--timeout=120s")
    assert await until_nothing_new(paths_of(busy), before) == {}
