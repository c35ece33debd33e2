"""metrics.k8s.io/v1beta1: what nodes and pods use now, as `kubectl top` and autoscalers ask.

Answered from what the nodes say when they are asked, so there is no scraping while nobody looks. A
node that keeps silent is left out, as metrics-server leaves it out
(kubernetes-sigs/metrics-server, pkg/api).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from longshore.base.clock import Clock
from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.columns import printer
from longshore.core.objects.errors import ApiError, MethodNotAllowed, NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.reads import Filter, ListOptions
from longshore.core.registry.registry import Registry
from longshore.core.streams.statistics import Statistics
from longshore.doors.kit.http import Reply, Request
from longshore.doors.kubernetes import translate
from longshore.doors.kubernetes.listing import view_of
from longshore.doors.kubernetes.media import As
from longshore.doors.kubernetes.rendering import META, View, encode, metadata_only, table
from longshore.doors.kubernetes.requested import wish_of
from longshore.doors.kubernetes.translate import Target, flag

# An answer is good for this long; a node has this long to give one; so many are asked at once.
_FRESH_S = 10.0
_PATIENCE_S = 3.0
_AT_ONCE = 32
_ABOUT: Mapping[Kind, Kind] = {kinds.NODE_METRICS: kinds.NODE, kinds.POD_METRICS: kinds.POD}


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a node said at a moment; None if nothing."""

    at: float
    summary: Doc | None


class Metrics:
    """The group metrics.k8s.io."""

    def __init__(self, registry: Registry, statistics: Statistics, clock: Clock) -> None:
        self._cache = registry.cache
        self._permission = registry.permission
        self._statistics = statistics
        self._clock = clock
        self._answers: dict[str, _Answer] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def answer(self, request: Request, target: Target, who: User) -> Reply:
        """GET of one, or of all that selectors choose."""
        wish = wish_of(request, target)
        self._permission.check(who, wish, target.kind)
        watching = flag(request.query, "watch")
        if watching or request.method not in ("GET", "HEAD"):
            verb = "watch" if watching else request.method
            raise MethodNotAllowed(
                f"the server does not allow {verb} on {target.kind.resource}", kind=target.kind
            )
        if target.subresource:
            raise NotFound("the server could not find the requested resource")
        view = view_of(request, self._clock)
        about = list(self._chosen(target, translate.list_options(request)))
        found = list(await self._measured(target.kind, about))
        return Reply(200, _shown(view, target, found), view.media)

    def _chosen(self, target: Target, options: ListOptions) -> Iterator[Doc]:
        """The nodes or pods that are asked about."""
        kind = _ABOUT[target.kind]
        if target.name:
            doc = self._cache.get(kind, target.namespace, target.name)
            if doc is not None:
                yield doc
            return
        chosen = Filter(kind, target.namespace, options)
        yield from (s.doc for s in self._cache.shelf(kind).range(chosen.prefix) if chosen(s))

    async def _measured(self, kind: Kind, docs: list[Doc]) -> Iterable[Doc]:
        if kind is kinds.NODE_METRICS:
            said = await self._ask({doc["metadata"]["name"] for doc in docs})
            return filter(None, (node_metrics(d, said.get(d["metadata"]["name"])) for d in docs))
        placed = [doc for doc in docs if doc["spec"].get("nodeName")]
        said = await self._ask({doc["spec"]["nodeName"] for doc in placed})
        pods = {pod["podRef"]["uid"]: pod for one in said.values() for pod in one["pods"]}
        return filter(None, (pod_metrics(d, pods.get(d["metadata"]["uid"])) for d in placed))

    async def _ask(self, nodes: set[str]) -> dict[str, Doc]:
        """What those nodes say, or said a moment ago. The silent are left out."""
        now = self._clock.now()
        for name, answer in list(self._answers.items()):
            if now - answer.at >= _FRESH_S:
                del self._answers[name]
        async with asyncio.TaskGroup() as crew:
            for name in nodes - self._answers.keys():
                crew.create_task(self._ask_one(name))
        known = {name: self._answers[name].summary for name in nodes if name in self._answers}
        return {name: summary for name, summary in known.items() if summary is not None}

    async def _ask_one(self, node: str) -> None:
        async with self._slots, asyncio.TaskGroup() as crew:
            asking = crew.create_task(self._summary(node))
            waiting = crew.create_task(self._clock.sleep(_PATIENCE_S))
            await asyncio.wait((asking, waiting), return_when=asyncio.FIRST_COMPLETED)
            summary = asking.result() if asking.done() else None
            asking.cancel()
            waiting.cancel()
        self._answers[node] = _Answer(self._clock.now(), summary)

    async def _summary(self, node: str) -> Doc | None:
        try:
            return await self._statistics.stats(node)
        except (ApiError, OSError):
            return None


def _shown(view: View, target: Target, found: list[Doc]) -> bytes:
    kind = target.kind
    if not target.name:
        return encode(_list(view, kind, found), view.media, pretty=view.pretty)
    if not found:
        qualified = f"{target.namespace}/{target.name}" if target.namespace else target.name
        raise NotFound.of(kind, qualified)
    return view.document(kind, _typed(kind, found[0]))


def _list(view: View, kind: Kind, found: list[Doc]) -> Doc:
    if view.form is As.TABLE:
        form, now = printer(kind), view.now()
        rows = [view.row(form, _typed(kind, doc), now) for doc in found]
        return table([column.definition() for column in form.columns], rows, {})
    if view.form is As.METADATA:
        name, version, found = "PartialObjectMetadataList", META, [*map(metadata_only, found)]
    else:
        name, version = kind.list_name, kind.api_version
    return {"kind": name, "apiVersion": version, "metadata": {}, "items": found}


def _typed(kind: Kind, doc: Doc) -> Doc:
    return {"kind": kind.name, "apiVersion": kind.api_version, **doc}


def node_metrics(node: Doc, summary: Doc | None) -> Doc | None:
    """NodeMetrics without kind and version; None if the node has not said what it uses."""
    figures = (summary or {}).get("node") or {}
    if "cpu" not in figures or "memory" not in figures:
        return None
    return {**_frame(node, figures), "usage": _usage(figures)}


def pod_metrics(pod: Doc, summary: Doc | None) -> Doc | None:
    """PodMetrics without kind and version; None if nothing of the pod was measured."""
    containers = (summary or {}).get("containers")
    if not containers:
        return None
    return {
        **_frame(pod, containers[0]),
        "containers": [{"name": one["name"], "usage": _usage(one)} for one in containers],
    }


def _frame(doc: Doc, figures: Doc) -> Doc:
    metadata, time = doc["metadata"], figures["cpu"]["time"]
    shown = {key: metadata[key] for key in ("name", "namespace", "labels") if metadata.get(key)}
    return {
        "metadata": {**shown, "creationTimestamp": time},
        "timestamp": time,
        "window": duration(figures["cpu"]["windowSeconds"]),
    }


def _usage(figures: Doc) -> Doc:
    kibibytes = -(-figures["memory"]["workingSetBytes"] // 1024)
    return {"cpu": f"{figures['cpu']['usageNanoCores']}n", "memory": f"{kibibytes}Ki"}


def duration(seconds: float) -> str:
    """As Go writes a time.Duration: 9.5s, 1m0s, 2h0m5s."""
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
