"""Device plugins, as kubernetes.io ("Device Plugins") and pkg/kubelet/cm/devicemanager have them."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Patch
from longshore.machinery.kubelet.devices.model import PluginFailure
from longshore.machinery.kubelet.devices.plugins import REMEMBERED_S
from longshore.machinery.runtime.protocol import Device

from ..docs import container, pod
from ..world import NODE
from .conftest import DeviceWorld, until
from .fakes import GPU, FakePlugin

pytestmark = pytest.mark.slow


def wants(count: int, name: str = "main", **more: Any) -> Doc:
    amounts = {GPU: str(count)}
    return container(name, resources={"limits": amounts, "requests": amounts}, **more)


async def test_a_pod_gets_what_the_plugin_says(w: DeviceWorld) -> None:
    async with FakePlugin(w.home, ["gpu0"], nodes={"gpu0": "/dev/null"}) as plugin:
        await until(lambda: w.node_has(GPU) == ("1", "1"))
        await w.run_pod(pod(wants(1, env=[{"name": "OWN", "value": "yes"}])))
        await until(lambda: w.phase() == "Running")
        spec = w.started("web")
        assert spec is not None
        assert w.env("web").items() >= {"VISIBLE": "gpu0", "OWN": "yes"}.items()
        assert list(spec.devices) == [Device("/dev/null", "/dev/gpu0", "rw")]
        assert spec.annotations == {"example.com/devices": "gpu0"}
        assert plugin.asked == ["allocate gpu0"]
        told = await w.kubelet.statistics.metrics("")
        assert f'kubelet_device_plugin_registration_total{{resource_name="{GPU}"}} 1\n' in told
        assert f'plugin_alloc_duration_seconds_count{{resource_name="{GPU}"}} 1\n' in told


async def test_who_comes_too_late_is_rejected_and_devices_come_back(w: DeviceWorld) -> None:
    async with FakePlugin(w.home, ["gpu0", "gpu1"]):
        await until(lambda: w.node_has(GPU) == ("2", "2"))
        await w.run_pod(pod(wants(2)))
        await until(lambda: w.phase() == "Running")
        await w.place(pod(wants(1), name="late"))
        await until(lambda: w.phase("late") == "Failed")
        assert w.status("late")["reason"] == "UnexpectedAdmissionError"
        assert w.status("late")["message"] == (
            "Pod was rejected: Allocate failed due to requested number of devices unavailable for "
            "nvidia.com/gpu. Requested: 1, Available: 0, which is unexpected"
        )
        assert any(
            one.startswith("UnexpectedAdmissionError: Allocate failed") for one in await w.events()
        )
        await w.delete(grace_s=1)
        await until(lambda: w.gone())
        await w.run_pod(pod(wants(2), name="next"))
        await until(lambda: w.phase("next") == "Running")
        assert w.env("next")["VISIBLE"] == "gpu0,gpu1"


async def test_a_pod_that_has_ended_needs_its_devices_no_more(w: DeviceWorld) -> None:
    async with FakePlugin(w.home, ["gpu0"]):
        await until(lambda: w.node_has(GPU) == ("1", "1"))
        made = await w.run_pod(pod(wants(1), restartPolicy="Never"))
        await until(lambda: w.phase() == "Running")
        await w.runtime.crash(made["metadata"]["uid"], "main", code=0)
        await until(lambda: w.phase() == "Succeeded")
        await w.run_pod(pod(wants(1), name="next"))
        await until(lambda: w.phase("next") == "Running")


async def test_health_is_told_at_once_and_a_plugin_that_goes_leaves_nothing(w: DeviceWorld) -> None:
    plugin = FakePlugin(w.home, ["gpu0", "gpu1"])
    await plugin.start()
    await until(lambda: w.node_has(GPU) == ("2", "2"))
    plugin.set_health("gpu1", "Unhealthy")
    await until(lambda: w.node_has(GPU) == ("2", "1"))
    await plugin.stop()
    await until(lambda: w.node_has(GPU) == ("2", "0"))
    await plugin.start()
    await until(lambda: w.node_has(GPU) == ("2", "1"))
    await plugin.stop()
    await until(lambda: w.node_has(GPU) == ("2", "0"))
    await w.clock.advance(REMEMBERED_S + 1)
    await until(lambda: w.node_has(GPU) == ("0", "0"))


async def test_an_agent_that_starts_again_knows_who_has_what(w: DeviceWorld) -> None:
    plugin = FakePlugin(w.home, ["gpu0", "gpu1"])
    await plugin.start()
    await until(lambda: w.node_has(GPU) == ("2", "2"))
    made = await w.run_pod(pod(wants(1)))
    await until(lambda: w.phase() == "Running")
    socket = w.home / "kubelet.sock"
    before = socket.stat().st_mtime_ns
    await w.stop_agent()
    await plugin.stop()
    w.start_agent()
    await until(lambda: socket.exists() and socket.stat().st_mtime_ns != before)
    await until(lambda: w.node_has(GPU) == ("0", "0"))
    plugin.asked.clear()
    await plugin.start()
    await until(lambda: w.node_has(GPU) == ("2", "2"))
    await w.runtime.crash(made["metadata"]["uid"], "main")
    await until(lambda: w.container()["restartCount"] == 1)
    assert w.env("web")["VISIBLE"] == "gpu0"
    assert plugin.asked == []
    await w.run_pod(pod(wants(1), name="other"))
    await until(lambda: w.phase("other") == "Running")
    assert w.env("other")["VISIBLE"] == "gpu1"
    await plugin.stop()


async def test_devices_of_init_containers_are_used_again(w: DeviceWorld) -> None:
    async with FakePlugin(w.home, ["gpu0", "gpu1", "gpu2"]) as plugin:
        await until(lambda: w.node_has(GPU) == ("3", "3"))
        inits = [wants(2, "first"), wants(1, "beside", restartPolicy="Always")]
        made = await w.run_pod(pod(wants(2), inits=inits))
        await until(lambda: w.started("web", "first"))
        await w.runtime.crash(made["metadata"]["uid"], "first", code=0)
        await until(lambda: w.phase() == "Running")
        assert plugin.asked == ["allocate gpu0,gpu1", "allocate gpu0", "allocate gpu1,gpu2"]


async def test_a_plugin_is_asked_what_it_prefers_and_before_each_start(w: DeviceWorld) -> None:
    every = ["gpu0", "gpu1", "gpu2"]
    async with FakePlugin(w.home, every, prefers=["gpu2", "gpu0"], pre_start=True) as plugin:
        await until(lambda: w.node_has(GPU) == ("3", "3"))
        plugin.failing = ""
        made = await w.run_pod(pod(wants(2)))
        await until(lambda: w.phase() == "Running")
        asked = ["prefer 2 of gpu0,gpu1,gpu2", "allocate gpu0,gpu2", "start gpu0,gpu2"]
        assert plugin.asked == asked
        plugin.failing = "the device is on fire"
        await w.runtime.crash(made["metadata"]["uid"], "main")
        await until(lambda: w.waiting() == "CreateContainerConfigError")
        why = w.container()["state"]["waiting"]["message"]
        assert why == (
            "device plugin PreStartContainer rpc failed with err: "
            "rpc error: code = Unknown desc = the device is on fire"
        )


async def test_a_plugin_that_cannot_allocate(w: DeviceWorld) -> None:
    async with FakePlugin(w.home, ["gpu0"]) as plugin:
        await until(lambda: w.node_has(GPU) == ("1", "1"))
        plugin.failing = "no luck"
        await w.run_pod(pod(wants(1)))
        await until(lambda: w.phase() == "Failed")
        assert "rpc error: code = Unknown desc = no luck, which" in w.status()["message"]
        plugin.failing = ""
        await w.run_pod(pod(wants(1), name="next"))
        await until(lambda: w.phase("next") == "Running")


@pytest.mark.parametrize(
    ("resource", "version", "why"),
    [
        (GPU, "v1alpha", 'requested API version "v1alpha" is not supported by kubelet'),
        ("gpu", "v1beta1", 'the ResourceName "gpu" is invalid'),
        ("kubernetes.io/gpu", "v1beta1", 'the ResourceName "kubernetes.io/gpu" is invalid'),
    ],
)
async def test_registrations_that_are_refused(
    w: DeviceWorld, resource: str, version: str, why: str
) -> None:
    with pytest.raises(PluginFailure, match=why):
        await FakePlugin(w.home, ["gpu0"], resource).register(version)


async def test_what_others_put_on_a_node_stays(w: DeviceWorld) -> None:
    """kubernetes.io, "Advertise Extended Resources for a Node"."""
    dongle = "example.com/dongle"

    async def say(count: str | None) -> None:
        patch = {"status": {"capacity": {dongle: count}}}
        await w.client.write(Patch(kinds.NODE, "", NODE, patch, "status"))
        await w.clock.advance(11)

    await say("4")
    await until(lambda: w.node_has(dongle) == ("4", "4"))
    await w.stop_agent()
    w.start_agent()
    await w.clock.advance(310)
    assert w.node_has(dongle) == ("4", "4")
    await say(None)
    await until(lambda: w.node_has(dongle) == (None, None))


async def test_who_comes_next_waits_for_who_was_deleted_by_force(w: DeviceWorld) -> None:
    """The API server has given away what its last user still holds."""
    async with FakePlugin(w.home, ["gpu0"]):
        await until(lambda: w.node_has(GPU) == ("1", "1"))
        await w.run_pod(pod(wants(1)))
        await until(lambda: w.phase() == "Running")
        w.runtime.stubborn = True
        await w.delete(grace_s=0)
        await w.run_pod(pod(wants(1), name="next"))
        await until(lambda: w.runtime.stops)
        assert w.phase("next") == "Pending"
        w.runtime.killed.set()
        await until(lambda: w.phase("next") == "Running")
