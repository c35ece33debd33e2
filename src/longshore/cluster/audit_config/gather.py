"""Find out how a running cluster is configured, and what it does."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from longshore.base.addresses import NODE_API_PORT
from longshore.base.clock import Clock
from longshore.cluster import stores
from longshore.cluster.audit_config import handshakes, tries
from longshore.cluster.audit_config.evidence import (
    NOBODY_MAY,
    NODE_FOREIGN_SECRET,
    NODE_ITSELF,
    SELF_REVIEW,
    Door,
    Etcd,
    Evidence,
    File,
    Node,
    Review,
    Settings,
)
from longshore.cluster.audit_config.handshakes import Place
from longshore.cluster.audit_config.listeners import listeners
from longshore.cluster.certs import groups_of
from longshore.cluster.client.administrator import with_admin
from longshore.cluster.config import ClusterConfig, ClusterPaths
from longshore.cluster.host import etcd
from longshore.cluster.host.machine import lan_namespace, node_namespace, node_nets
from longshore.cluster.host.processes import recorded
from longshore.cluster.settings import admission, audit, encryption, issuers
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.podsecurity.policy import LEVELS, Policy, Standard
from longshore.core.pki.authority import certificate_of
from longshore.core.pki.pairs import Pair
from longshore.core.registry.admission.chain import enabled
from longshore.core.registry.client import Client, Create
from longshore.core.registry.identity.bootstrap_tokens import TYPE as BOOTSTRAP_TOKEN
from longshore.machinery.network.namespaces import socket_in
from longshore.machinery.network.policy.run import in_force

_READ_ONLY_PORT = 10255
_LOG_PATIENCE_S, _LOOK_S = 2.0, 0.02
# What is listed, and by which fields: no secret is read but those that let somebody in.
_LISTED: tuple[tuple[Kind, str], ...] = (
    *((kind, "") for kind in (
        kinds.NAMESPACE, kinds.POD, kinds.SERVICE, kinds.DEPLOYMENT, kinds.NETWORK_POLICY, kinds.CSR,
        kinds.ROLE, kinds.CLUSTER_ROLE, kinds.ROLE_BINDING, kinds.CLUSTER_ROLE_BINDING,
    )),
    (kinds.CONFIG_MAP, "metadata.name=kube-root-ca.crt"),
    (kinds.SECRET, "type=kubernetes.io/service-account-token"),
    (kinds.SECRET, f"type={BOOTSTRAP_TOKEN}"),
)  # fmt: skip
Say = Callable[[str], None]


def gather(config: ClusterConfig, paths: ClusterPaths, clock: Clock, say: Say) -> Evidence:
    """Everything that a control asks about. say hears what is being done. Raises ClusterError if
    the server does not answer or the configuration cannot be read."""
    settings = _settings(config, paths)
    before = _size(paths.audit_log)
    say("what there is")
    objects = with_admin(config, paths, _objects)
    reviews = with_admin(config, paths, partial(_reviews, (config.node_names or ["node-1"])[0]))
    api, nodes = _doors(config, paths, clock, say)
    return Evidence(
        hollow=config.hollow,
        files=list(_files(paths)),
        owner=paths.home.stat().st_uid,
        api=api,
        nodes=nodes,
        settings=settings,
        audit_log_grew=asyncio.run(_differs(paths.audit_log, before, clock)),
        listeners=_listeners(paths),
        reviews=reviews,
        authority=(paths.pki / "ca.crt").read_text(),
        administrators=groups_of(certificate_of(Pair.named(paths.pki, "admin"))),
        objects=objects,
        etcd=_etcd(config, paths),
    )


def _etcd(config: ClusterConfig, paths: ClusterPaths) -> Etcd | None:
    where, told = stores.address_of(config, paths), list[str]()
    if not where.address:
        return None
    if config.shared:
        told = etcd.arguments(config, paths, config.member_names[0])
    options = dict(one.removeprefix("--").split("=", 1) for one in told)
    return Etcd(where.address, bool(where.certificate), options)


def _settings(config: ClusterConfig, paths: ClusterPaths) -> Settings:
    """As the server reads them when it starts."""
    chosen = admission.of_cluster(config, paths)
    security = chosen.pod_security
    sources = issuers.read(paths.authentication) if paths.authentication.exists() else []
    return Settings(
        plugins=frozenset(plugin.name for plugin in enabled(chosen)),
        usual=Policy(enforce=Standard(security.levels.get("enforce", LEVELS[0]))),
        exempt_namespaces=security.exempt_namespaces,
        audit_policy=audit.policy_of(paths),
        issuers=[source.issuer.url for source in sources],
        sealed_by=encryption.of_cluster(paths).ciphers(kinds.SECRET.prefix)[0].header.decode(),
    )


# --- files and processes ---


def _files(paths: ClusterPaths) -> Iterator[File]:
    """The cluster's own; not what its nodes keep for their pods."""
    own = [paths.home, paths.pki, paths.logs, paths.store.parent]
    inside = [file for folder in own for file in sorted(folder.iterdir())]
    for path in dict.fromkeys((*own, *inside)):
        # A file that is written anew is a temporary one first.
        with contextlib.suppress(FileNotFoundError):
            status = path.lstat()
            name = "/".join(path.relative_to(paths.home).parts)
            yield File(name, status.st_mode & 0o7777, status.st_uid)


