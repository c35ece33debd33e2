"""Reads what an autoscaler's metrics say now.

Source of the words: pkg/controller/podautoscaler/metrics/client.go, and for metrics that nobody has
custom-metrics-apiserver (pkg/provider/errors.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from longshore.core.objects import selectors
from longshore.core.objects.kinds import Doc, Kinds
from longshore.core.streams.samples import PodSample, Samples, Use
from longshore.core.streams.series import Exposed, Series, describing
from longshore.machinery.controllers.autoscaling.evaluate import PodValues, Reading, Unmeasured
from longshore.machinery.controllers.autoscaling.pods import Pod, Value

_NO_RESOURCES = "no metrics returned from resource metrics API"
_NO_CUSTOM = "unable to fetch metrics from custom metrics API"
_NO_EXTERNAL = "no metrics returned from external metrics API"


class Sources:
    """The readers of a server, asked for one metric at a time. known: the kinds that references mean."""

    def __init__(self, samples: Samples, exposed: Exposed, known: Kinds) -> None:
        self._samples = samples
        self._exposed = exposed
        self.known = known

    async def read(self, metric: Doc, namespace: str, pods: Sequence[Pod]) -> Reading:
        """One entry of spec.metrics. pods are those of the target."""
        if metric["type"] == "Resource":
            return await self._resource(metric["resource"], pods)
        if metric["type"] == "ContainerResource":
            return await self._resource(metric["containerResource"], pods)
        if metric["type"] == "Pods":
            return await self._pods(metric["pods"]["metric"], namespace, pods)
        if metric["type"] == "Object":
            return await self._object(metric["object"], namespace)
        return await self._external(metric["external"]["metric"], namespace)

    async def _resource(self, source: Doc, pods: Sequence[Pod]) -> Reading:
        found = await self._samples.of_nodes({pod.node for pod in pods} - {""})
        uids = {pod.uid for pod in pods}
        samples = [one for node in found.values() for one in node.pods.values() if one.uid in uids]
        if not samples:
            return Unmeasured(_NO_RESOURCES)
        return of_samples(samples, source["name"], source.get("container", ""))

    async def _pods(self, identifier: Doc, namespace: str, pods: Sequence[Pod]) -> Reading:
        name = identifier["name"]
        found = await self._exposed.of_pods(namespace, [pod.name for pod in pods], name)
        values = of_series(_chosen(found, identifier))
        if not values:
            return Unmeasured(f"{_NO_CUSTOM}: the server could not find the metric {name} for pods")
        return values

    async def _object(self, source: Doc, namespace: str) -> Reading:
        of, name = source["describedObject"], source["metric"]["name"]
        kind = self.known.named(of.get("apiVersion") or "v1", of["kind"])
        if kind is None:
            group = (of.get("apiVersion") or "").rpartition("/")[0]
            return Unmeasured(f'no matches for kind "{of["kind"]}" in group "{group}"')
        found = await self._exposed.of_namespace(namespace, name)
        about = describing(_chosen(found, source["metric"]), kind.singular, of["name"])
        if not about:
            missing = (
                f"the server could not find the metric {name} for {kind.resource} {of['name']}"
            )
            return Unmeasured(f"{_NO_CUSTOM}: {missing}")
        return sum(one.milli for one in about)

    async def _external(self, identifier: Doc, namespace: str) -> Reading:
        found = await self._exposed.of_namespace(namespace, identifier["name"])
        chosen = _chosen(found, identifier)
        return sum(one.milli for one in chosen) if chosen else Unmeasured(_NO_EXTERNAL)


def _chosen(series: Iterable[Series], identifier: Doc) -> list[Series]:
    selector = selectors.from_doc(identifier.get("selector"))
    return [one for one in series if selector is None or selector.matches(one.labels)]


def of_samples(samples: Iterable[PodSample], resource: str, container: str) -> Reading:
    """By pod: what all its containers use together, or one of them."""
    values: dict[str, Value] = {}
    for sample in samples:
        if container and container not in sample.containers:
            where = f"{sample.namespace}/{sample.name}"
            return Unmeasured(f"container {container} not present in metrics for pod {where}")
        uses = [sample.containers[container]] if container else sample.containers.values()
        if resource in ("cpu", "memory"):
            used = sum(_milli(use, resource) for use in uses)
            values[sample.name] = Value(used, sample.at, sample.window_s)
    return values


def _milli(use: Use, resource: str) -> int:
    return -(-use.cpu_ns // 1_000_000) if resource == "cpu" else use.memory_bytes * 1000


def of_series(series: Iterable[Series]) -> PodValues:
    """By pod: the sum of its series."""
    values: dict[str, Value] = {}
    for one in series:
        before = values.get(one.pod)
        total = one.milli + (before.milli if before else 0)
        values[one.pod] = Value(total, one.at, one.window_s)
    return values
