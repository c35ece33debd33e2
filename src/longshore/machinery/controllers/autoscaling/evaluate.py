"""What each metric of an autoscaler's spec asks for, and how its status shows it. Pure.

Source: pkg/controller/podautoscaler/horizontal.go (computeStatusFor...Metric), whose words these are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from longshore.base import quantities
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.autoscaling.pods import (
    Pod,
    Uncomputable,
    Value,
    grouped,
    ready_count,
    requested,
)
from longshore.machinery.controllers.autoscaling.replicas import (
    Asked,
    Tolerances,
    by_average,
    by_share,
    by_utilization,
    by_value,
)


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """Why a metric could not be read."""

    why: str


PodValues: TypeAlias = Mapping[str, Value]
Reading: TypeAlias = PodValues | int | Unmeasured
"""By pod, or the whole of an object's or external metric in thousandths."""


@dataclass(frozen=True, slots=True)
class World:
    """What a metric is weighed against: current replicas are what the scale's spec asks for, running
    what its status counts; pods are those that its selector means."""

    namespace: str
    current: int
    running: int
    pods: Sequence[Pod]
    tolerances: Tolerances
    now: float


@dataclass(frozen=True, slots=True)
class Computed:
    """metric is its name for people, status its part of currentMetrics."""

    replicas: int
    metric: str
    status: Doc


class Failed(Exception):
    """reason and why are what the condition and the Event say; within is how a summary quotes it."""

    def __init__(self, reason: str, why: str, within: str) -> None:
        super().__init__(within)
        self.reason = reason
        self.why = why
        self.within = within


def compute(metric: Doc, reading: Reading, world: World) -> Computed:
    """One entry of spec.metrics. Raises Failed."""
    return _BY_TYPE[metric["type"]](metric, reading, world)


# ---- resources


def _resource(metric: Doc, reading: Reading, world: World) -> Computed:
    source = metric["resource"]
    name = source["name"]
    try:
        asked, label, current = _of_resource(source, reading, world)
    except Uncomputable as error:
        within = f"failed to get {name} resource metric value: {error}"
        raise Failed("FailedGetResourceMetric", str(error), within) from None
    status = {"type": "Resource", "resource": {"name": name, "current": current}}
    return Computed(asked.replicas, label, status)


def _container_resource(metric: Doc, reading: Reading, world: World) -> Computed:
    source = metric["containerResource"]
    name, container = source["name"], source["container"]
    try:
        asked, label, current = _of_resource(source, reading, world)
    except Uncomputable as error:
        within = f"failed to get {container} container metric value: {error}"
        raise Failed("FailedGetContainerResourceMetric", str(error), within) from None
    shown = {"name": name, "container": container, "current": current}
    status = {"type": "ContainerResource", "containerResource": shown}
    return Computed(asked.replicas, label, status)


def _of_resource(source: Doc, reading: Reading, world: World) -> tuple[Asked, str, Doc]:
    """What is asked for, the metric's name for people, and its current value. Raises Uncomputable."""
    name, target = source["name"], source["target"]
    what = "usage" if "averageValue" in target else "utilization"
    try:
        if isinstance(reading, Unmeasured):
            raise Uncomputable(f"unable to get metrics for resource {name}: {reading.why}")
        assert not isinstance(reading, int), "resources are measured by pod"
        if what == "usage":
            asked = _average(target, reading, name, world)
            return asked, f"{name} resource", {"averageValue": _quantity(asked.use)}
        asked = _utilization(source, reading, world)
    except Uncomputable as error:
        raise Uncomputable(f"failed to get {name} {what}: {error}") from None
    kind = "container resource" if "container" in source else "resource"
    label = f"{name} {kind} utilization (percentage of request)"
    current = {"averageUtilization": asked.percent, "averageValue": _quantity(asked.use)}
    return asked, label, current


def _utilization(source: Doc, values: PodValues, world: World) -> Asked:
    name, percent = source["name"], source["target"]["averageUtilization"]
    groups, ready = grouped(world.pods, values, name, world.now)
    requests = requested(world.pods, name, source.get("container", ""))
    return by_utilization(world.current, percent, ready, groups, requests, world.tolerances)


def _average(target: Doc, values: PodValues, resource: str, world: World) -> Asked:
    groups, ready = grouped(world.pods, values, resource, world.now)
    each = quantities.millis(target["averageValue"])
    return by_average(world.current, each, ready, groups, world.tolerances)


