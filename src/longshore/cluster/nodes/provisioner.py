"""The process that makes machines for nodes, and ends them, when a server asks: forked from the warm parent of a
cluster, so that another agent costs milliseconds. A server has threads and may be in a namespace of its own; this
has neither.

One question a connection, on a socket in the cluster's directory: a line of JSON, {"add": 2} or
{"remove": ["node-3"]}; the answer is {} or {"error": WHY}.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import orjson

from longshore.cluster.config import ClusterConfig, ClusterError, ClusterPaths
from longshore.cluster.host.process import prepare_process
from longshore.cluster.nodes import roster
from longshore.cluster.nodes.machines import remove_machine
from longshore.machinery.network.errors import NetworkFailure
from longshore.machinery.runtime.protocol import RuntimeFailure

Make: TypeAlias = Callable[[ClusterConfig, ClusterPaths, Sequence[str]], None]
log = logging.getLogger("longshore.provisioner")

# Relative to the cluster's directory, where its processes run: a path to it may be too long for a socket.
SOCKET = "provisioner.sock"
_LINE_MAX = 64 * 1024
_PATIENCE_S = 5.0
_FAILURES = (ClusterError, NetworkFailure, RuntimeFailure, OSError)


async def ask(question: dict[str, Any]) -> str:
    """Have it done; why it was not, empty if it was. For a process of the cluster."""
    try:
        reader, writer = await asyncio.open_unix_connection(SOCKET)
    except OSError as error:
        return f"the provisioner does not answer: {error.strerror}"
    try:
        writer.write(orjson.dumps(question) + b"\n")
        line = await reader.readline()
    except OSError as error:
        return f"the provisioner has ended: {error.strerror}"
    finally:
        writer.close()
    return str(orjson.loads(line).get("error", "")) if line else "the provisioner has ended"


def main(paths: ClusterPaths, make: Make) -> None:
    """Its life, until SIGTERM."""
    prepare_process("longshore-provisioner")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # agents that end leave no zombies
    with contextlib.suppress(FileNotFoundError):
        os.unlink(SOCKET)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(SOCKET)
        os.chmod(SOCKET, 0o600)
        listener.listen()
        while True:
            connection, _ = listener.accept()
            with connection:
                _serve(connection, paths, make)


def _serve(connection: socket.socket, paths: ClusterPaths, make: Make) -> None:
    connection.settimeout(_PATIENCE_S)
    try:
        with connection.makefile("rb") as asked:
            question = orjson.loads(asked.readline(_LINE_MAX))
        answer = _done(question, paths, make)
        connection.sendall(orjson.dumps(answer) + b"\n")
    except (OSError, orjson.JSONDecodeError) as error:
        log.warning("a question was not answered: %s", error)


def _done(question: dict[str, Any], paths: ClusterPaths, make: Make) -> dict[str, str]:
    try:
        if count := question.get("add"):
            _add(int(count), paths, make)
        for name in question.get("remove", ()):
            _remove(str(name), paths)
    except _FAILURES as error:
        log.warning("%s: %s", question, error)
        return {"error": str(error)}
    return {}


def _add(count: int, paths: ClusterPaths, make: Make) -> None:
    before, after = roster.change(paths, partial(_with_more, count=count))
    added = [name for name in after.places if name not in before.places]
    make(after, paths, added)
    log.info("added %s", ", ".join(added))


def _with_more(config: ClusterConfig, count: int) -> ClusterConfig:
    return roster.with_nodes(config, roster.fresh_names(config, count))


def _remove(name: str, paths: ClusterPaths) -> None:
    """The machine first: as long as it is in cluster.json, what is left of it can be found again."""
    config = paths.load()
    if name in config.places:
        remove_machine(config, paths, name)
        roster.change(paths, partial(roster.without_nodes, names=[name]))
        log.info("removed %s", name)
