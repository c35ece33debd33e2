"""The server process: store, registry, door, controllers and scheduler in one loop around one cache."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from functools import partial

import uvloop

from longshore.base.addresses import API_PORT, LAN_GATEWAY
from longshore.base.chance import Chance
from longshore.base.clock import SystemClock
from longshore.base.users import User, loop_user
from longshore.cluster import admission, audit, authorizers, encryption, issuers, kubeconfig
from longshore.cluster.backup.take import snapshot
from longshore.cluster.bootstrap import bootstrap
from longshore.cluster.config import ClusterConfig, ClusterPaths
from longshore.cluster.default_roles import ensure_roles
from longshore.cluster.machine import lan_namespace, node_nets
from longshore.cluster.probe import is_ready
from longshore.cluster.renewal import SERVER_PAIRS, Renewals
from longshore.cluster.statistics import HollowStatistics, NodeStatistics
from longshore.cluster.streams import NodeStreams, NoStreams
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.rbac.defaults import objects_of_controllers, objects_of_users
from longshore.core.pki.authority import Authority
from longshore.core.pki.pairs import Pair
from longshore.core.pki.tls import client_context, server_context
from longshore.core.pki.token_keys import TokenKeys
from longshore.core.registry.identity.bearers import Bearers
from longshore.core.registry.identity.bootstrap_tokens import BootstrapTokens
from longshore.core.registry.identity.jws import Keyring
from longshore.core.registry.identity.tokens import Tokens
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.questions import decided
from longshore.core.registry.registry import Registry, RegistryConfig
from longshore.core.registry.wishes import Wish
from longshore.core.store.protocol import StoreError
from longshore.core.store.sealed import SealedStore
from longshore.core.store.sqlite import SqliteStore
from longshore.core.streams.protocols import Streams
from longshore.doors.kit.server import Server
from longshore.doors.kubernetes.audit.auditor import Auditor
from longshore.doors.kubernetes.audit.trail import AuditLog
from longshore.doors.kubernetes.door import DoorConfig, KubernetesDoor
from longshore.machinery.controllers.nodes.plan import NodeRules
from longshore.machinery.controllers.run_all import ControllerConfig, run_controllers
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.hollow import HollowNodes
from longshore.machinery.loop.recorder import Journal
from longshore.machinery.network.balancer.run import Balancer
from longshore.machinery.network.uplink import Uplink
from longshore.machinery.scheduler.run import Scheduler

log = logging.getLogger("longshore.server")

API_ENDPOINT = (LAN_GATEWAY, API_PORT)
# Collecting is rare: what the cache holds is bytes, and the rest dies young.
GC_THRESHOLDS = (100_000, 50, 100)
# What a hollow node says it has: that of a middling real one.
HOLLOW_CAPACITY = {"cpu": "32", "memory": "256Gi", "pods": "110", "ephemeral-storage": "100Gi"}


def main(
    config: ClusterConfig, paths: ClusterPaths, listeners: Sequence[socket.socket], tell: int
) -> None:
    """The server's life, until SIGTERM. tell is the descriptor on which `up` hears how far it is."""
    prepare_process("longshore-server")
    run_to_the_end(_run(config, paths, listeners, tell))


def prepare_process(name: str) -> None:
    """What the server and the agents have in common."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        with open("/proc/self/comm", "w") as comm:
            comm.write(name)
    except OSError:
        log.debug("this system has no process names")


def run_to_the_end(work: Coroutine[None, None, None]) -> None:
    """Run a process's work. What ends it is said in full, and once more in the log's last line."""
    try:
        uvloop.run(work)
    except BaseExceptionGroup as group:
        log.exception("stopped by a fault")
        log.error("stopped by %s", "; ".join(_causes(group)))
        raise SystemExit(1) from group
    except StoreError as error:  # as it was opened: a sentence for a person, not a fault of ours
        log.error("%s", error)
        raise SystemExit(1) from error


def _causes(group: BaseExceptionGroup[BaseException]) -> Iterator[str]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _causes(error)
        else:
            yield f"{type(error).__name__}: {error}"


async def until_signalled(work: Coroutine[None, None, None]) -> None:
    """Run work until it ends, or until SIGTERM or SIGINT cancels it."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await work
    except asyncio.CancelledError:
        log.info("stopping")


