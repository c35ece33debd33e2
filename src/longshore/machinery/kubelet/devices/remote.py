"""Those who bring devices, behind gRPC: messages in and out of the plain data of peers.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path

from longshore.machinery.kubelet.devices import api_pb2 as api
from longshore.machinery.kubelet.devices import wire
from longshore.machinery.kubelet.devices.model import Grant, PluginFailure
from longshore.machinery.kubelet.devices.peers import (
    ClaimName,
    Desk,
    DevicePlugin,
    Driver,
    Held,
    HeldClaim,
    Introduction,
    Listed,
    Newcomer,
    PluginOptions,
    PodShare,
    PreparedDevice,
    Registration,
    Serving,
)
from longshore.machinery.kubelet.devices.plan import Choice
from longshore.machinery.runtime.protocol import Device, Mount

# pkg/kubelet/cm/dra/plugin: PluginClientTimeout; k8s.io/kubelet deviceplugin constants:
# KubeletPreStartContainerRPCTimeoutInSecs. Allocate has no limit of its own there.
_DRA_S, _PRE_START_S, _ALLOCATE_S, _QUESTION_S = 45.0, 30.0, 45.0, 10.0
_HEALTHY = "Healthy"
_NOTHING = api.Nothing()


def plugin(socket: Path) -> DevicePlugin:
    return _Plugin(wire.Peer(socket))


def driver(socket: Path, name: str, versions: Sequence[str]) -> Driver:
    """Raises PluginFailure where it speaks no version of the service that is known here."""
    spoken = [one.removesuffix(".DRAPlugin") for one in versions]
    for version in wire.DRA_VERSIONS:
        if version in spoken:
            return _Driver(wire.Peer(socket), name, version)
    raise PluginFailure(
        f"none of the DRA gRPC interfaces {', '.join(versions) or '(none)'} are supported: "
        f"want {' or '.join(f'{one}.DRAPlugin' for one in wire.DRA_VERSIONS)}"
    )


def newcomer(socket: Path) -> Newcomer:
    return _Newcomer(wire.Peer(socket))


class _Plugin:
    def __init__(self, peer: wire.Peer) -> None:
        self._peer = peer
        self.connect = peer.connect
        self.close = peer.close

    async def options(self) -> PluginOptions:
        return _options(await self._peer.ask(wire.OPTIONS, _NOTHING, _QUESTION_S))

    async def devices(self) -> AsyncIterator[Mapping[str, Listed]]:
        async for said in self._peer.follow(wire.LIST_AND_WATCH, _NOTHING):
            yield {
                one.id: Listed(one.health == _HEALTHY, tuple(n.id for n in one.topology.nodes))
                for one in said.devices
            }

    async def prefer(self, choice: Choice) -> Sequence[str]:
        question = api.ContainerPreferRequest(
            available=sorted({*choice.available, *choice.kept}),
            must_include=choice.kept,
            size=choice.count,
        )
        request = api.PreferRequest(containers=[question])
        answer = await self._peer.ask(wire.PREFER, request, _ALLOCATE_S)
        return tuple(answer.containers[0].ids) if answer.containers else ()

    async def allocate(self, resource: str, ids: Sequence[str]) -> Grant:
        request = api.AllocateRequest(containers=[api.DeviceIds(ids=ids)])
        answer = await self._peer.ask(wire.ALLOCATE, request, _ALLOCATE_S)
        if len(answer.containers) != 1:
            raise PluginFailure(
                f"allocate returned {len(answer.containers)} container responses, want 1"
            )
        return _grant(resource, ids, answer.containers[0])

    async def pre_start(self, ids: Sequence[str]) -> None:
        await self._peer.ask(wire.PRE_START, api.DeviceIds(ids=ids), _PRE_START_S)


def _grant(resource: str, ids: Sequence[str], said: api.ContainerAllocation) -> Grant:
    return Grant(
        resource,
        tuple(ids),
        env=dict(said.envs),
        mounts=tuple(Mount(m.host_path, m.container_path, m.read_only) for m in said.mounts),
        devices=tuple(
            Device(one.host_path, one.container_path, one.permissions or "rwm")
            for one in said.devices
        ),
        annotations=dict(said.annotations),
        cdi=tuple(one.name for one in said.cdi_devices),
    )


def _options(said: api.PluginOptions) -> PluginOptions:
    return PluginOptions(said.pre_start_required, said.get_preferred_allocation_available)


class _Driver:
    def __init__(self, peer: wire.Peer, name: str, version: str) -> None:
        self._peer = peer
        self._name = name
        self._prepare = wire.prepare_method(version)
        self._unprepare = wire.unprepare_method(version)
        self.close = peer.close

    async def prepare(self, claims: Sequence[ClaimName]) -> Mapping[str, Sequence[PreparedDevice]]:
        try:
            answer = await self._peer.ask(self._prepare, _claims(claims), _DRA_S)
        except PluginFailure as error:
            raise PluginFailure(f"NodePrepareResources: {error}") from error
        said = {uid: one.error for uid, one in answer.claims.items()}
        _check("NodePrepareResources", claims, said)
        return {uid: self._devices(one.devices) for uid, one in answer.claims.items()}

    def _devices(self, given: Iterable[api.PreparedDevice]) -> list[PreparedDevice]:
        return [
            PreparedDevice(
                self._name,
                one.pool_name,
                one.device_name,
                tuple(one.request_names),
                tuple(one.cdi_device_ids),
            )
            for one in given
        ]

    async def unprepare(self, claims: Sequence[ClaimName]) -> None:
        try:
            answer = await self._peer.ask(self._unprepare, _claims(claims), _DRA_S)
        except PluginFailure as error:
            raise PluginFailure(f"NodeUnprepareResources: {error}") from error
        said = {uid: one.error for uid, one in answer.claims.items()}
        _check("NodeUnprepareResources", claims, said)


def _claims(claims: Sequence[ClaimName]) -> api.ClaimsRequest:
    named = [api.ClaimName(namespace=c.namespace, name=c.name, uid=c.uid) for c in claims]
    return api.ClaimsRequest(claims=named)


def _check(method: str, claims: Sequence[ClaimName], said: Mapping[str, str]) -> None:
    """Each claim must have been answered, and well (pkg/kubelet/cm/dra)."""
    names = {claim.uid: claim.name for claim in claims}
    for uid, error in said.items():
        if uid not in names:
            raise PluginFailure(f"{method} returned result for unknown claim UID {uid}")
        if error:
            raise PluginFailure(f"{method} failed for ResourceClaim {names[uid]}: {error}")
    if left := len(names) - len(said):
        raise PluginFailure(f"{method} skipped {left} ResourceClaims")


class _Newcomer:
    def __init__(self, peer: wire.Peer) -> None:
        self._peer = peer
        self.close = peer.close

    async def introduce(self) -> Introduction:
        await self._peer.connect()
        said = await self._peer.ask(wire.GET_INFO, _NOTHING, _QUESTION_S)
        return Introduction(said.type, said.name, said.endpoint, tuple(said.supported_versions))

    async def answer(self, error: str) -> None:
        status = api.RegistrationStatus(plugin_registered=not error, error=error)
        await self._peer.ask(wire.NOTIFY, status, _QUESTION_S)


# -- what visitors may ask -------------------------------------------------------------------


async def serve(socket: Path, desk: Desk) -> Serving:
    socket.unlink(missing_ok=True)
    handlers = wire.Handlers()
    handlers.put(wire.REGISTER, _Reception(desk).register)
    handlers.put(wire.LIST_PODS, _Reception(desk).pods)
    handlers.put(wire.GET_POD, _Reception(desk).pod)
    handlers.put(wire.GET_ALLOCATABLE, _Reception(desk).allocatable)
    return await wire.serve(f"unix:{socket}", handlers)


class _Reception:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def register(self, said: api.RegisterRequest) -> api.Nothing:
        options = _options(said.options)
        given = Registration(said.version, said.endpoint, said.resource_name, options)
        await self._desk.register(given)
        return _NOTHING

    async def pods(self, _: api.Nothing) -> api.PodResourcesList:
        return api.PodResourcesList(pod_resources=map(_share, self._desk.pods()))

    async def pod(self, said: api.GetPodResourcesRequest) -> api.GetPodResourcesResponse:
        for share in self._desk.pods():
            if (share.namespace, share.name) == (said.pod_namespace, said.pod_name):
                return api.GetPodResourcesResponse(pod_resources=_share(share))
        raise PluginFailure(f"pod {said.pod_name} in namespace {said.pod_namespace} not found")

    async def allocatable(self, _: api.Nothing) -> api.AllocatableResources:
        return api.AllocatableResources(devices=map(_held, self._desk.allocatable()))


def _share(share: PodShare) -> api.PodResources:
    containers = [
        api.ContainerResources(
            name=one.name,
            devices=map(_held, one.devices),
            dynamic_resources=map(_claim, one.claims),
        )
        for one in share.containers
    ]
    return api.PodResources(name=share.name, namespace=share.namespace, containers=containers)


def _held(held: Held) -> api.ContainerDevices:
    near = api.Topology(nodes=[api.NumaNode(id=number) for number in held.numa])
    topology = near if held.numa else None
    return api.ContainerDevices(resource_name=held.resource, device_ids=held.ids, topology=topology)


def _claim(held: HeldClaim) -> api.DynamicResource:
    resources = [
        api.ClaimResource(
            cdi_devices=[api.CdiDevice(name=name) for name in one.cdi],
            driver_name=one.driver,
            pool_name=one.pool,
            device_name=one.device,
        )
        for one in held.devices
    ]
    return api.DynamicResource(
        claim_name=held.name, claim_namespace=held.namespace, claim_resources=resources
    )
