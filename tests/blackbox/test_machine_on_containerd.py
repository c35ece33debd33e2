"""A machine with a containerd of its own joins: its pods are containerd's, in networks that Longshore makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from longshore.machinery.runtime.cri.containerd import Containerd
from longshore.machinery.runtime.oci.destroy import mounts_below

from .machines import LONGSHORE, Machines, containerd_at, machines, on, serve

pytestmark = [pytest.mark.slow, pytest.mark.root]

NODE = "near"
POD: dict[str, Any] = {
    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
    "spec": {
        "nodeName": NODE, "terminationGracePeriodSeconds": 0,
        "containers": [{
            "name": "c", "image": "busybox:1.36", "imagePullPolicy": "Never",
            "command": ["sh", "-c", "mkdir /w; echo hello > /w/index.html; echo up; exec httpd -f -p 80 -h /w"],
        }],
    },
}  # fmt: skip


@dataclass
class World:
    """The machines, of which one has a containerd."""

    machines: Machines
    containerd: Containerd

    @property
    def plugins(self) -> Path:
        return self.containerd.home / "cni"

    def join(self) -> None:
        self.machines.join(NODE, *on(self.containerd))


@pytest.fixture(scope="module")
def world(short_root: Path, images: list[Path]) -> Iterator[World]:
    with machines(short_root / "mc") as made:
        serve(made)
        with containerd_at(made, NODE, images[2]) as containerd:
            world = World(made, containerd)
            world.join()
            made.kubectl("wait", "--for=create", "sa/default", "--timeout=120s")
            made.apply(POD)
            made.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=120s")
            yield world


def test_its_pods_are_reached_from_elsewhere_and_talked_to(world: World) -> None:
    made = world.machines
    address = made.get("pod", "web")["status"]["podIP"]
    assert made.at(NODE, "busybox", "wget", "-qO-", f"http://{address}/") == "hello\n"
    assert made.kubectl("exec", "web", "--", "cat", "/w/index.html") == "hello\n"
    assert made.kubectl("logs", "web") == "up\n"
    version = made.get("node", NODE)["status"]["nodeInfo"]["containerRuntimeVersion"]
    assert version.startswith("containerd://")


def test_a_killed_agent_takes_its_pods_up_again(world: World) -> None:
    made = world.machines
    before = made.get("pod", "web")["status"]["containerStatuses"][0]
    made.kill(NODE)
    world.join()
    made.kubectl("delete", "pod", "late", "--ignore-not-found")
    made.apply({**POD, "metadata": {"name": "late"}})
    made.kubectl("wait", "--for=condition=Ready", "pod/late", "--timeout=120s")
    assert made.get("pod", "web")["status"]["containerStatuses"][0] == before


def test_its_images_are_the_runtimes_own(world: World) -> None:
    made = world.machines
    listing = (LONGSHORE, "image", "list", "--dir", str(made.directory(NODE)))
    said = made.at(NODE, "sh", "-c", f"{' '.join(listing)} 2>&1", code=2)
    assert "ctr --namespace k8s.io images import" in said


def test_who_leaves_takes_everything_along(world: World) -> None:
    made = world.machines
    made.kill(NODE)
    made.longshore(NODE, "leave", "--dir", str(made.directory(NODE)))
    assert list(world.plugins.glob("*/*")) == []
    assert [one for one in mounts_below(world.containerd.home) if "rootfs" in str(one)] == []
    assert not made.directory(NODE).exists()
