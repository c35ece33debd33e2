"""A machine becomes a node (kubelet TLS bootstrapping): with a bootstrap kubeconfig it asks for a
certificate of its own, and is a node from then on by that alone."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import logging
import ssl
from dataclasses import dataclass, replace
from pathlib import Path

import uvloop
import yaml

from longshore.base.chance import Chance
from longshore.base.clock import Clock, SystemClock
from longshore.cluster.config import NAME_FORM, ClusterError
from longshore.core.objects import kinds
from longshore.core.objects.errors import AlreadyExists, ApiError
from longshore.core.pki import tls
from longshore.core.pki.pairs import Pair
from longshore.core.registry.client import Create
from longshore.doors.kubernetes.client import HttpClient, Introduction
from longshore.machinery.kubelet.certificates import NotIssued, Renewal, client_purpose, obtain
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.hollow import CAPACITY, HOLLOW_FACTS, HollowNodes
from longshore.machinery.kubelet.node.plan import node_doc
from longshore.machinery.network.ranges import lan_ip_of

log = logging.getLogger("longshore.join")

_LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a bootstrap kubeconfig says: where servers are, the one to ask first in front, whom they
    are vouched for by, and the token."""

    servers: tuple[str, ...]
    authority: bytes
    token: str


def read(file: Path) -> Invitation:
    """Raises ClusterError, saying what is missing."""
    try:
        doc = yaml.safe_load(file.read_text())
        clusters, users = (
            {one["name"]: one[part] for one in doc[f"{part}s"]} for part in ("cluster", "user")
        )
        contexts = {one["name"]: one["context"] for one in doc["contexts"]}
        context = contexts[doc["current-context"]]
        cluster, user = clusters[context["cluster"]], users[context["user"]]
        authority = base64.b64decode(cluster["certificate-authority-data"])
        trusted = cluster["certificate-authority-data"]
        others = [
            one["server"]
            for one in clusters.values()
            if one is not cluster and one.get("certificate-authority-data") == trusted
        ]
        return Invitation((cluster["server"], *others), authority, user["token"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ClusterError(f"--join {file}: {error}") from None
    except (KeyError, TypeError, binascii.Error) as error:
        raise ClusterError(
            f"--join {file} is no bootstrap kubeconfig ({error!r} is missing or wrong): "
            "longshore token create --file makes one"
        ) from None


def join(file: Path, node: str, directory: Path) -> None:
    """Be a hollow node of a cluster until SIGTERM. directory keeps the certificate: with one that
    is there already, the invitation's token is not needed any more. Raises ClusterError."""
    if not NAME_FORM.fullmatch(node):
        raise ClusterError(f"--node {node!r}: use a-z, 0-9 and -, at most 32 of them")
    invitation = read(file)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    uvloop.run(_Joining(invitation, node, directory, SystemClock()).run())


class _Joining:
    def __init__(self, invitation: Invitation, node: str, directory: Path, clock: Clock) -> None:
        self._invitation = invitation
        self._node = node
        self._pair = Pair.named(directory, f"{node}-client")
        self._authority = directory / "ca.crt"
        self._clock = clock

    async def run(self) -> None:
        self._authority.write_bytes(self._invitation.authority)
        try:
            if not self._pair.exists:
                await self._become()
            await self._serve()
        except (ApiError, NotIssued) as error:
            raise ClusterError(
                f"{self._invitation.servers[0]} does not take this node: {error}"
            ) from None

    async def _become(self) -> None:
        """Ask for the node's certificate with the token alone."""
        context = ssl.create_default_context(cafile=str(self._authority))
        client = self._client(context, self._invitation.token)
        try:
            self._pair.write(*await obtain(client, self._clock, client_purpose(self._node)))
        finally:
            client.close()
        log.info("%s has its certificate", self._node)

    async def _serve(self) -> None:
        """Run the node, and renew its certificate before it ends."""
        context = tls.client_context(self._pair, self._authority)
        client = self._client(context)
        renewal = Renewal(
            self._pair, client_purpose(self._node), client, self._clock,
            lambda: tls.reload(context, self._pair, self._authority),
        )  # fmt: skip
        nodes = HollowNodes([await self._config(client)], client, self._clock)
        async with asyncio.TaskGroup() as crew:
            crew.create_task(renewal.run(Chance()), name="certificate")
            crew.create_task(nodes.run(), name="node")

    async def _config(self, client: HttpClient) -> KubeletConfig:
        """The node's place: its range of pod addresses is given to it when it registers."""
        config = KubeletConfig(
            node_name=self._node, root=self._authority.parent, node_ip="", capacity=CAPACITY
        )
        with contextlib.suppress(AlreadyExists):
            await client.write(Create(kinds.NODE, node_doc(config, HOLLOW_FACTS)))
        while True:
            node = await client.get(kinds.NODE, "", self._node)
            if given := node["spec"].get("podCIDR"):
                return replace(config, pod_cidr=given, node_ip=lan_ip_of(given))
            await self._clock.sleep(_LOOK_S)

    def _client(self, context: ssl.SSLContext, token: str = "") -> HttpClient:
        return HttpClient(
            self._invitation.servers, context, self._clock, said=Introduction("kubelet", token)
        )