def _listeners(paths: ClusterPaths) -> list[str] | None:
    names = paths.load().server_names
    found = [one for one in recorded(paths.processes) if one.role in names and one.alive]
    return listeners(found[0].pid) if found else None


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


async def _differs(file: Path, before: int, clock: Clock) -> bool:
    """Whether a file grows, or is turned over, soon."""
    deadline = clock.monotonic() + _LOG_PATIENCE_S
    while _size(file) == before and clock.monotonic() < deadline:
        await clock.sleep(_LOOK_S)
    return _size(file) != before


# --- what the administrator sees ---


async def _objects(client: Client) -> dict[Kind, list[Doc]]:
    found: dict[Kind, list[Doc]] = {}
    for kind, fields in _LISTED:
        listing = await client.list(kind, fields=fields)
        found.setdefault(kind, []).extend(listing.items)
    return found


class _As(NamedTuple):
    """Of whom is asked what he may."""

    user: str
    groups: list[str]


async def _reviews(node: str, client: Client) -> dict[str, Review]:
    nobody, somebody = _As("nobody", []), _As("nobody", ["system:authenticated"])
    agent = _As(f"system:node:{node}", ["system:nodes", "system:authenticated"])
    group, reviews = "authorization.k8s.io", "selfsubjectaccessreviews"
    asked: dict[str, tuple[_As, Doc]] = {
        NOBODY_MAY: (nobody, {"verb": "list", "resource": "secrets"}),
        SELF_REVIEW: (somebody, {"verb": "create", "group": group, "resource": reviews}),
        NODE_ITSELF: (agent, {"verb": "get", "resource": "nodes", "name": node}),
        NODE_FOREIGN_SECRET: (
            agent, {"verb": "get", "resource": "secrets", "namespace": "a", "name": "foreign"},
        ),
    }  # fmt: skip
    return {what: await _review(client, who, wish) for what, (who, wish) in asked.items()}


async def _review(client: Client, who: _As, wish: Doc) -> Review:
    kind = kinds.SUBJECT_ACCESS_REVIEW
    spec = {"user": who.user, "groups": who.groups, "resourceAttributes": wish}
    doc = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {}, "spec": spec}
    status = (await client.write(Create(kind, doc)))["status"]
    return Review(status["allowed"], status.get("reason", ""))


# --- doors ---


def _doors(
    config: ClusterConfig, paths: ClusterPaths, clock: Clock, say: Say
) -> tuple[Door, list[Node] | None]:
    """The API server's and the nodes', with what they did when they should have refused."""
    with tries.foreigner(clock) as foreign:
        say("what the server refuses")
        place = Place("127.0.0.1", config.port, paths.pki / "ca.crt")
        admin = Pair.named(paths.pki, "admin")
        api = asyncio.run(tries.tried(place, tries.at_api(admin, foreign)))
        say("what the nodes refuse")
        return api, _nodes(config, paths, foreign)


def _nodes(config: ClusterConfig, paths: ClusterPaths, foreign: Pair) -> list[Node] | None:
    if config.hollow:
        return []
    if os.geteuid() != 0:
        return None
    return [_node(paths, net.name, net.lan_ip, foreign) for net in node_nets(config)]


def _node(paths: ClusterPaths, name: str, address: str, foreign: Pair) -> Node:
    make = partial(socket_in, lan_namespace(paths))
    place = Place(address, NODE_API_PORT, paths.pki / "ca.crt", make)
    filters = in_force(node_namespace(paths, name))
    if not handshakes.listens(place):
        return Node(name, None, filters=filters)
    own = Pair.named(paths.pki, f"{name}-client")
    door = asyncio.run(tries.tried(place, tries.at_node(own, foreign)))
    read_only = Place(address, _READ_ONLY_PORT, place.authority, make)
    return Node(name, door, handshakes.listens(read_only), filters)
