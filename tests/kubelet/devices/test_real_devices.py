"""Devices in real containers: conmon, runc and busybox, with a plugin, a driver and the CDI. Needs root."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc

from ..docs import pod
from ..test_real_containers import Node, images, netns, node, shell, until
from ..world import NODE
from .fakes import GPU, FakePlugin

__all__ = ["images", "netns", "node"]
pytestmark = [pytest.mark.root, pytest.mark.slow]
_NULL = "1:3"


def offered(node: Node) -> str | None:
    found = node.registry.cache.get(kinds.NODE, "", NODE)
    status: Doc = (found or {}).get("status") or {}
    count: str | None = (status.get("allocatable") or {}).get(GPU)
    return count


async def test_a_container_has_its_device_and_what_goes_with_it(node: Node, tmp_path: Path) -> None:
    home, cdi = node.root / "agent/device-plugins", node.root / "agent/cdi"
    await until((home / "kubelet.sock").exists)
    cdi.mkdir()
    library, trace = tmp_path / "library", tmp_path / "trace"
    library.mkdir()
    (library / "driver.txt").write_text("from the host\n")
    edits = {
        "env": ["DRIVER=1.2"],
        "deviceNodes": [{"path": "/dev/second", "hostPath": "/dev/null"}],
        "mounts": [
            {
                "hostPath": str(library),
                "containerPath": "/opt/driver",
                "options": ["ro", "nosuid", "nodev", "bind"],
            }
        ],
        "hooks": [
            {
                "hookName": "createContainer",
                "path": "/bin/sh",
                "args": ["sh", "-c", f"cat >/dev/null; echo ran >{trace}"],
            }
        ],
    }
    device = {"name": "all", "containerEdits": edits}
    (cdi / "vendor.json").write_text(
        json.dumps({"cdiVersion": "0.6.0", "kind": "vendor.com/gpu", "devices": [device]})
    )
    async with FakePlugin(home, ["gpu0"], nodes={"gpu0": "/dev/null"}) as plugin:
        plugin.cdi = ["vendor.com/gpu=all"]
        await until(lambda: offered(node) == "1")
        script = """echo $VISIBLE $DRIVER; ls -l /dev/gpu0 /dev/second | wc -l; echo x >/dev/gpu0 && echo written
            cat /opt/driver/driver.txt; grep -c ' /opt/driver .*ro,nosuid,nodev' /proc/mounts
            (echo x >/opt/driver/no) 2>/dev/null || echo read-only"""
        limits = {"limits": {GPU: "1"}, "requests": {GPU: "1"}}
        await node.run_pod(
            pod(shell(script, resources=limits), restartPolicy="Never", nodeName=NODE)
        )
        await until(lambda: node.status().get("phase") in ("Succeeded", "Failed"))
        lines = (await node.logs()).splitlines()
    assert lines == ["gpu0 1.2", "2", "written", "from the host", "1", "read-only"]
    assert trace.read_text() == "ran\n"
