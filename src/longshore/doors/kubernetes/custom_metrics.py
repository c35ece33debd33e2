"""custom.metrics.k8s.io/v1beta2 and external.metrics.k8s.io/v1beta1: what pods say of themselves in Prometheus'
format, as autoscalers ask for it.

Source of the forms: k8s.io/metrics pkg/apis/{custom_metrics/v1beta2,external_metrics/v1beta1}; of the paths and
refusals kubernetes-sigs/custom-metrics-apiserver. A metric of a pod is the sum of its series, that of another
object the sum of the namespace's series that have its kind as a label, that of a namespace the sum of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from longshore.base import quantities
from longshore.base.clock import rfc3339
from longshore.core.objects import kinds, selectors
from longshore.core.objects.errors import NotFound
from longshore.core.objects.kinds import Doc, Kind, Kinds
from longshore.core.objects.selectors import Selector
from longshore.core.registry.registry import Registry
from longshore.core.streams.series import Exposed, Series, describing
from longshore.doors.kit.http import Reply, Request
from longshore.doors.kubernetes.documents import only_get
from longshore.doors.kubernetes.media import negotiate
from longshore.doors.kubernetes.rendering import encode

CUSTOM, EXTERNAL = "custom.metrics.k8s.io", "external.metrics.k8s.io"
VERSIONS = {CUSTOM: "v1beta2", EXTERNAL: "v1beta1"}
_ALL = "*"
_NO_NAMESPACE = (
    "metrics of objects without a namespace are not served: what pods say of themselves is known to "
    "their own namespace alone"
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A path of custom.metrics.k8s.io: one object or all of a kind, and a metric."""

    namespace: str
    kind: Kind
    name: str
    metric: str


class CustomMetrics:
    """Both groups. Whether somebody may read them is asked before, as of any path."""

    def __init__(self, registry: Registry, exposed: Exposed, known: Kinds) -> None:
        self._registry = registry
        self._exposed = exposed
        self._known = known

    async def answer(self, request: Request) -> Reply | None:
        """None if the path is none of these groups' metrics. Raises NotFound, BadRequest."""
        parts = request.path.strip("/").split("/")
        if parts[0] != "apis" or len(parts) <= 3 or VERSIONS.get(parts[1]) != parts[2]:
            return None
        only_get(request)
        answering = self._external if parts[1] == EXTERNAL else self._custom
        doc = await answering(request, parts[3:])
        media, _ = negotiate(request.headers.get("accept", ""))
        return Reply(200, encode(doc, media), media)

    def resources(self, group: str) -> list[Doc]:
        """What discovery lists: metrics that were heard of lately."""
        if group == EXTERNAL:
            kind = "ExternalMetricValueList"
            return [_resource(name, kind) for name in self._exposed.known()]
        each = ((of, name) for name in self._exposed.known() for of in ("namespaces", "pods"))
        return [_resource(f"{of}/{name}", "MetricValueList") for of, name in each]

    # --- custom

    async def _custom(self, request: Request, parts: list[str]) -> Doc:
        asked = self._asked(parts)
        chosen = _selector(request, "metricLabelSelector")
        if asked.kind is kinds.POD:
            found = await self._of_pods(asked, _selector(request, "labelSelector"), chosen)
        else:
            series = await self._exposed.of_namespace(asked.namespace, asked.metric)
            about = _chosen(series, chosen)
            found = _by_object(asked, about)
        if not found:
            raise _unknown(asked)
        shown = request.param("metricLabelSelector")
        return {
            "kind": "MetricValueList",
            "apiVersion": f"{CUSTOM}/{VERSIONS[CUSTOM]}",
            "metadata": {},
            "items": [_value(asked, name, each, shown) for name, each in sorted(found.items())],
        }

    def _asked(self, parts: list[str]) -> _Asked:
        match parts:
            case ["namespaces", namespace, "metrics", metric]:
                return _Asked(namespace, kinds.NAMESPACE, namespace, metric)
            case ["namespaces", namespace, resource, name, metric]:
                return _Asked(namespace, self._kind(resource), name, metric)
            case [resource, _, _] if resource != "namespaces":
                raise NotFound(_NO_NAMESPACE)
        raise NotFound("the server could not find the requested resource")

    def _kind(self, resource: str) -> Kind:
        """RESOURCE or RESOURCE.GROUP, as upstream's clients write it."""
        plural, _, group = resource.partition(".")
        for kind in self._known:
            if kind.plural == plural and kind.namespaced and group in ("", kind.group):
                return kind
        raise NotFound(f"the server could not find the resource {resource}")

    async def _of_pods(
        self, asked: _Asked, labels: Selector | None, chosen: Selector | None
    ) -> dict[str, list[Series]]:
        names = [asked.name]
        if asked.name == _ALL:
            pods = self._registry.cache.indexed(kinds.POD, "exposed", asked.namespace)
            names = [
                pod["metadata"]["name"]
                for pod in pods
                if labels is None or labels.matches(pod["metadata"].get("labels"))
            ]
        series = await self._exposed.of_pods(asked.namespace, names, asked.metric)
        found: dict[str, list[Series]] = {}
        for one in _chosen(series, chosen):
            found.setdefault(one.pod, []).append(one)
        return found

    # --- external

    async def _external(self, request: Request, parts: list[str]) -> Doc:
        match parts:
            case ["namespaces", namespace, metric]:
                series = await self._exposed.of_namespace(namespace, metric)
            case _:
                raise NotFound("the server could not find the requested resource")
        found: dict[tuple[tuple[str, str], ...], list[Series]] = {}
        for one in _chosen(series, _selector(request, "labelSelector")):
            found.setdefault(tuple(sorted(one.labels.items())), []).append(one)
        return {
            "kind": "ExternalMetricValueList",
            "apiVersion": f"{EXTERNAL}/{VERSIONS[EXTERNAL]}",
            "metadata": {},
            "items": [_external_value(metric, each) for _, each in sorted(found.items())],
        }


