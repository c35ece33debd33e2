"""Rules for HorizontalPodAutoscalers, version 2 (pkg/apis/autoscaling/validation)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from longshore.base import quantities
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.metadata import label_selector
from longshore.core.objects.rules.problems import SPEC, STATUS, Path, Problems, Rule

_STABILIZATION_S_MAX = 3600
_PERIOD_S_MAX = 1800
_SELECT = ("Disabled", "Max", "Min")
_TARGETS = ("Utilization", "Value", "AverageValue")
_NOT_BOTH = "may not set both a target raw value and a target utilization"


def autoscaler(doc: Doc, problems: Problems) -> None:
    spec = doc["spec"]
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    if least is not None and least < 1:
        problems.invalid((SPEC, "minReplicas"), least, "must be greater than or equal to 1")
    if most < 1:
        problems.invalid((SPEC, "maxReplicas"), most, "must be greater than 0")
    if least is not None and most < least:
        why = "must be greater than or equal to `minReplicas`"
        problems.invalid((SPEC, "maxReplicas"), most, why)
    _reference(spec.get("scaleTargetRef", {}), (SPEC, "scaleTargetRef"), problems)
    for index, one in enumerate(spec.get("metrics", ())):
        _metric(one, ((SPEC, "metrics"), index), problems)
    for side in ("scaleUp", "scaleDown"):
        rules = spec.get("behavior", {}).get(side)
        if rules is not None:
            _scaling(rules, ((SPEC, "behavior"), side), problems)


def _reference(ref: Doc, path: Path, problems: Problems) -> None:
    for field in ("kind", "name"):
        if not ref.get(field):
            problems.required((path, field))
        else:
            _segment(ref[field], (path, field), problems)


def _segment(name: str, path: Path, problems: Problems) -> None:
    """A part of a URL's path (apimachinery/pkg/api/validation/path)."""
    if name in (".", ".."):
        problems.invalid(path, name, f"may not be '{name}'")
    for illegal in ("/", "%"):
        if illegal in name:
            problems.invalid(path, name, f"may not contain '{illegal}'")


# ---- how fast


def _scaling(rules: Doc, path: Path, problems: Problems) -> None:
    window, at = rules.get("stabilizationWindowSeconds"), (path, "stabilizationWindowSeconds")
    if window is not None and window < 0:
        problems.invalid(at, window, "must be greater than or equal to zero")
    if window is not None and window > _STABILIZATION_S_MAX:
        problems.invalid(at, window, f"must be less than or equal to {_STABILIZATION_S_MAX}")
    if rules.get("selectPolicy", "Max") not in _SELECT:
        problems.unsupported((path, "selectPolicy"), rules["selectPolicy"], _SELECT)
    if not rules.get("policies"):
        problems.required((path, "policies"), "must specify at least one Policy")
    for index, one in enumerate(rules.get("policies", ())):
        _policy(one, ((path, "policies"), index), problems)
    tolerance = rules.get("tolerance")
    if tolerance is not None and quantities.parse(tolerance) < 0:
        why = "must be greater than or equal to 0"
        problems.invalid((path, "tolerance"), tolerance, why)


def _policy(one: Doc, path: Path, problems: Problems) -> None:
    if one.get("type") not in ("Percent", "Pods"):
        problems.unsupported((path, "type"), one.get("type", ""), ("Percent", "Pods"))
    for field in ("value", "periodSeconds"):
        if one.get(field, 0) <= 0:
            problems.invalid((path, field), one.get(field, 0), "must be greater than zero")
    period = one.get("periodSeconds", 0)
    if period > _PERIOD_S_MAX:
        why = f"must be less than or equal to {_PERIOD_S_MAX}"
        problems.invalid((path, "periodSeconds"), period, why)


# ---- on what grounds


