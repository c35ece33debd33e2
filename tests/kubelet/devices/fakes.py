"""A device plugin and a driver of claims, as their authors write them: gRPC servers behind sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc
import grpc.aio
from google.protobuf.message import Message

from longshore.machinery.kubelet.devices import api_pb2 as api
from longshore.machinery.kubelet.devices import wire
from longshore.machinery.kubelet.devices.model import PluginFailure

GPU = "nvidia.com/gpu"


class _Methods(wire.Handlers):
    """Also the one method that answers again and again."""

    def __init__(self, plugin: FakePlugin) -> None:
        super().__init__()
        self._plugin = plugin

    def service(
        self, details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Message, Message] | None:
        if details.method != wire.LIST_AND_WATCH.path:
            return super().service(details)
        return grpc.unary_stream_rpc_method_handler(
            self._plugin.list_and_watch,
            request_deserializer=api.Nothing.FromString,
            response_serializer=api.DeviceList.SerializeToString,
        )


class FakePlugin:
    """Offers devices by id with their health; a container gets VISIBLE and, where they are given, device
    nodes. asked is what it was asked, in order."""

    def __init__(
        self,
        home: Path,
        devices: Sequence[str],
        resource: str = GPU,
        *,
        pre_start: bool = False,
        prefers: Sequence[str] = (),
        nodes: dict[str, str] | None = None,
    ) -> None:
        self._home, self._resource, self._name = home, resource, "fake.sock"
        self._options = api.PluginOptions(
            pre_start_required=pre_start, get_preferred_allocation_available=bool(prefers)
        )
        self._prefers = prefers
        self._nodes = nodes or {}
        self.health = dict.fromkeys(devices, "Healthy")
        self.cdi: list[str] = []
        self.asked: list[str] = []
        self.failing = ""
        self._news = asyncio.Event()
        self._server: grpc.aio.Server | None = None

    async def __aenter__(self) -> FakePlugin:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        await self.serve()
        await self.register()

    async def serve(self) -> None:
        methods = _Methods(self)
        methods.put(wire.OPTIONS, self._say_options)
        methods.put(wire.ALLOCATE, self._allocate)
        methods.put(wire.PREFER, self._prefer)
        methods.put(wire.PRE_START, self._pre_start)
        (self._home / self._name).unlink(missing_ok=True)
        self._server = await wire.serve(f"unix:{self._home / self._name}", methods)

    async def register(self, version: str = "v1beta1") -> None:
        """Raises PluginFailure with what the kubelet says."""
        peer = wire.Peer(self._home / "kubelet.sock")
        request = api.RegisterRequest(
            version=version,
            endpoint=self._name,
            resource_name=self._resource,
            options=self._options,
        )
        try:
            await peer.ask(wire.REGISTER, request, 10)
        finally:
            await peer.close()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    def set_health(self, device: str, health: str) -> None:
        self.health[device] = health
        self._news.set()

    async def list_and_watch(
        self, _: api.Nothing, __: grpc.aio.ServicerContext[api.Nothing, api.DeviceList]
    ) -> AsyncIterator[api.DeviceList]:
        while True:
            self._news.clear()
            yield api.DeviceList(
                devices=[api.PluginDevice(id=i, health=h) for i, h in self.health.items()]
            )
            await self._news.wait()

    async def _say_options(self, _: api.Nothing) -> api.PluginOptions:
        return self._options

    async def _allocate(self, request: api.AllocateRequest) -> api.AllocateResponse:
        ids = request.containers[0].ids
        self.asked.append(f"allocate {','.join(ids)}")
        if self.failing:
            raise PluginFailure(self.failing)
        answer = api.ContainerAllocation(
            envs={"VISIBLE": ",".join(ids)},
            devices=[
                api.DeviceNode(
                    container_path=f"/dev/{one}", host_path=self._nodes[one], permissions="rw"
                )
                for one in ids
                if one in self._nodes
            ],
            annotations={"example.com/devices": ",".join(ids)},
            cdi_devices=[api.CdiDevice(name=name) for name in self.cdi],
        )
        return api.AllocateResponse(containers=[answer])

    async def _prefer(self, request: api.PreferRequest) -> api.PreferResponse:
        question = request.containers[0]
        self.asked.append(f"prefer {question.size} of {','.join(question.available)}")
        return api.PreferResponse(containers=[api.DeviceIds(ids=self._prefers)])

    async def _pre_start(self, request: api.DeviceIds) -> api.Nothing:
        self.asked.append(f"start {','.join(request.ids)}")
        if self.failing:
            raise PluginFailure(self.failing)
        return api.Nothing()


DRIVER = "gpu.example.com"


class FakeDriver:
    """Registers by a socket in plugins_registry, and describes each claim's device to the CDI when it is
    prepared, until it is given back."""

    def __init__(self, root: Path, *, name: str = DRIVER, version: str = "v1") -> None:
        self._root, self._name, self._version = root, name, version
        self._socket = root / "plugins_registry" / f"{name}.sock"
        self.told: list[str] = []
        self.asked: list[str] = []
        self.failing = ""
        self.free = asyncio.Event()
        self.free.set()
        self._server: grpc.aio.Server | None = None

    async def __aenter__(self) -> FakeDriver:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        methods = wire.Handlers()
        methods.put(wire.GET_INFO, self._info)
        methods.put(wire.NOTIFY, self._told)
        methods.put(wire.prepare_method(self._version), self._prepare)
        methods.put(wire.unprepare_method(self._version), self._unprepare)
        self._server = await wire.serve(f"unix:{self._socket}", methods)

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None
            self.hide()

    def hide(self) -> None:
        """As it does when it ends, before its last answers."""
        self._socket.unlink(missing_ok=True)

    async def _info(self, _: api.Nothing) -> api.PluginInfo:
        return api.PluginInfo(
            type="DRAPlugin",
            name=self._name,
            endpoint=str(self._socket),
            supported_versions=[f"{self._version}.DRAPlugin"],
        )

    async def _told(self, status: api.RegistrationStatus) -> api.Nothing:
        self.told.append(status.error or "registered")
        return api.Nothing()

    async def _prepare(self, request: api.ClaimsRequest) -> api.PrepareResponse:
        self.asked += [f"prepare {claim.name}" for claim in request.claims]
        await self.free.wait()
        return api.PrepareResponse(claims={one.uid: self._ready(one) for one in request.claims})

    def _ready(self, claim: api.ClaimName) -> api.PreparedClaim:
        if self.failing:
            return api.PreparedClaim(error=self.failing)
        device = {"name": claim.uid, "containerEdits": {"env": [f"CLAIM={claim.name}"]}}
        spec = {"cdiVersion": "0.6.0", "kind": "example.com/claim", "devices": [device]}
        self._file(claim.uid).parent.mkdir(exist_ok=True)
        self._file(claim.uid).write_text(json.dumps(spec))
        name = f"example.com/claim={claim.uid}"
        one = api.PreparedDevice(pool_name="pool", device_name="gpu-0", cdi_device_ids=[name])
        return api.PreparedClaim(devices=[one])

    async def _unprepare(self, request: api.ClaimsRequest) -> api.UnprepareResponse:
        self.asked += [f"unprepare {claim.name}" for claim in request.claims]
        for claim in request.claims:
            self._file(claim.uid).unlink(missing_ok=True)
        given_back = {
            claim.uid: api.UnpreparedClaim(error=self.failing) for claim in request.claims
        }
        return api.UnprepareResponse(claims=given_back)

    def _file(self, uid: str) -> Path:
        return self._root / "cdi" / f"claim-{uid}.json"
