"""What nodes use: real ones are asked, hollow ones are said to use a share of what is requested."""

from __future__ import annotations

from typing import Any

import orjson

from longshore.base import quantities
from longshore.base.clock import Clock, rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.errors import Unavailable
from longshore.core.objects.kinds import Doc
from longshore.core.streams.protocols import Ask, Streams
from longshore.core.watch.cache import Cache

_ANSWER_MAX_BYTES = 16 * 1024 * 1024
# A hollow container uses half of its requests, and at least a thousandth of a CPU and 1 MiB.
_SHARE = 2
_CPU_MIN_NS = 1_000_000
_MEMORY_MIN_BYTES = 1 << 20
_WINDOW_S = 10.0


class NodeStatistics:
    """Asks the nodes' own API."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def stats(self, node: str) -> dict[str, Any]:
        headers = (("Host", node), ("Content-Length", "0"))
        answer = await self._streams.ask_node(node, Ask("GET", "/stats/summary", headers))
        try:
            body = b""
            while piece := await answer.read():
                body += piece
                if len(body) > _ANSWER_MAX_BYTES:
                    raise Unavailable(f"node {node} says too much of what it uses")
        except ConnectionError as error:
            raise Unavailable(f"node {node} cannot be reached: {error}") from error
        finally:
            answer.close()
        if answer.status != 200:
            raise Unavailable(f"node {node} answered {answer.status}")
        summary: dict[str, Any] = orjson.loads(body)
        return summary


class HollowStatistics:
    """Numbers for nodes that run nothing, so that what reads numbers can be tried."""

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock

    async def stats(self, node: str) -> dict[str, Any]:
        time = rfc3339(self._clock.now())
        placed = self._cache.indexed(kinds.POD, "node", node)
        running = [pod for pod in placed if (pod.get("status") or {}).get("phase") == "Running"]
        pods = [_pod(pod, time) for pod in running]
        each = [container for pod in pods for container in pod["containers"]]
        cores = sum(one["cpu"]["usageNanoCores"] for one in each)
        memory = sum(one["memory"]["workingSetBytes"] for one in each)
        return {"node": {"nodeName": node, **_figures(time, cores, memory)}, "pods": pods}


def _pod(pod: Doc, time: str) -> Doc:
    metadata = pod["metadata"]
    return {
        "podRef": {key: metadata[key] for key in ("name", "namespace", "uid")},
        "containers": [_container(one, time) for one in pod["spec"]["containers"]],
    }


def _container(container: Doc, time: str) -> Doc:
    requests = (container.get("resources") or {}).get("requests") or {}
    cores = quantities.millis(requests.get("cpu", 0)) * 1_000_000 // _SHARE
    memory = quantities.whole(requests.get("memory", 0)) // _SHARE
    figures = _figures(time, max(cores, _CPU_MIN_NS), max(memory, _MEMORY_MIN_BYTES))
    return {"name": container["name"], **figures}


def _figures(time: str, cores_ns: int, memory: int) -> Doc:
    return {
        "cpu": {"time": time, "usageNanoCores": cores_ns, "windowSeconds": _WINDOW_S},
        "memory": {
            "time": time, "usageBytes": memory, "workingSetBytes": memory, "rssBytes": memory,
        },
    }  # fmt: skip
