"""What a machine's agent is told of its resources: a KubeletConfiguration (kubelet.config.k8s.io/v1beta1, as
far as it is known here), and reservations of the command line over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import yaml

from longshore.base import quantities
from longshore.cluster.config import ClusterError
from longshore.cluster.durations import seconds
from longshore.machinery.kubelet.admission.sysctls import namespaced
from longshore.machinery.kubelet.cpus.lists import parse_cpus
from longshore.machinery.kubelet.resource_settings import (
    LINUX_EVICTION_HARD,
    RESERVABLE,
    ResourceSettings,
    reserved_of,
)
from longshore.machinery.kubelet.resources.thresholds import thresholds_of

T = TypeVar("T")
_VERSION, _KIND = "kubelet.config.k8s.io/v1beta1", "KubeletConfiguration"
# What upstream has other values for, and this agent has not.
_ONLY: Mapping[str, tuple[Any, ...]] = {
    "memoryManagerPolicy": ("None",),
    "topologyManagerPolicy": ("none",),
    "enforceNodeAllocatable": (["pods"], ["none"]),
}


def resources_of(file: Path | None, reserve: str) -> ResourceSettings:
    """Upstream's defaults where neither says anything. reserve: "cpu=500m,memory=1Gi", besides what
    the file reserves for the system. Raises ClusterError, naming what is wrong."""
    settings = ResourceSettings(eviction_hard=LINUX_EVICTION_HARD)
    if file is not None:
        settings = _said(f"--config {file}", lambda: _from_file(file, settings))
    if reserve:
        settings = _said("--reserve", lambda: replace(settings, kube_reserved=reserved_of(reserve)))
    _said("eviction", lambda: thresholds_of(settings))
    return settings


def _said(where: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        raise ClusterError(f"{where}: {error}") from None


def _from_file(file: Path, settings: ResourceSettings) -> ResourceSettings:
    document = yaml.safe_load(file.read_text())
    if not isinstance(document, dict):
        raise ValueError("want a document of fields")
    fields = dict(document)
    if (fields.pop("apiVersion", ""), fields.pop("kind", "")) != (_VERSION, _KIND):
        raise ValueError(f"want apiVersion {_VERSION} and kind {_KIND}")
    for name in _ONLY.keys() & fields.keys():
        if (value := fields.pop(name)) not in _ONLY[name]:
            raise ValueError(f"{name}: {value} is not supported by this agent")
    return replace(settings, **dict(_field(name, value) for name, value in fields.items()))


def _field(name: str, value: Any) -> tuple[str, Any]:
    """The setting of a field. Raises ValueError, naming the field."""
    if name not in _FIELDS:
        raise ValueError(f'unknown field "{name}"')
    setting, read = _FIELDS[name]
    try:
        return setting, read(value)
    except (ClusterError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{name}: {error}") from None


def _reserved(value: Mapping[str, Any]) -> dict[str, str]:
    for name, amount in value.items():
        if name not in RESERVABLE or quantities.parse(amount) < 0:
            raise ValueError(f"{name}: {amount} cannot be reserved")
    return {name: str(amount) for name, amount in value.items()}


def _texts(value: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(text) for name, text in value.items()}


def _durations(value: Mapping[str, Any]) -> dict[str, float]:
    return {name: _duration(text) for name, text in value.items()}


def _duration(value: Any) -> float:
    return seconds(str(value), "it")


def _percent(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value <= 100:
        raise ValueError("must be between 0 and 100, inclusive")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value} is no number of 0 or more")
    return value


def _pids(value: Any) -> int:
    if not isinstance(value, int) or not (value >= 1 or value == -1):
        raise ValueError(f"{value} is neither a number of 1 or more nor -1")
    return value


def _files(value: Any) -> int:
    if not isinstance(value, int) or value < 2:
        raise ValueError("must be greater than 1")
    return value


def _size(value: Any) -> str:
    if quantities.whole(value) <= 0:
        raise ValueError("must be more than nothing")
    return str(value)


def _cpus(value: Any) -> str:
    parse_cpus(str(value))
    return str(value)


_FIELDS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "kubeReserved": ("kube_reserved", _reserved),
    "systemReserved": ("system_reserved", _reserved),
    "reservedSystemCPUs": ("reserved_cpus", _cpus),
    "evictionHard": ("eviction_hard", _texts),
    "evictionSoft": ("eviction_soft", _texts),
    "evictionSoftGracePeriod": ("eviction_soft_grace_s", _durations),
    "evictionMinimumReclaim": ("eviction_minimum_reclaim", _texts),
    "evictionMaxPodGracePeriod": ("eviction_max_pod_grace_s", _number),
    "evictionPressureTransitionPeriod": ("eviction_transition_s", _duration),
    "imageGCHighThresholdPercent": ("image_gc_high_percent", _percent),
    "imageGCLowThresholdPercent": ("image_gc_low_percent", _percent),
    "imageMinimumGCAge": ("image_gc_min_age_s", _duration),
    "containerLogMaxSize": ("log_max_size", _size),
    "containerLogMaxFiles": ("log_max_files", _files),
    "containerLogMonitorInterval": ("log_look_every_s", _duration),
    "allowedUnsafeSysctls": ("allowed_unsafe_sysctls", namespaced),
    "podPidsLimit": ("pod_pids_limit", _pids),
    "cpuManagerPolicy": ("cpu_manager_policy", str),
}
