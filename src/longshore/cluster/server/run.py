"""The server process: store, registry, door, controllers and scheduler in one loop around one cache."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.base.users import User, loop_user
from longshore.cluster import kubeconfig, stores
from longshore.cluster.backup.take import snapshot
from longshore.cluster.client.probe import is_ready
from longshore.cluster.config import ClusterConfig, ClusterPaths
from longshore.cluster.host.machine import api_endpoints, lan_namespace, node_namespace
from longshore.cluster.host.process import BACKLOG, prepare_process, run_to_the_end, until_signalled
from longshore.cluster.nodes.hollow import do_not_end_when_told
from longshore.cluster.readings import readers
from longshore.cluster.readings.readers import Readers
from longshore.cluster.renewal import SERVER_PAIRS, Renewals
from longshore.cluster.server.bootstrap import bootstrap
from longshore.cluster.server.default_roles import ensure_roles
from longshore.cluster.server.loops import Loops, Work
from longshore.cluster.server.streams import NodeStreams, NoStreams
from longshore.cluster.settings import (
    admission,
    audit,
    authorizers,
    encryption,
    issuers,
    scheduling,
)
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.rbac.defaults import objects_of_controllers, objects_of_users
from longshore.core.pki.authority import Authority
from longshore.core.pki.pairs import Pair
from longshore.core.pki.tls import client_context, server_context
from longshore.core.pki.token_keys import TokenKeys
from longshore.core.registry.client import Client
from longshore.core.registry.identity.bearers import Bearers
from longshore.core.registry.identity.bootstrap_tokens import BootstrapTokens
from longshore.core.registry.identity.jws import Keyring
from longshore.core.registry.identity.secret_tokens import SecretTokens
from longshore.core.registry.identity.tokens import Tokens
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.questions import decided
from longshore.core.registry.registry import Registry, RegistryConfig
from longshore.core.registry.wishes import Wish
from longshore.core.store.sealed import SealedStore
from longshore.core.streams.protocols import Streams
from longshore.doors.kit.server import Server
from longshore.doors.kubernetes.audit.auditor import Auditor
from longshore.doors.kubernetes.audit.trail import AuditLog
from longshore.doors.kubernetes.door import DoorConfig, KubernetesDoor
from longshore.machinery.controllers.nodes.plan import NodeRules
from longshore.machinery.controllers.run_all import ControllerConfig
from longshore.machinery.controllers.usage.run import UsageMetrics
from longshore.machinery.network import namespaces

log = logging.getLogger("longshore.server")


@dataclass(frozen=True, slots=True)
class Place:
    """Which server it is: its name among those of the cluster, the sockets it listens at, and the
    descriptor on which `up` hears how far it is."""

    name: str
    listeners: Sequence[socket.socket]
    tell: int


def main(config: ClusterConfig, paths: ClusterPaths, place: Place) -> None:
    """A server's life, until SIGTERM."""
    prepare_process(f"longshore-{place.name}")
    if config.hollow and not config.shared:
        do_not_end_when_told()
    if config.shared:
        namespaces.enter(node_namespace(paths, place.name))
    run_to_the_end(_run(config, paths, place))


async def _run(config: ClusterConfig, paths: ClusterPaths, place: Place) -> None:
    clock = SystemClock()
    store = stores.of_cluster(config, paths, place.name, clock)
    settings = RegistryConfig(
        admission=admission.of_cluster(config, paths),
        authorizers=authorizers.of_cluster(paths, clock),
        outdated=store.outdated,
    )
    registry = Registry(store, clock, Chance(), settings)
    await registry.open()
    gc.freeze()  # what was read stays: no collection has to look through it again
    cluster = _Cluster(config, paths, registry, store)
    await until_signalled(cluster.run(place))
    await registry.close()


def _tell(descriptor: int, word: str) -> None:
    """Say how far the server is, to an `up` that may have stopped listening."""
    with contextlib.suppress(BrokenPipeError):
        os.write(descriptor, word.encode() + b"\n")


