"""What pods share, see and are confined by, from their specs to real containers. Needs root."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longshore.core.objects.kinds import Doc
from longshore.machinery.runtime.images import ImageConfig, ImageStore, build_image

from .docs import pod
from .test_real_containers import Node, images, netns, node, shell, until

__all__ = ["images", "netns", "node"]
pytestmark = [pytest.mark.root, pytest.mark.slow]


async def ends(node: Node, *containers: Doc, name: str = "web", **spec: Any) -> Doc:
    """The status of a pod of these once it has succeeded."""
    doc = pod(*containers, name=name, restartPolicy="Never", **spec)
    await node.run_pod(doc)
    await until(lambda: node.status(name).get("phase") == "Succeeded")
    return node.status(name)


async def test_a_pods_containers_share_processes_and_kernel_parameters(node: Node) -> None:
    sysctls = [{"name": "net.ipv4.ip_local_port_range", "value": "20000 30000"},
               {"name": "kernel.shm_rmid_forced", "value": "1"}]  # fmt: skip
    script = (
        "cat /proc/1/comm /proc/sys/net/ipv4/ip_local_port_range /proc/sys/kernel/shm_rmid_forced;"
        "until cat /proc/[0-9]*/cmdline 2>/dev/null | grep -q ': othe[r]'; do :; done; echo seen"
    )
    other = shell(
        ": other; while ls /proc | grep -q . && ! [ -e /d/done ]; do sleep 0.02; done", name="other"
    )
    mounts = {"volumeMounts": [{"name": "d", "mountPath": "/d"}]}
    await ends(
        node, shell(f"{script}; echo >/d/done", **mounts), {**other, **mounts},
        shareProcessNamespace=True, securityContext={"sysctls": sysctls},
        volumes=[{"name": "d", "emptyDir": {}}],
    )  # fmt: skip
    assert (await node.logs()).splitlines() == ["catatonit", "20000\t30000", "1", "seen"]


async def test_an_image_is_a_volume(node: Node, images: ImageStore) -> None:
    archive = node.root / "models.tar"
    build_image(archive, ["models:1"], ImageConfig(), files={"small/weights": b"7\n"})
    images.load(archive)
    mounts = [{"name": "m", "mountPath": "/m"},
              {"name": "m", "mountPath": "/part", "subPath": "small"}]  # fmt: skip
    main = shell("cat /m/small/weights /part/weights; (echo >/m/x) 2>/dev/null || echo kept",
                 volumeMounts=mounts)  # fmt: skip
    await ends(node, main, volumes=[{"name": "m", "image": {"reference": "models:1"}}])
    assert (await node.logs()).splitlines() == ["7", "7", "kept"]


async def test_what_one_container_mounts_another_sees(node: Node) -> None:
    def mounted(spread: str) -> Doc:
        return {"volumeMounts": [{"name": "d", "mountPath": "/d", "mountPropagation": spread}]}

    script = "until [ -e /d/there ]; do sleep 0.02; done; mkdir /d/late;"
    script = f"{script} mount -t tmpfs none /d/late && echo mine >/d/late/note;"
    maker = shell(f"{script} until [ -e /d/done ]; do sleep 0.02; done",
                  **mounted("Bidirectional"), securityContext={"privileged": True})  # fmt: skip
    script = "echo >/d/there; until cat /d/late/note; do sleep 0.02; done 2>/dev/null;"
    reader = shell(f"{script} echo >/d/done", name="reader",
                   **mounted("HostToContainer"))  # fmt: skip
    await ends(node, maker, reader, volumes=[{"name": "d", "emptyDir": {}}])
    assert (await node.logs("reader")).splitlines() == ["mine"]


@pytest.fixture
def unshared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A mount that hears of none, whatever the machine's root is: under systemd it is shared."""
    place = tmp_path_factory.mktemp("unshared")
    subprocess.run(["mount", "-t", "tmpfs", "--make-private", "none", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


async def test_a_path_of_the_node_is_not_shared_unless_it_is_a_shared_mount(
    node: Node, unshared: Path
) -> None:
    mounts = [{"name": "d", "mountPath": "/d", "mountPropagation": "HostToContainer"}]
    await node.run_pod(pod(shell("true", volumeMounts=mounts),
                           volumes=[{"name": "d", "hostPath": {"path": str(unshared)}}]))  # fmt: skip

    def waiting() -> Doc:
        states = [one["state"] for one in node.status().get("containerStatuses") or ()]
        found: Doc = states[0].get("waiting", {}) if states else {}
        return found

    await until(lambda: "message" in waiting())
    assert "is not a shared or slave mount" in waiting()["message"]


async def test_a_profile_of_the_node_and_groups_of_the_pod_alone(node: Node) -> None:
    profiles = node.root / "agent" / "seccomp" / "mine"
    profiles.mkdir(parents=True)
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99}
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}
    (profiles / "no-mkdir.json").write_text(json.dumps(profile))
    context = {
        "seccompProfile": {"type": "Localhost", "localhostProfile": "mine/no-mkdir.json"},
        "supplementalGroups": [400], "supplementalGroupsPolicy": "Strict",
        "runAsUser": 1000, "runAsGroup": 1000,
    }  # fmt: skip
    status = await ends(
        node,
        shell("mkdir /tmp/x 2>&1; grep Seccomp: /proc/self/status"),
        securityContext=context,
    )
    said = (await node.logs()).splitlines()
    assert "Cannot assign requested address" in said[0]
    assert said[1].split() == ["Seccomp:", "2"]
    (one,) = status["containerStatuses"]
    assert one["user"] == {"linux": {"uid": 1000, "gid": 1000, "supplementalGroups": [400]}}
    assert one["stopSignal"] == "SIGTERM"


async def test_the_nodes_processes_and_memory_are_seen_by_whom_it_lets(node: Node) -> None:
    await ends(node, shell("cat /proc/1/comm; ls -l /proc/self/ns/ipc"), hostPID=True, hostIPC=True)
    with open("/proc/1/comm", encoding="utf-8") as comm:
        assert (await node.logs()).splitlines()[0] == comm.read().strip()
