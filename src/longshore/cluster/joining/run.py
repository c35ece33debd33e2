"""A machine becomes a node (kubelet TLS bootstrapping): with a bootstrap kubeconfig it asks for a
certificate of its own, and is a node from then on by that alone.

Its directory is laid out as a local cluster's is; node.json says which node it is and where its pods are,
so that an agent can start while no server answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import ssl
from collections.abc import Coroutine, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import orjson
import uvloop

from longshore.base.chance import Chance
from longshore.base.clock import Clock, SystemClock
from longshore.base.files import write_private
from longshore.cluster import doctor
from longshore.cluster.agent.run import Agent, Setting, kubelet_config
from longshore.cluster.config import NAME_FORM, ClusterError, ClusterPaths
from longshore.cluster.host.cri import CriRequest, settle
from longshore.cluster.host.process import (
    prepare_agent,
    run_to_the_end,
    until_signalled,
)
from longshore.cluster.host.processes import record, recorded
from longshore.cluster.joining import invitation
from longshore.cluster.joining.invitation import Invitation
from longshore.core.objects import kinds
from longshore.core.objects.errors import AlreadyExists, ApiError
from longshore.core.objects.kinds import Doc
from longshore.core.pki import tls
from longshore.core.pki.pairs import Pair
from longshore.core.registry.client import Create, Patch
from longshore.doors.kubernetes.client import HttpClient, Introduction
from longshore.machinery.kubelet.certificates import (
    NotIssued,
    Renewal,
    client_purpose,
    obtain,
    serving_purpose,
)
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.hollow.nodes import CAPACITY, HOLLOW_FACTS, HollowNodes
from longshore.machinery.kubelet.node.machine import machine_facts
from longshore.machinery.kubelet.node.plan import MachineFacts, node_doc
from longshore.machinery.network.node import Outside
from longshore.machinery.network.ranges import NodeNet, lan_ip_of

T = TypeVar("T")
log = logging.getLogger("longshore.join")

_LOOK_S = 0.2
_ROLE = "agent"
_RESOLV_CONF = Path("/etc/resolv.conf")


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """What the command line asked for. node_ip is the address at which others reach this machine, empty for
    the one from which it reaches the server; kubelet are more fields of KubeletConfig."""

    invitation: Path
    node: str
    directory: Path
    runtime: str = "oci"
    cri: CriRequest = field(default_factory=CriRequest)
    node_ip: str = ""
    kubelet: tuple[tuple[str, Any], ...] = ()


def join(request: JoinRequest) -> None:
    """Be a node of a cluster until SIGTERM; containers go on without the agent. The directory keeps the
    certificate: with one that is there already, the invitation's token is not needed any more. Raises
    ClusterError."""
    if not NAME_FORM.fullmatch(request.node):
        raise ClusterError(f"--node {request.node!r}: use a-z, 0-9 and -, at most 32 of them")
    doctor.require(doctor.MACHINES_CRI if request.runtime == "cri" else request.runtime)
    invited = invitation.read(request.invitation)
    paths = ClusterPaths.of_machine(request.directory)
    if any(one.alive for one in recorded(paths.processes)):
        raise ClusterError(f"{paths.home} has an agent that runs: end that one first")
    for directory in (paths.home, paths.pki, paths.processes):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    prepare_agent(f"longshore-{request.node}")
    record(_ROLE, paths.processes)
    joining = _Joining(request, invited, paths, SystemClock())
    if request.runtime == "hollow":
        joining.until_done(until_signalled(joining.be_hollow()))
    else:
        setting = joining.until_done(joining.settle())
        run_to_the_end(until_signalled(Agent(setting).run()))


def place_of(paths: ClusterPaths) -> NodeNet | None:
    """Where the machine's node was when it last started, if it ever did."""
    try:
        return NodeNet(**orjson.loads(paths.place.read_bytes()))
    except FileNotFoundError:
        return None