def _metric(one: Doc, path: Path, problems: Problems) -> None:
    kind = one.get("type", "")
    if not kind:
        problems.required((path, "type"), "must specify a metric source type")
    if kind not in _SOURCES:
        problems.unsupported((path, "type"), kind, _SOURCES)
    wanted = kind[:1].lower() + kind[1:]
    given = [field for field in _FIELDS if field in one]
    if given:
        _FIELDS[given[0]](one[given[0]], (path, given[0]), problems)
    if wanted not in given:
        why = "must populate information for the given metric source"
        problems.required((path, wanted), why)
    if len(given) != 1:
        for field in given:
            if field != wanted:
                problems.forbidden((path, field), "must populate the given metric source only")


def _object(source: Doc, path: Path, problems: Problems) -> None:
    _reference(source.get("describedObject", {}), (path, "describedObject"), problems)
    _identifier(source, path, problems)
    target, at = _target(source, path, problems)
    if "value" not in target and "averageValue" not in target:
        why = "must set either a target value or averageValue"
        problems.required((at, "averageValue"), why)


def _external(source: Doc, path: Path, problems: Problems) -> None:
    _identifier(source, path, problems)
    target, at = _target(source, path, problems)
    if "value" in target and "averageValue" in target:
        why = "may not set both a target value for metric and a per-pod target"
        problems.forbidden((at, "value"), why)
    if "value" not in target and "averageValue" not in target:
        why = "must set either a target value for metric or a per-pod target"
        problems.required((at, "averageValue"), why)


def _pods(source: Doc, path: Path, problems: Problems) -> None:
    _identifier(source, path, problems)
    target, at = _target(source, path, problems)
    if not _is_positive(target.get("averageValue")):
        why = "must specify a positive target averageValue"
        problems.required((at, "averageValue"), why)


def _container_resource(source: Doc, path: Path, problems: Problems) -> None:
    if not source.get("container"):
        problems.required((path, "container"), "must specify a container")
    _resource(source, path, problems)


def _resource(source: Doc, path: Path, problems: Problems) -> None:
    if not source.get("name"):
        problems.required((path, "name"), "must specify a resource name")
    target, at = _target(source, path, problems)
    share, value = target.get("averageUtilization"), target.get("averageValue")
    if share is None and value is None:
        why = "must set either a target raw value or a target utilization"
        problems.required((at, "averageUtilization"), why)
    if share is not None and value is not None:
        problems.forbidden((at, "averageValue"), _NOT_BOTH)


def _identifier(source: Doc, path: Path, problems: Problems) -> None:
    metric, at = source.get("metric", {}), (path, "metric")
    if not metric.get("name"):
        problems.required((at, "name"), "must specify a metric name")
    else:
        _segment(metric["name"], (at, "name"), problems)
    if "selector" in metric:
        label_selector(metric["selector"], (at, "selector"), problems)


def _target(source: Doc, path: Path, problems: Problems) -> tuple[Doc, Path]:
    target, at = source.get("target", {}), (path, "target")
    kind = target.get("type", "")
    if not kind:
        problems.required((at, "type"), "must specify a metric target type")
    elif kind not in _TARGETS:
        problems.invalid((at, "type"), kind, "must be either Utilization, Value, or AverageValue")
    for field in ("value", "averageValue"):
        if field in target and not _is_positive(target[field]):
            problems.invalid((at, field), target[field], "must be positive")
    share: Any = target.get("averageUtilization")
    if share is not None and share < 1:
        problems.invalid((at, "averageUtilization"), share, "must be greater than 0")
    return target, at


def _is_positive(amount: str | None) -> bool:
    return amount is not None and quantities.parse(amount) > 0


_SOURCES = ("ContainerResource", "External", "Object", "Pods", "Resource")
_FIELDS: dict[str, Callable[[Doc, Path, Problems], None]] = {
    "object": _object,
    "external": _external,
    "pods": _pods,
    "resource": _resource,
    "containerResource": _container_resource,
}


def autoscaler_status(doc: Doc, problems: Problems) -> None:
    for field in ("currentReplicas", "desiredReplicas"):
        problems.not_negative((STATUS, field), doc.get("status", {}).get(field))


RULES: dict[str, Rule] = {"io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler": autoscaler}
STATUS_RULES: dict[str, Rule] = {
    "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler": autoscaler_status
}
