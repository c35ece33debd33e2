"""What `kubectl describe` and `kubectl logs` say of pods that do not come up: upstream's words, which people
search for."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .driver import Cluster, eventually

pytestmark = [pytest.mark.root, pytest.mark.slow]


def pod(name: str, image: str = "busybox:1.36", **spec: Any) -> dict[str, Any]:
    main = {"name": "c", "image": image, "command": ["sleep", "1000"], **spec.pop("main", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"told-{name}", "labels": {"told": name}},
        "spec": {"containers": [main], "terminationGracePeriodSeconds": 0, **spec},
    }


PODS = [
    pod("crash", main={"command": ["sh", "-c", "echo last words; exit 3"]}),
    pod("unready", main={"readinessProbe": {"httpGet": {"port": 81, "path": "/ok"}}}),
    pod("unmounted", volumes=[{"name": "keys", "secret": {"secretName": "none"}}]),
    pod("unnamed", image="Busybox"),
    pod("stuck", initContainers=[{"name": "i", "image": "busybox:1.36", "command": ["false"]}]),
]
TOLD = {
    "spec.containers{c} Created container: c",
    "spec.containers{c} Started container c",
    "spec.containers{c} Back-off restarting failed container c in pod told-crash_default(UID)",
    'spec.containers{c} Readiness probe failed: Get "http://IP:81/ok": '
    "dial tcp IP:81: connect: connection refused",
    ' MountVolume.SetUp failed for volume "keys" : secret "none" not found',
    "spec.containers{c} Error: InvalidImageName",
    "spec.initContainers{i} Back-off restarting failed container i in pod told-stuck_default(UID)",
}


async def test_trouble_is_told_in_upstreams_words(cluster: Cluster) -> None:
    for doc in PODS:
        cluster.apply(doc)
    try:
        await eventually(lambda: told(cluster) >= TOLD, "all of it is told")
        words = ("logs", "told-crash", "--timestamps")
        stamped = await eventually(lambda: cluster.kubectl(*words), "it has spoken")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{9}Z last words\n", stamped)
        waits = cluster.kubectl("logs", "told-stuck", "-c", "c", code=1)
        assert 'container "c" in pod "told-stuck" is waiting to start: PodInitializing' in waits
        image = cluster.get("pod", "told-crash")["status"]["containerStatuses"][0]["imageID"]
        assert re.fullmatch("sha256:[0-9a-f]{64}", image)
    finally:
        cluster.kubectl("delete", "pod", "-l", "told", "--force", "--grace-period=0")


def told(cluster: Cluster) -> set[str]:
    """Fields and messages of Events of those pods, without what is another's each time."""
    about = [(one["involvedObject"], one["message"]) for one in cluster.get("events")["items"]]
    found = (
        f"{what.get('fieldPath', '')} {message.replace(what.get('uid', ''), 'UID')}"
        for what, message in about
        if what["name"].startswith("told-")
    )
    return {re.sub(r"10\.[\d.]+\b", "IP", message) for message in found}
