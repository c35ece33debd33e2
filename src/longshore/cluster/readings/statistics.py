"""What nodes use: real ones are asked, hollow ones are said to use what annotations say, else a share of
what is requested.

longshore.io/hollow-cpu and longshore.io/hollow-memory are quantities. On a pod they are its own use, in
equal parts of its containers; on what controls it (a Deployment, a StatefulSet, a Job...) the use of all
that runs of it, in equal parts of its pods, as a load is that comes from outside. A quantity that is none
counts as not given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from longshore.base import quantities
from longshore.base.clock import Clock, rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.errors import Unavailable
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.pod_requests import amount
from longshore.core.registry.registry import Registry
from longshore.core.streams.protocols import Ask, Streams
from longshore.core.watch.cache import Cache
from longshore.core.watch.stored import Stored
from longshore.machinery.controllers.common import owners

_PATH = "/stats/summary?only_cpu_and_memory=true"
_ANSWER_MAX_BYTES = 16 * 1024 * 1024
# A hollow container uses half of its requests, and at least a thousandth of a CPU and 1 MiB.
_SHARE = 2
_CPU_MIN_NS = 1_000_000
_MEMORY_MIN_BYTES = 1 << 20
_WINDOW_S = 10.0
_CPU, _MEMORY = "longshore.io/hollow-cpu", "longshore.io/hollow-memory"


class NodeStatistics:
    """Asks the nodes' own API."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def stats(self, node: str) -> dict[str, Any]:
        headers = (("Host", node), ("Content-Length", "0"))
        answer = await self._streams.ask_node(node, Ask("GET", _PATH, headers))
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

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._known: dict[str, dict[Stored, _Pod | None]] = {}

    async def stats(self, node: str) -> dict[str, Any]:
        time = rfc3339(self._clock.now())
        loads = _Loads(self._registry.cache)
        running = [pod for pod in self._read(node).values() if pod is not None]
        pods = [pod.figures(loads.of(pod), time) for pod in running]
        each = [container for pod in pods for container in pod["containers"]]
        cores = sum(one["cpu"]["usageNanoCores"] for one in each)
        memory = sum(one["memory"]["workingSetBytes"] for one in each)
        return {"node": {"nodeName": node, **_figures(time, cores, memory)}, "pods": pods}

    def _read(self, node: str) -> Mapping[Stored, _Pod | None]:
        """What its pods are, None for one that does not run. Whoever looks every minute decodes only
        those that changed since."""
        cache, known = self._registry.cache, self._known.pop(node, {})
        if len(self._known) >= len(cache.shelf(kinds.NODE)):  # some of them are gone
            self._known.clear()
        found = cache.shelf(kinds.POD).found(("node", node))
        read = {one: known[one] if one in known else _pod_of(one.glance()) for one in found}
        self._known[node] = read
        return read


def is_running(pod: Doc) -> bool:
    return (pod.get("status") or {}).get("phase") == "Running"


@dataclass(frozen=True, slots=True)
class _Load:
    """What a pod is said to use, in billionths of a core and bytes; None: nothing is said."""

    cores_ns: int | None
    memory: int | None


class _Loads:
    """Looks up what is said of pods, once for all that one thing controls."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._shares: dict[str, _Load] = {}

    def of(self, pod: _Pod) -> _Load:
        if pod.said is not None:
            return pod.said
        controller = self._controlling(pod.ref["namespace"], pod.controller)
        return _Load(None, None) if controller is None else self._share(*controller)

    def _share(self, kind: Kind, controller: Doc) -> _Load:
        uid = controller["metadata"]["uid"]
        if uid not in self._shares:
            said = _said(controller)
            count = 1 if said is None else self._running(kind, uid)
            self._shares[uid] = _divided(said or _Load(None, None), count)
        return self._shares[uid]

    def _controlling(self, namespace: str, reference: Doc | None) -> tuple[Kind, Doc] | None:
        """The topmost: of a ReplicaSet, its Deployment."""
        kind = kinds.KINDS.named(reference["apiVersion"], reference["kind"]) if reference else None
        if reference is None or kind is None:
            return None
        found = self._cache.get(kind, namespace, reference["name"])
        if found is None or found["metadata"]["uid"] != reference["uid"]:
            return None
        return self._controlling(namespace, owners.controller(found)) or (kind, found)

    def _running(self, kind: Kind, uid: str) -> int:
        """How many pods run of something."""
        pods = self._cache.indexed(kinds.POD, "owner", uid)
        if kind is kinds.DEPLOYMENT:
            for one in self._cache.indexed(kinds.REPLICA_SET, "owner", uid):
                pods += self._cache.indexed(kinds.POD, "owner", one["metadata"]["uid"])
        return max(1, sum(map(is_running, pods)))


def _said(doc: Doc) -> _Load | None:
    annotations = doc["metadata"].get("annotations") or {}
    if _CPU not in annotations and _MEMORY not in annotations:
        return None
    try:
        return _Load(_amount(annotations, _CPU, 10**9), _amount(annotations, _MEMORY, 1))
    except ValueError:
        return None


def _amount(annotations: Mapping[str, str], name: str, scale: int) -> int | None:
    if name not in annotations:
        return None
    return max(0, int(quantities.parse(annotations[name]) * scale))


def _divided(load: _Load, by: int) -> _Load:
    return _Load(
        None if load.cores_ns is None else load.cores_ns // by,
        None if load.memory is None else load.memory // by,
    )


@dataclass(frozen=True, slots=True)
class _Pod:
    """What of a pod says what it uses: a load of its own, else one that its controller has, else what
    each of its containers asks for, (name, billionths of a core, bytes)."""

    ref: Doc
    said: _Load | None
    controller: Doc | None
    asked: tuple[tuple[str, int, int], ...]

    def figures(self, load: _Load, time: str) -> Doc:
        share = _divided(load, len(self.asked))
        containers = []
        for name, cores, memory in self.asked:
            cores = cores if share.cores_ns is None else share.cores_ns
            memory = memory if share.memory is None else share.memory
            containers.append({"name": name, **_figures(time, cores, memory)})
        return {"podRef": self.ref, "containers": containers}


def _pod_of(doc: Doc) -> _Pod | None:
    if not is_running(doc):
        return None
    metadata, containers = doc["metadata"], doc["spec"]["containers"]
    ref = {key: metadata[key] for key in ("name", "namespace", "uid")}
    return _Pod(ref, _said(doc), owners.controller(doc), tuple(map(_asked, containers)))


def _asked(container: Doc) -> tuple[str, int, int]:
    requests = (container.get("resources") or {}).get("requests") or {}
    cores = amount("cpu", requests.get("cpu", 0)) * 1_000_000 // _SHARE
    memory = amount("memory", requests.get("memory", 0)) // _SHARE
    return container["name"], max(cores, _CPU_MIN_NS), max(memory, _MEMORY_MIN_BYTES)


def _figures(time: str, cores_ns: int, memory: int) -> Doc:
    return {
        "cpu": {"time": time, "usageNanoCores": cores_ns, "windowSeconds": _WINDOW_S},
        "memory": {
            "time": time, "usageBytes": memory, "workingSetBytes": memory, "rssBytes": memory,
        },
    }  # fmt: skip
