"""kubectl debug: an ephemeral container beside a running one, and commands in both."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .driver import Cluster, eventually

pytestmark = [pytest.mark.root, pytest.mark.slow]

_MAIN = {"name": "main", "image": "busybox:1.36", "command": ["/bin/sh", "-c", "exec sleep 7777"]}


def ephemeral(cluster: Cluster) -> dict[str, Any]:
    """The state of the pod's one ephemeral container."""
    statuses = cluster.get("pod", "looked-into")["status"].get("ephemeralContainerStatuses") or [{}]
    state: dict[str, Any] = statuses[0].get("state", {})
    return state


async def test_a_debugger_sees_the_processes_of_its_target(cluster: Cluster) -> None:
    spec = {"terminationGracePeriodSeconds": 0, "containers": [_MAIN]}
    labels = {"app": "looked-into"}
    doc = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "looked-into", "labels": labels}}
    cluster.apply({**doc, "spec": spec})
    try:
        await eventually(lambda: len(cluster.running("app=looked-into")) == 1, "the pod runs")
        cluster.kubectl(
            "debug", "looked-into", "--image=busybox:1.36", "--target=main", "-c", "debugger",
            "--", "cat", "/proc/1/cmdline",
        )  # fmt: skip
        await eventually(lambda: "terminated" in ephemeral(cluster), "the debugger has ended")
        assert ephemeral(cluster)["terminated"]["exitCode"] == 0
        assert "7777" in cluster.kubectl("logs", "looked-into", "-c", "debugger")
        assert cluster.kubectl("exec", "looked-into", "--", "echo", "hello") == "hello\n"
        assert len(cluster.running("app=looked-into")) == 1, json.dumps(cluster.get("pods"))
    finally:
        cluster.kubectl("delete", "pod", "looked-into", "--now")