def _resource(name: str, kind: str) -> Doc:
    return {
        "name": name, "singularName": "", "namespaced": True, "kind": kind, "verbs": ["get"],
    }  # fmt: skip


def _selector(request: Request, parameter: str) -> Selector | None:
    text = request.param(parameter)
    return selectors.parse_labels(text) if text else None


def _chosen(series: Iterable[Series], selector: Selector | None) -> list[Series]:
    return [one for one in series if selector is None or selector.matches(one.labels)]


def _by_object(asked: _Asked, series: Sequence[Series]) -> dict[str, list[Series]]:
    singular = asked.kind.singular
    if asked.name != _ALL:
        about = describing(series, singular, asked.name)
        return {asked.name: about} if about else {}
    names = {one.labels[singular] for one in series if singular in one.labels}
    return {name: describing(series, singular, name) for name in names}


def _unknown(asked: _Asked) -> NotFound:
    """custom-metrics-apiserver, pkg/provider/errors.go."""
    which = asked.kind.resource if asked.name == _ALL else f"{asked.kind.resource} {asked.name}"
    return NotFound(f"the server could not find the metric {asked.metric} for {which}")


def _value(asked: _Asked, name: str, series: Sequence[Series], selector: str) -> Doc:
    metric: Doc = {"name": asked.metric}
    if selector:
        metric["selector"] = {"matchLabels": dict(selectors.parse_labels(selector).exact)}
    about = {"kind": asked.kind.name, "namespace": asked.namespace, "name": name}
    if asked.kind is kinds.NAMESPACE:
        del about["namespace"]
    return {
        "describedObject": {**about, "apiVersion": asked.kind.api_version},
        "metric": metric,
        "timestamp": rfc3339(min(one.at for one in series)),
        "windowSeconds": round(max(one.window_s for one in series)),
        "value": _sum(series),
    }


def _external_value(metric: str, series: Sequence[Series]) -> Doc:
    return {
        "metricName": metric,
        "metricLabels": dict(series[0].labels),
        "timestamp": rfc3339(min(one.at for one in series)),
        "window": round(max(one.window_s for one in series)),
        "value": _sum(series),
    }


def _sum(series: Iterable[Series]) -> str:
    return quantities.text(Fraction(sum(one.milli for one in series), 1000))
