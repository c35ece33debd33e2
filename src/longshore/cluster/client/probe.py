"""Ask a running server, from outside, whether its nodes are ready."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import orjson

from longshore.base.clock import SystemClock
from longshore.cluster.config import ClusterConfig, ClusterPaths, Unready
from longshore.core.pki.pairs import Pair
from longshore.core.pki.tls import client_context

_PAUSE_S = 0.05


def await_nodes(config: ClusterConfig, paths: ClusterPaths, wait_s: float) -> None:
    """Return when as many nodes as the cluster has are Ready. Raises Unready."""
    asyncio.run(_await_nodes(config, paths, wait_s))


async def _await_nodes(config: ClusterConfig, paths: ClusterPaths, wait_s: float) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + wait_s
    context = client_context(
        Pair(paths.pki / "admin.crt", paths.pki / "admin.key"), paths.pki / "ca.crt"
    )
    while ready_nodes(config, context) < config.nodes:
        if clock.monotonic() > deadline:
            raise Unready(
                f"not all nodes are Ready after {wait_s:g} s; the reason should be in {paths.logs}"
            )
        await clock.sleep(_PAUSE_S)


def ready_nodes(config: ClusterConfig, context: ssl.SSLContext) -> int:
    """How many nodes are Ready; 0 while the server cannot be reached."""
    import http.client  # half a megabyte, of which agents that are forked later would have a copy

    connection = http.client.HTTPSConnection("127.0.0.1", config.port, context=context, timeout=5)
    try:
        connection.request("GET", "/api/v1/nodes")
        answer: dict[str, Any] = orjson.loads(connection.getresponse().read())
    except (OSError, orjson.JSONDecodeError):
        return 0
    finally:
        connection.close()
    return sum(is_ready(node) for node in answer.get("items", []))


def is_ready(node: dict[str, Any]) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
