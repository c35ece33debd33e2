"""A node whose disk is full: it says so, takes nobody, goes on, and is as before when there is room again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longshore.machinery.runtime.linux import MS_NODEV, mount, unmount

from .driver import eventually
from .machines import Machines, machines, serve

pytestmark = [pytest.mark.slow, pytest.mark.root]

NODE = "near"
SETTINGS = """apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
evictionPressureTransitionPeriod: 1s
"""


def pod(name: str) -> dict[str, Any]:
    container = {
        "name": "c", "image": "busybox:1.36", "imagePullPolicy": "Never",
        "command": ["sh", "-c", "exec sleep 100000"],
    }  # fmt: skip
    spec = {"nodeName": NODE, "terminationGracePeriodSeconds": 0, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def world(short_root: Path, images: list[Path]) -> Iterator[Machines]:
    """A machine whose node lives on a small disk of its own."""
    with machines(short_root / "d") as world:
        serve(world)
        settings = short_root / "kubelet.yaml"
        settings.write_text(SETTINGS)
        disk = world.home / "disk"
        disk.mkdir()
        mount("disk", disk, "tmpfs", MS_NODEV, "size=128m")
        try:
            home = str(home_of(world))
            world.longshore(NODE, "image", "load", str(images[2]), "--dir", home)
            world.start(
                NODE, "agent", "--join", str(world.home / "join.yaml"), "--node", NODE,
                "--dir", home, "--config", str(settings),
            )  # fmt: skip
            world.kubectl("wait", "--for=create", "sa/default", "--timeout=120s")
            yield world
        finally:
            world.kill(NODE)
            world.longshore(NODE, "leave", "--dir", str(home_of(world)))
            unmount(disk)


def home_of(world: Machines) -> Path:
    return world.home / "disk" / "node"


def pressed(world: Machines) -> str:
    conditions = world.get("node", NODE)["status"].get("conditions") or []
    return next((str(one["status"]) for one in conditions if one["type"] == "DiskPressure"), "")


async def test_a_full_disk_is_told_of_and_outlived(world: Machines) -> None:
    world.apply(pod("before"))
    world.kubectl("wait", "--for=condition=Ready", "pod/before", "--timeout=120s")
    filler = home_of(world) / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(bytes(128 << 20))
    await eventually(lambda: pressed(world) == "True", "the node says that its disk is full")
    world.apply(pod("during"))
    await eventually(
        lambda: world.get("pod", "during")["status"].get("reason") == "Evicted", "nobody is taken"
    )
    assert world.agents[NODE].poll() is None
    filler.unlink()
    await eventually(lambda: pressed(world) == "False", "there is room again")
    world.apply(pod("after"))
    world.kubectl("wait", "--for=condition=Ready", "pod/after", "--timeout=120s")
