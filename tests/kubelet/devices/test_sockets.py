"""The kubelet's sockets: who may ask what, what they cost while nobody comes, and who is heard of when."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeVar

import grpc
import grpc.aio
import pytest
from google.protobuf.message import Message

from longshore.machinery.kubelet.containers.environment import Sources
from longshore.machinery.kubelet.containers.facts import Facts
from longshore.machinery.kubelet.devices import api_pb2 as api
from longshore.machinery.kubelet.devices import wire
from longshore.machinery.kubelet.devices.inotify import Directories
from longshore.machinery.kubelet.devices.model import PluginFailure
from longshore.machinery.kubelet.volumes.plan import HostPath, plan_volumes

from ..docs import container, pod
from .conftest import DeviceWorld, until
from .fakes import GPU, FakeDriver, FakePlugin
from .test_claims import CLAIMED, patiently

pytestmark = pytest.mark.slow
Asked = TypeVar("Asked", bound=Message)
Answered = TypeVar("Answered", bound=Message)


async def ask(w: DeviceWorld, method: wire.Method[Asked, Answered], request: Asked) -> Answered:
    peer = wire.Peer(w.root / "pod-resources" / "kubelet.sock")
    try:
        return await peer.ask(method, request, 10)
    finally:
        await peer.close()


async def test_who_asks_is_told_which_pod_has_what(w: DeviceWorld) -> None:
    limits = {"limits": {GPU: "1"}, "requests": {GPU: "1"}}
    async with FakePlugin(w.home, ["gpu0", "gpu1"]) as plugin, FakeDriver(w.root) as driver:
        plugin.set_health("gpu1", "Unhealthy")
        await until(lambda: w.node_has(GPU) == ("2", "1") and driver.told)
        named = [{"name": "gpu", "resourceClaimName": "gpu-claim"}]
        both = [container(resources=limits), container("other", resources=CLAIMED)]
        await patiently(w, pod(*both, resourceClaims=named))
        await until(lambda: w.phase() == "Running")
        answer = await ask(w, wire.GET_POD, api.GetPodResourcesRequest(pod_name="web", pod_namespace="shop"))  # fmt: skip
        [main, other] = answer.pod_resources.containers
        assert [(one.resource_name, list(one.device_ids)) for one in main.devices] == [
            (GPU, ["gpu0"])
        ]
        [dynamic] = other.dynamic_resources
        assert (dynamic.claim_namespace, dynamic.claim_name) == ("shop", "gpu-claim")
        assert dynamic.claim_resources[0].device_name == "gpu-0"
        every = (await ask(w, wire.LIST_PODS, api.Nothing())).pod_resources
        assert [(one.namespace, one.name) for one in every] == [("shop", "web")]
        [held] = (await ask(w, wire.GET_ALLOCATABLE, api.Nothing())).devices
        assert list(held.device_ids) == ["gpu0"]
        with pytest.raises(PluginFailure, match="pod none in namespace shop not found"):
            await ask(w, wire.GET_POD, api.GetPodResourcesRequest(pod_name="none", pod_namespace="shop"))  # fmt: skip
        await w.delete(grace_s=1)
        await until(lambda: w.gone())


async def test_a_visitor_who_says_nothing_is_no_trouble(w: DeviceWorld) -> None:
    for _ in range(3):
        with socket.socket(socket.AF_UNIX) as visitor:
            visitor.connect(str(w.home / "kubelet.sock"))
            visitor.sendall(b"GET / HTTP/1.1\r\n\r\n")
    async with FakePlugin(w.home, ["gpu0"]):
        await until(lambda: w.node_has(GPU) == ("1", "1"))


async def test_a_plugin_may_register_by_a_socket_of_its_own(w: DeviceWorld) -> None:
    plugin, told = FakePlugin(w.home, ["gpu0"]), []
    await plugin.serve()

    async def info(_: api.Nothing) -> api.PluginInfo:
        where = str(w.home / "fake.sock")
        return api.PluginInfo(
            type="DevicePlugin", name=GPU, endpoint=where, supported_versions=["v1beta1"]
        )

    async def answer(status: api.RegistrationStatus) -> api.Nothing:
        told.append(status.error or "registered")
        return api.Nothing()

    methods = wire.Handlers()
    methods.put(wire.GET_INFO, info)
    methods.put(wire.NOTIFY, answer)
    deep = w.root / "plugins_registry" / "vendor"
    deep.mkdir()
    server = await wire.serve(f"unix:{deep / 'gpu.sock'}", methods)
    await until(lambda: w.node_has(GPU) == ("1", "1"))
    assert told == ["registered"]
    await server.stop(None)
    await plugin.stop()


async def test_a_plugin_that_talks_nonsense_is_its_own_trouble(w: DeviceWorld) -> None:
    class Nonsense(grpc.GenericRpcHandler):
        def service(
            self, details: grpc.HandlerCallDetails
        ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
            async def stream(
                _: bytes, __: grpc.aio.ServicerContext[bytes, bytes]
            ) -> AsyncIterator[bytes]:
                asked.append(details.method)
                yield b"\xff\xff\xff"

            return grpc.unary_stream_rpc_method_handler(stream)

    asked: list[str] = []
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Nonsense(),))
    server.add_insecure_port(f"unix:{w.home / 'fake.sock'}")
    await server.start()
    await FakePlugin(w.home, ["gpu0"]).register()
    await until(lambda: asked)
    await server.stop(None)
    async with FakePlugin(w.home, ["gpu0"]):
        await until(lambda: w.node_has(GPU) == ("1", "1"))


def test_an_agent_without_devices_does_not_load_grpc() -> None:
    program = (
        "import sys; import longshore.machinery.kubelet.run; "
        "sys.exit('grpc' in sys.modules or 'google.protobuf' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


async def test_directories_are_heard_of(tmp_path: Path) -> None:
    watch = Directories()
    watch.add(tmp_path)
    (tmp_path / "one").touch()
    await watch.changed()
    (tmp_path / "one").unlink()
    await watch.changed()
    with pytest.raises(OSError, match="No such file"):
        watch.add(tmp_path / "none")
    watch.close()


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/var/lib/kubelet/device-plugins", "/n/kubelet/device-plugins"),
        ("/var/lib/kubelet", "/n/kubelet"),
        ("/var/lib/kubelet2", "/var/lib/kubelet2"),
        ("/dev", "/dev"),
    ],
)
def test_a_plugin_in_a_pod_finds_the_kubelet_of_its_node(path: str, there: str) -> None:
    """Plugins mount hostPath /var/lib/kubelet/device-plugins; nodes of a local cluster have one each."""
    mounted = pod(volumes=[{"name": "v", "hostPath": {"path": path}}])
    [volume] = plan_volumes(Facts(mounted, "node-1", "10.0.0.1", home="/n/kubelet"), Sources())
    assert volume == HostPath("v", there, "")