async def _run(
    config: ClusterConfig, paths: ClusterPaths, listeners: Sequence[socket.socket], tell: int
) -> None:
    clock = SystemClock()
    store = SealedStore(SqliteStore(paths.store), encryption.of_cluster(paths))
    settings = RegistryConfig(
        admission=admission.of_cluster(config, paths),
        authorizers=authorizers.of_cluster(paths, clock),
        outdated=store.outdated,
    )
    registry = Registry(store, clock, Chance(), settings)
    await registry.open()
    gc.freeze()  # what was read stays: no collection has to look through it again
    cluster = _Cluster(config, paths, registry, store)
    await until_signalled(cluster.run(listeners, partial(_tell, tell)))
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
        self._renewals = Renewals(
            self._authority, [*self._pairs.values()], self._token_keys, self._clock, self._renewed
        )

        self._issuers = issuers.of_cluster(paths, self._clock)
        self._audit_log = AuditLog(paths.audit_log, self._clock)
        self._auditor = Auditor(audit.policy_of(paths), self._audit_log, self._clock)

    def _renewed(self) -> None:
        """Sign with the newest key, and write the kubeconfigs with the certificates of now."""
        self._accounts.keyring = Keyring(self._token_keys.read())
        kubeconfig.write(self._config, self._paths, self._authority.pair, self._pairs["admin"])

    def _client(self, loop: str) -> InProcess:
        return InProcess(self._registry, loop_user(loop))

    async def _ensure_roles(self, defaults: Iterable[tuple[Kind, Doc]]) -> None:
        await ensure_roles(self._registry.cache, self._client("roles"), defaults)

    async def run(self, listeners: Sequence[socket.socket], tell: Callable[[str], object]) -> None:
        async with asyncio.TaskGroup() as crew:
            crew.create_task(self._registry.run(), name="registry")
            endpoint = None if self._config.hollow else API_ENDPOINT
            await bootstrap(self._client("bootstrap"), endpoint)
            self._serve(crew, listeners)
            tell("serving")
            for _ in self._registry.cache.index():
                await self._clock.sleep(0)
            gc.freeze()  # the indexes too
            roles = crew.create_task(self._ensure_roles(objects_of_users()), name="roles")
            self._run_loops(crew)
            await self._until_ready()
            await roles
            tell("ready")
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
        crew.create_task(server.serve(listeners, context), name="door")
        crew.create_task(door.run(), name="watch times")
        crew.create_task(self._renewals.run(), name="certificates")
        crew.create_task(self._audit_log.run(), name="audit log")
        follow = encryption.follow(self._paths.encryption, self._store, self._clock)
        crew.create_task(follow, name="encryption keys")
        for issuer in self._issuers:
            crew.create_task(issuer.run(), name="keys of an issuer")

    def _door_config(self) -> DoorConfig:
        streams, cache = self._streams(), self._registry.cache
        hollow = self._config.hollow
        return DoorConfig(
            streams=streams,
            statistics=HollowStatistics(cache, self._clock) if hollow else NodeStatistics(streams),
            address=f"127.0.0.1:{self._config.port}",
            tokens=self._tokens(),
            auditor=self._auditor,
            snapshot=lambda: snapshot(cache, self._store, self._clock),
            kinds=kinds.SERVED,
        )

    def _tokens(self) -> Bearers:
        bootstrap_tokens = BootstrapTokens(self._registry.cache, self._clock)
        return Bearers(self._accounts, [bootstrap_tokens, *(one.tokens for one in self._issuers)])

    def _streams(self) -> Streams:
        if self._config.hollow:
            return NoStreams()
        pair, trusted = self._pairs["server-to-nodes"], self._authority.pair.certificate
        context = self._renewals.shown_by(client_context(pair, trusted), pair)
        return NodeStreams(self._registry.cache, context, lan_namespace(self._paths))

    def _run_loops(self, crew: asyncio.TaskGroup) -> None:
        cache, clock, chance = self._registry.cache, self._clock, self._chance
        journal = Journal(self._client("events"), clock)
        crew.create_task(journal.run(), name="events")
        config = ControllerConfig(
            authority=self._authority,
            permits=self._permits,
            nodes=NodeRules(grace_s=self._config.node_grace_s),
        )
        controllers = run_controllers(
            cache, self._client("controllers"), clock, chance, journal, config
        )
        crew.create_task(controllers, name="controllers")
        scheduler = Scheduler(cache, self._client("scheduler"), clock, chance, journal)
        crew.create_task(scheduler.run(), name="scheduler")
        if self._config.hollow:
            hollow = HollowNodes(
                hollow_nodes(self._config, self._paths), self._client("hollow"), clock
            )
            crew.create_task(hollow.run(), name="hollow nodes")
        else:
            balancer = Balancer(
                self._client("balancer"), lan_namespace(self._paths), clock, journal
            )
            crew.create_task(balancer.run(), name="balancer")
            if self._config.uplink == "user":
                uplink = Uplink(lan_namespace(self._paths), self._paths.uplink, clock)
                crew.create_task(uplink.run(), name="uplink")

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


def hollow_nodes(config: ClusterConfig, paths: ClusterPaths) -> list[KubeletConfig]:
    """Hollow nodes have the addresses that real ones would have; nobody answers there."""
    return [
        KubeletConfig(
            node_name=net.name,
            root=paths.node(net.name),
            node_ip=net.lan_ip,
            pod_cidr=net.pod_cidr,
            capacity=HOLLOW_CAPACITY,
        )
        for net in node_nets(config)
    ]