class _Cluster:
    """Everything that a server runs, put together."""

    def __init__(
        self, config: ClusterConfig, paths: ClusterPaths, registry: Registry, store: SealedStore
    ) -> None:
        self._config = config
        self._paths = paths
        self._registry = registry
        self._store = store
        self._clock = SystemClock()
        self._chance = Chance()
        self._authority = Authority(paths.pki, self._clock)
        self._pairs = {name: Pair.named(paths.pki, name) for name in SERVER_PAIRS}
        self._token_keys = TokenKeys(paths.pki, self._clock)
        keys = self._token_keys.read()
        self._accounts = Tokens(registry, self._clock, self._chance, keys)
        self._secret_tokens = SecretTokens(registry.cache, self._accounts)
        self._renewals = Renewals(
            self._authority, [*self._pairs.values()], self._token_keys, self._clock, self._renewed
        )

        self._issuers = issuers.of_cluster(paths, self._clock)
        self._audit_log = AuditLog(paths.audit_log, self._clock)
        self._streams = self._made_streams()
        self._readers = self._made_readers()
        self._loops = self._made_loops()
        self._auditor = Auditor(audit.policy_of(paths), self._audit_log, self._clock)

    def _renewed(self) -> None:
        """Sign with the newest key, and write the kubeconfigs with the certificates of now."""
        self._accounts.keyring = Keyring(self._token_keys.read())
        kubeconfig.rewrite(self._config, self._paths)

    def _client(self, loop: str) -> InProcess:
        return InProcess(self._registry, loop_user(loop))

    async def _ensure_roles(self, defaults: Iterable[tuple[Kind, Doc]]) -> None:
        await ensure_roles(self._registry.cache, self._client("roles"), defaults)

    async def run(self, place: Place) -> None:
        async with asyncio.TaskGroup() as crew:
            crew.create_task(self._registry.run(), name="registry")
            await bootstrap(self._client("bootstrap"), api_endpoints(self._config))
            self._serve(crew, place.listeners)
            _tell(place.tell, "serving")
            for _ in self._registry.cache.index():
                await self._clock.sleep(0)
            gc.freeze()  # the indexes too
            # Loops end before the registry does, which takes what they write at the end.
            async with asyncio.TaskGroup() as loops:
                await self._run_loops(loops, place)

    async def _run_loops(self, crew: asyncio.TaskGroup, place: Place) -> None:
        if self._config.elects:
            crew.create_task(
                self._loops.stand(self._config.store.writer or place.name), name="loops"
            )
            if not self._config.shared:
                crew.create_task(self._loops.beside(), name="what is this machine's")
            await self._until_ready()
            _tell(place.tell, "ready")
            return
        roles = crew.create_task(self._ensure_roles(objects_of_users()), name="roles")
        crew.create_task(self._loops.run(), name="loops")
        await self._until_ready()
        await roles
        _tell(place.tell, "ready")
        # Nobody waits for the roles of controllers that run outside.
        await self._ensure_roles(objects_of_controllers())

    def _serve(self, crew: asyncio.TaskGroup, listeners: Sequence[socket.socket]) -> None:
        """Open the door, on 127.0.0.1 of the host and, if there is one, on the LAN."""
        door = KubernetesDoor(
            self._registry,
            self._clock,
            self._chance,
            self._door_config(),
        )
        server = Server(door.handle, self._clock, refusal=door.refusal)
        pair, trusted = self._pairs["server"], self._authority.pair.certificate
        context = self._renewals.shown_by(server_context(pair, trusted), pair)
        for listener in listeners:
            listener.listen(BACKLOG)
        crew.create_task(server.serve(listeners, context), name="door")
        crew.create_task(door.run(), name="watch times")
        crew.create_task(self._renewals.run(), name="certificates")
        crew.create_task(self._audit_log.run(), name="audit log")
        follow = encryption.follow(self._paths.encryption, self._store, self._clock)
        crew.create_task(follow, name="encryption keys")
        for issuer in self._issuers:
            crew.create_task(issuer.run(), name="keys of an issuer")

    def _door_config(self) -> DoorConfig:
        cache = self._registry.cache
        return DoorConfig(
            streams=self._streams,
            samples=self._readers.samples,
            exposed=self._readers.exposed,
            address=f"127.0.0.1:{self._config.port}",
            tokens=self._tokens(),
            auditor=self._auditor,
            snapshot=lambda: snapshot(cache, self._store, self._clock),
            checks={"etcd": lambda: self._registry.hears} if self._config.elects else {},
            kinds=kinds.SERVED,
            metrics=self._loops.metrics,
            configuration=lambda: {scheduling.GROUP: scheduling.document_of(self._paths)},
        )

    def _tokens(self) -> Bearers:
        bootstrap_tokens = BootstrapTokens(self._registry.cache, self._clock)
        others = (one.tokens for one in self._issuers)
        return Bearers(self._accounts, [self._secret_tokens, bootstrap_tokens, *others])

    def _made_streams(self) -> Streams:
        if self._config.hollow and not self._config.standalone:
            return NoStreams()
        pair, trusted = self._pairs["server-to-nodes"], self._authority.pair.certificate
        context = self._renewals.shown_by(client_context(pair, trusted), pair)
        lan = "" if self._config.standalone else lan_namespace(self._paths)
        return NodeStreams(self._registry.cache, context, lan)

    def _made_readers(self) -> Readers:
        if self._config.standalone:
            return readers.of_machines(self._registry, self._streams, self._clock)
        if self._config.hollow:
            return readers.of_hollow_nodes(self._registry, self._clock)
        return readers.of_nodes(self._registry, self._streams, self._clock)

    def _made_loops(self) -> Loops:
        controllers = ControllerConfig(
            authority=self._authority,
            sign=self._secret_tokens.issue,
            permits=self._permits,
            nodes=NodeRules(grace_s=self._config.node_grace_s),
            usage=UsageMetrics(),
            samples=self._readers.samples,
            exposed=self._readers.exposed,
        )
        work = Work(self._config, self._paths, controllers, self._all_roles)
        return Loops(work, self._registry, self._clock, self._chance)

    async def _all_roles(self, client: Client) -> None:
        for defaults in (objects_of_users(), objects_of_controllers()):
            await ensure_roles(self._registry.cache, client, defaults)

    async def _permits(self, who: User, wish: Wish) -> bool:
        return await decided(partial(self._registry.permission.allowed, who, wish))

    async def _until_ready(self) -> None:
        """Return once all nodes of the cluster are Ready."""
        feed = self._registry.cache.subscribe(kinds.NODE)
        ready: set[str] = set()
        while len(ready) < self._config.nodes:
            for frame in await feed.next_batch():
                name = frame.stored.name
                if frame.type != "DELETED" and is_ready(frame.doc):
                    ready.add(name)
                else:
                    ready.discard(name)
        feed.close()
