"""`longshore server`: one server of a cluster, in the foreground, on a machine of its own.

Its directory has what a cluster made by `up` has. Servers that share an etcd share two things besides:
the authority and keys (pki/), and the keys of what is encrypted (encryption.yaml).
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from longshore.base.addresses import API_PORT
from longshore.base.files import write_private
from longshore.cluster import stores
from longshore.cluster.config import (
    ClusterConfig,
    ClusterError,
    ClusterPaths,
    StoreConfig,
    check_name,
    default_root,
)
from longshore.cluster.host.processes import record, recorded
from longshore.cluster.server import run as server
from longshore.cluster.server.certified import certify_server
from longshore.cluster.settings import encryption, scheduling
from longshore.core.store.protocol import StoreError

_RECORD = "server"


@dataclass(frozen=True, slots=True)
class ServerRequest:
    """What the command line asked for; None, and no addresses, is as it was at the last start. addresses are those of
    this machine at which others reach the server, besides 127.0.0.1."""

    name: str = "default"
    root: Path | None = None
    port: int | None = None
    addresses: tuple[str, ...] = ()
    store: StoreConfig | None = None
    encryption_config: Path | None = None
    scheduler_config: Path | None = None


def serve(request: ServerRequest) -> None:
    """Be a server until SIGTERM or SIGINT. Raises ClusterError."""
    paths = ClusterPaths((request.root or default_root()).absolute(), check_name(request.name))
    _check_addresses(request.addresses)
    if any(one.alive for one in recorded(paths.processes)):
        raise ClusterError(
            f"{request.name!r} is running: longshore stop --name {request.name} first"
        )
    if paths.restoring.exists():
        raise ClusterError(
            f"{request.name!r} is half restored, from {paths.restoring.read_text()}: "
            "longshore restore that file again"
        )
    config = _config(request, paths)
    if request.encryption_config is not None:
        encryption.read(request.encryption_config)
    if request.scheduler_config is not None:
        scheduling.read(request.scheduler_config)
    else:
        scheduling.profiles_of(paths)
    _refuse_strangers(config, paths)
    listeners = list(_listeners(config))
    paths.create()
    if request.encryption_config is not None:
        write_private(paths.encryption, request.encryption_config.read_bytes())
    if request.scheduler_config is not None:
        write_private(paths.scheduler, request.scheduler_config.read_bytes())
    paths.save(config)
    certify_server(config, paths, config.addresses)
    record(_RECORD, paths.processes)
    server.main(config, paths, server.Place(_RECORD, listeners, sys.stdout.fileno()))


def _config(request: ServerRequest, paths: ClusterPaths) -> ClusterConfig:
    if paths.config.exists():
        there = paths.load()
        if not there.hollow or there.shared:
            raise ClusterError(
                f"{request.name!r} has its nodes on this machine: longshore start --name {request.name}"
            )
    else:
        there = ClusterConfig(request.name, 0, "hollow", "none", API_PORT)
    port = there.port if request.port is None else request.port
    store = there.store if request.store is None else request.store
    addresses = request.addresses or there.addresses
    return replace(there, nodes=0, port=port, store=store, addresses=addresses)


def _refuse_strangers(config: ClusterConfig, paths: ClusterPaths) -> None:
    """A new authority would be nobody's in a cluster that is there already."""
    if not config.store.address or (paths.pki / "ca.key").exists():
        return
    found: list[str] = []
    try:
        stores.contents(config, paths, lambda key, value, revision: found.append(key))
    except StoreError as error:
        raise ClusterError(str(error)) from None
    if found:
        raise ClusterError(
            f"{config.store.address} has the {len(found)} objects of a cluster: copy pki/ and "
            f"encryption.yaml from the directory of a server of it to {paths.home}, "
            "for they share authority and keys"
        )


def _check_addresses(addresses: tuple[str, ...]) -> None:
    for address in addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise ClusterError(f"--address {address}: want an IP address of this machine") from None


def _listeners(config: ClusterConfig) -> Iterator[socket.socket]:
    for address in dict.fromkeys(("127.0.0.1", *config.addresses)):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            yield socket.create_server((address, config.port), family=family, backlog=1024)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            raise ClusterError(f"port {config.port} on {address} cannot be had: {why}") from None