class _Joining:
    def __init__(
        self, request: JoinRequest, invited: Invitation, paths: ClusterPaths, clock: Clock
    ) -> None:
        self._request, self._invitation, self._paths = request, invited, paths
        self._node, self._clock = request.node, clock
        self._shown = Pair.named(paths.pki, f"{request.node}-client")
        self._served = Pair.named(paths.pki, f"{request.node}-server")
        self._authority = paths.pki / "ca.crt"

    def until_done(self, work: Coroutine[None, None, T]) -> T:
        """Run it. Raises ClusterError for what the cluster refuses."""
        try:
            return uvloop.run(work)
        except (ApiError, NotIssued) as error:
            raise ClusterError(
                f"{self._invitation.servers[0]} does not take this node: {error}"
            ) from None

    async def settle(self) -> Setting:
        """See to it that the machine is a node with a place and certificates, and say how its agent
        is set. What is known from before is not asked for again."""
        await self._become()
        address = self._request.node_ip or address_towards(self._invitation.servers)
        place = place_of(self._paths)
        if place is None or place.lan_ip != address or not self._served.exists:
            place = await self._take_place(address)
            write_private(self._paths.place, orjson.dumps(asdict(place)))
        kubelet = kubelet_config(place, self._paths, **dict(self._request.kubelet))
        outside = Outside(upstreams=resolvers(_RESOLV_CONF.read_text()))
        cri = settle(self._paths, self._request.cri) if self._request.runtime == "cri" else None
        return Setting(place, self._paths, self._invitation.servers, kubelet, outside, cri)

    async def _take_place(self, address: str) -> NodeNet:
        client = self._client(tls.client_context(self._shown, self._authority))
        try:
            bare = KubeletConfig(self._node, self._paths.home, address)
            cidr = await self._registered(client, bare, machine_facts(self._paths.home))
            addresses = [("InternalIP", address), ("Hostname", self._node)]
            told = {"addresses": [{"type": kind, "address": one} for kind, one in addresses]}
            await client.write(Patch(kinds.NODE, "", self._node, {"status": told}, "status"))
            purpose = serving_purpose(self._node, (address,))
            self._served.write(*await obtain(client, self._clock, purpose))
        finally:
            client.close()
        return NodeNet(self._node, address, cidr)

    async def be_hollow(self) -> None:
        """Run a node of which nothing is real, and renew its certificate before it ends."""
        await self._become()
        context = tls.client_context(self._shown, self._authority)
        client = self._client(context)
        renewal = Renewal(
            self._shown, client_purpose(self._node), client, self._clock,
            lambda: tls.reload(context, self._shown, self._authority),
        )  # fmt: skip
        bare = KubeletConfig(self._node, self._paths.home, "", capacity=CAPACITY)
        cidr = await self._registered(client, bare, HOLLOW_FACTS)
        config = replace(bare, pod_cidr=cidr, node_ip=lan_ip_of(cidr))
        nodes = HollowNodes([config], client, self._clock)
        async with asyncio.TaskGroup() as crew:
            crew.create_task(renewal.run(Chance()), name="certificate")
            crew.create_task(nodes.run(), name="node")

    async def _become(self) -> None:
        """Ask for the node's certificate with the token alone, if it has none."""
        self._trust(self._invitation.authority)
        if self._shown.exists:
            return
        context = ssl.create_default_context(cafile=str(self._authority))
        client = self._client(context, self._invitation.token)
        purpose = client_purpose(self._node)
        try:
            self._shown.write(*await obtain(client, self._clock, purpose))
        finally:
            client.close()
        log.info("%s has its certificate", self._node)

    def _trust(self, authority: bytes) -> None:
        """Nothing is written where nothing is new."""
        if not self._authority.exists() or self._authority.read_bytes() != authority:
            write_private(self._authority, authority)

    async def _registered(
        self, client: HttpClient, config: KubeletConfig, facts: MachineFacts
    ) -> str:
        """The node's range of pod addresses, which the cluster gives it when it registers."""
        with contextlib.suppress(AlreadyExists):
            await client.write(Create(kinds.NODE, node_doc(config, facts)))
        while True:
            node: Doc = await client.get(kinds.NODE, "", self._node)
            if given := node["spec"].get("podCIDR"):
                return str(given)
            await self._clock.sleep(_LOOK_S)

    def _client(self, context: ssl.SSLContext, token: str = "") -> HttpClient:
        return HttpClient(
            self._invitation.servers, context, self._clock, said=Introduction("kubelet", token)
        )


def address_towards(servers: Sequence[str]) -> str:
    """This machine's address on the way to the first server. Raises ClusterError where that is nobody
    else's way to this machine."""
    url = urlsplit(servers[0])
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((url.hostname or "", url.port or 443))
            address: str = probe.getsockname()[0]
    except OSError as error:
        raise ClusterError(f"there is no way to {servers[0]} from here: {error}") from None
    if ipaddress.ip_address(address).is_loopback:
        raise ClusterError(
            f"{servers[0]} is this machine's own: say with --node-ip at which address others reach it"
        )
    return address


def resolvers(resolv_conf: str) -> tuple[str, ...]:
    """The IPv4 name servers of a resolv.conf(5), in order."""
    lines = (line.split() for line in resolv_conf.splitlines())
    named = (words[1] for words in lines if len(words) > 1 and words[0] == "nameserver")
    return tuple(one for one in named if "." in one)
