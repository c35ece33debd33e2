"""metrics.k8s.io/v1beta1: what nodes and pods use now, as `kubectl top` and autoscalers ask.

Answered from what the nodes say when they are asked, so there is no scraping while nobody looks. A
node that keeps silent is left out, as metrics-server leaves it out
(kubernetes-sigs/metrics-server, pkg/api).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from longshore.base import quantities
from longshore.base.clock import Clock, rfc3339
from longshore.base.durations import duration
from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.columns import printer
from longshore.core.objects.errors import MethodNotAllowed, NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.reads import Filter, ListOptions
from longshore.core.registry.registry import Registry
from longshore.core.streams.samples import NodeSample, PodSample, Samples, Use
from longshore.doors.kit.http import Reply, Request
from longshore.doors.kubernetes import translate
from longshore.doors.kubernetes.listing import view_of
from longshore.doors.kubernetes.media import As
from longshore.doors.kubernetes.rendering import META, View, encode, metadata_only, table
from longshore.doors.kubernetes.requested import wish_of
from longshore.doors.kubernetes.translate import Target, flag

_ABOUT: Mapping[Kind, Kind] = {kinds.NODE_METRICS: kinds.NODE, kinds.POD_METRICS: kinds.POD}


class Metrics:
    """The group metrics.k8s.io."""

    def __init__(self, registry: Registry, samples: Samples, clock: Clock) -> None:
        self._registry = registry
        self._permission = registry.permission
        self._samples = samples
        self._clock = clock

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
        return Reply(200, shown(view, target, found), view.media)

    def _chosen(self, target: Target, options: ListOptions) -> Iterator[Doc]:
        """The nodes or pods that are asked about."""
        kind = _ABOUT[target.kind]
        if target.name:
            doc = self._registry.cache.get(kind, target.namespace, target.name)
            if doc is not None:
                yield doc
            return
        chosen = Filter(kind, target.namespace, options)
        yield from (
            s.doc for s in self._registry.cache.shelf(kind).range(chosen.prefix) if chosen(s)
        )

    async def _measured(self, kind: Kind, docs: list[Doc]) -> Iterable[Doc]:
        if kind is kinds.NODE_METRICS:
            nodes = await self._samples.of_nodes({doc["metadata"]["name"] for doc in docs})
            return filter(None, (node_metrics(d, nodes.get(d["metadata"]["name"])) for d in docs))
        placed = [doc for doc in docs if doc["spec"].get("nodeName")]
        nodes = await self._samples.of_nodes({doc["spec"]["nodeName"] for doc in placed})
        pods = {uid: pod for node in nodes.values() for uid, pod in node.pods.items()}
        return filter(None, (pod_metrics(d, pods.get(d["metadata"]["uid"])) for d in placed))


def shown(view: View, target: Target, found: list[Doc]) -> bytes:
    """What was asked for of what is stored nowhere: one, or a list. Those that are found do not say their
    kind and version. Raises NotFound."""
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


def node_metrics(node: Doc, sample: NodeSample | None) -> Doc | None:
    """NodeMetrics without kind and version; None if the node has not said what it uses."""
    if sample is None or sample.use is None:
        return None
    return {**_frame(node, sample.at, sample.window_s), "usage": _usage(sample.use)}


def pod_metrics(pod: Doc, sample: PodSample | None) -> Doc | None:
    """PodMetrics without kind and version; None if nothing of the pod was measured."""
    if sample is None:
        return None
    each = [{"name": name, "usage": _usage(use)} for name, use in sample.containers.items()]
    return {**_frame(pod, sample.at, sample.window_s), "containers": each}


def _frame(doc: Doc, at: float, window_s: float) -> Doc:
    metadata, time = doc["metadata"], rfc3339(at)
    shown = {key: metadata[key] for key in ("name", "namespace", "labels") if metadata.get(key)}
    return {
        "metadata": {**shown, "creationTimestamp": time},
        "timestamp": time,
        "window": duration(window_s),
    }


def _usage(use: Use) -> Doc:
    cpu, memory = f"{use.cpu_ns}n", f"{-(-use.memory_bytes // 1024)}Ki"
    return {"cpu": quantities.canonical(cpu), "memory": quantities.canonical(memory)}
