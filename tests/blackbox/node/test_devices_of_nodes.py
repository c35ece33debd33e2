"""A plugin and a driver of claims on a node of a cluster: what kubectl shows, where pods go, what they get."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ...kubelet.devices.fakes import DRIVER, GPU, FakeDriver, FakePlugin
from ..driver import Cluster, eventually, within

pytestmark = [pytest.mark.root, pytest.mark.slow]
NODE = "node-2"
BUSYBOX = "busybox:1.36"


@pytest.fixture
def home(cluster: Cluster) -> Path:
    """The kubelet's directory of a node, where its sockets are."""
    nodes = json.loads(cluster.longshore("node list", "--json"))["nodes"]
    return Path(next(one["kubelet"] for one in nodes if one["name"] == NODE))


@pytest.fixture
def shop(cluster: Cluster) -> Iterator[Cluster]:
    with within(cluster, "devices") as made:
        yield made


def a_pod(name: str, resources: dict[str, Any], **spec: Any) -> str:
    container = {
        "name": "main", "image": BUSYBOX, "resources": resources,
        "command": ["sh", "-c", "echo $VISIBLE $CLAIM; ls /dev /plugins; exec sleep 1000"],
        "volumeMounts": [{"name": "plugins", "mountPath": "/plugins"}],
    }  # fmt: skip
    # As a vendor's DaemonSet has it.
    plugins = {"name": "plugins", "hostPath": {"path": "/var/lib/kubelet/device-plugins"}}
    whole = {
        "containers": [container],
        "volumes": [plugins],
        "terminationGracePeriodSeconds": 0,
        **spec,
    }
    return json.dumps(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": whole}
    )


def node_has(cluster: Cluster, resource: str = GPU) -> tuple[str | None, str | None]:
    status = cluster.get("node", NODE)["status"]
    return status["capacity"].get(resource), status["allocatable"].get(resource)


def runs(cluster: Cluster, name: str) -> bool:
    return bool(cluster.get("pod", name)["status"].get("phase") == "Running")


async def test_a_plugin_brings_gpus(shop: Cluster, home: Path) -> None:
    one = {"limits": {GPU: "1"}}
    async with FakePlugin(home / "device-plugins", ["gpu0"], nodes={"gpu0": "/dev/null"}) as plugin:
        await eventually(lambda: node_has(shop) == ("1", "1"), "the node has a GPU")
        shop.kubectl("apply", "-f", "-", stdin=a_pod("first", one))
        await eventually(lambda: runs(shop, "first"), "the pod runs where the GPU is")
        assert shop.get("pod", "first")["spec"]["nodeName"] == NODE
        lines = shop.kubectl("logs", "first").split()
        assert lines[0] == "gpu0"
        assert lines.count("gpu0") == 2
        assert {"kubelet.sock", "fake.sock"} <= {*lines}
        shop.kubectl("apply", "-f", "-", stdin=a_pod("second", one))
        await eventually(
            lambda: f"Insufficient {GPU}" in shop.kubectl("describe", "pod", "second"),
            "the second waits",
        )
        assert GPU in shop.kubectl("describe", "node", NODE)
        shop.kubectl("delete", "pod", "first", "--wait=false")
        await eventually(lambda: runs(shop, "second"), "the second has it when the first is gone")
        plugin.set_health("gpu0", "Unhealthy")
        await eventually(lambda: node_has(shop) == ("1", "0"), "a broken GPU is not for pods")
    await eventually(lambda: node_has(shop) == ("1", "0"), "nor is one without its plugin")


CLASS: dict[str, Any] = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "DeviceClass",
    "metadata": {"name": "blackbox-gpu"},
    "spec": {"selectors": [{"cel": {"expression": f"device.driver == '{DRIVER}'"}}]},
}
SLICE: dict[str, Any] = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "ResourceSlice",
    "metadata": {"name": "blackbox-gpus"},
    "spec": {
        "driver": DRIVER,
        "nodeName": NODE,
        "pool": {"name": NODE, "generation": 1, "resourceSliceCount": 1},
        "devices": [{"name": "gpu-0"}],
    },
}
TEMPLATE: dict[str, Any] = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "ResourceClaimTemplate",
    "metadata": {"name": "one-gpu"},
    "spec": {
        "spec": {
            "devices": {
                "requests": [{"name": "gpu", "exactly": {"deviceClassName": "blackbox-gpu"}}]
            }
        }
    },
}


async def test_a_driver_prepares_claims(shop: Cluster, home: Path) -> None:
    claims = [{"name": "gpu", "resourceClaimTemplateName": "one-gpu"}]
    async with FakeDriver(home) as driver:
        await eventually(lambda: driver.told == ["registered"], "the driver is registered")
        for doc in (CLASS, SLICE, TEMPLATE):
            shop.apply(doc)
        wish = {"claims": [{"name": "gpu"}]}
        shop.kubectl("apply", "-f", "-", stdin=a_pod("claiming", wish, resourceClaims=claims))
        await eventually(lambda: runs(shop, "claiming"), "the pod runs with its claim")
        [made] = shop.get("resourceclaims")["items"]
        assert shop.kubectl("logs", "claiming").split()[0] == made["metadata"]["name"]
        assert driver.asked == [f"prepare {made['metadata']['name']}"]
        shop.kubectl("delete", "pod", "claiming", "--wait=false")
        await eventually(lambda: len(driver.asked) == 2, "the claim is given back")
        await eventually(lambda: not shop.get("resourceclaims")["items"], "and gone")
    shop.kubectl("delete", "deviceclass/blackbox-gpu", "resourceslice/blackbox-gpus")


async def test_a_resource_that_a_user_puts_on_a_node(shop: Cluster) -> None:
    """kubernetes.io, "Advertise Extended Resources for a Node"."""
    dongle = "example.com/dongle"

    def say(count: str | None) -> None:
        patch = json.dumps({"status": {"capacity": {dongle: count}}})
        shop.kubectl("patch", "node", NODE, "--subresource=status", "--type=merge", "-p", patch)

    say("4")
    await eventually(lambda: node_has(shop, dongle) == ("4", "4"), "pods may have them")
    shop.kubectl("apply", "-f", "-", stdin=a_pod("web", {"limits": {dongle: "3"}}))
    await eventually(lambda: runs(shop, "web"), "a pod has three of them")
    say(None)
    await eventually(lambda: node_has(shop, dongle) == (None, None), "there are none any more")