# ---- custom and external metrics


def _pods(metric: Doc, reading: Reading, world: World) -> Computed:
    source = metric["pods"]
    name = source["metric"]["name"]
    try:
        if isinstance(reading, Unmeasured):
            raise Uncomputable(f"unable to get metric {name}: {reading.why}")
        assert not isinstance(reading, int), "a pods metric is measured by pod"
        asked = _average(source["target"], reading, "", world)
    except Uncomputable as error:
        within = f"failed to get pods metric value: {error}"
        raise Failed("FailedGetPodsMetric", str(error), within) from None
    current = {"averageValue": _quantity(asked.use)}
    status = {"type": "Pods", "pods": {"metric": source["metric"], "current": current}}
    return Computed(asked.replicas, f"pods metric {name}", status)


def _object(metric: Doc, reading: Reading, world: World) -> Computed:
    source = metric["object"]
    name, of = source["metric"]["name"], source["describedObject"]
    shares = "averageValue" in source["target"]
    try:
        if isinstance(reading, Unmeasured):
            where = f"{of['kind']} {world.namespace}/{of['name']}"
            raise Uncomputable(f"unable to get metric {name}: {reading.why} on {where}")
        asked, current = _whole(source["target"], reading, world)
    except Uncomputable as error:
        quoted = f"failed to get {name} object metric: {error}" if shares else str(error)
        within = f"failed to get object metric value: {quoted}"
        raise Failed("FailedGetObjectMetric", str(error), within) from None
    label = _external_label(source["metric"]) if shares else f"{of['kind']} metric {name}"
    shown = {"metric": source["metric"], "current": current, "describedObject": of}
    return Computed(asked.replicas, label, {"type": "Object", "object": shown})


def _external(metric: Doc, reading: Reading, world: World) -> Computed:
    source = metric["external"]
    name = source["metric"]["name"]
    shares = "averageValue" in source["target"]
    try:
        if isinstance(reading, Unmeasured):
            where = f"{world.namespace}/{name}/{go_selector(source['metric'].get('selector'))}"
            raise Uncomputable(f"unable to get external metric {where}: {reading.why}")
        asked, current = _whole(source["target"], reading, world)
    except Uncomputable as error:
        what = f"{name} external metric" if shares else f"external metric {name}"
        within = f"failed to get {name} external metric value: failed to get {what}: {error}"
        raise Failed("FailedGetExternalMetric", str(error), within) from None
    shown = {"metric": source["metric"], "current": current}
    status = {"type": "External", "external": shown}
    return Computed(asked.replicas, _external_label(source["metric"]), status)


def _whole(target: Doc, reading: Reading, world: World) -> tuple[Asked, Doc]:
    """Of a metric that is one number, what is asked for and its current value."""
    assert isinstance(reading, int), "the whole of a metric is one number"
    tolerances = world.tolerances
    if "averageValue" in target:
        each = quantities.millis(target["averageValue"])
        asked = by_share(world.running, each, reading, tolerances)
        return asked, {"averageValue": _quantity(asked.use)}
    most, ready = quantities.millis(target["value"]), ready_count(world.pods)
    asked = by_value(world.current, most, reading, len(world.pods), ready, tolerances)
    return asked, {"value": _quantity(asked.use)}


def _external_label(identifier: Doc) -> str:
    return f"external metric {identifier['name']}({go_selector(identifier.get('selector'))})"


def go_selector(selector: Doc | None) -> str:
    """As Go prints a *metav1.LabelSelector, which is part of upstream's messages."""
    if selector is None:
        return "nil"
    labels = "".join(f"{k}: {v}," for k, v in sorted((selector.get("matchLabels") or {}).items()))
    each = "".join(
        f"LabelSelectorRequirement{{Key:{one['key']},Operator:{one['operator']},"
        f"Values:[{' '.join(one.get('values') or ())}],}},"
        for one in selector.get("matchExpressions") or ()
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{each}}},}}"
    )


def _quantity(milli: int) -> str:
    return quantities.text(Fraction(milli, 1000))


_BY_TYPE: Mapping[str, Callable[[Doc, Reading, World], Computed]] = {
    "Resource": _resource,
    "ContainerResource": _container_resource,
    "Pods": _pods,
    "Object": _object,
    "External": _external,
}
