"""Which admission plug-ins a cluster has, and how they are configured.

The file is upstream's AdmissionConfiguration (apiserver.config.k8s.io/v1) with the configurations of
its plug-ins inside; what it says of a plug-in that takes none here is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from longshore.cluster.config import ClusterConfig, ClusterError, ClusterPaths
from longshore.cluster.settings.webhook import IMAGE_REVIEW, Place, Webhook, place_of
from longshore.core.objects.podsecurity.policy import MODES, PREFIX, Policy, policy_of
from longshore.core.registry.admission import images
from longshore.core.registry.admission.chain import UnknownPlugin, enabled
from longshore.core.registry.admission.events import LIMIT_TYPES
from longshore.core.registry.admission.surroundings import (
    AdmissionConfig,
    EventLimit,
    ImagePolicy,
    PodSecurityConfig,
)

FLAG = "--admission-control-config-file"
API_VERSIONS = ("apiserver.config.k8s.io/v1", "apiserver.k8s.io/v1alpha1")
# What of imagePolicy is a number: its unit in seconds, the most of it, and what it is if it is 0.
_TIMES = {
    "allowTTL": (1.0, 1800, 300.0),
    "denyTTL": (1.0, 1800, 30.0),
    "retryBackoff": (1e-3, 300_000, 0.5),
}
_IMAGE_POLICY = frozenset({"kubeConfigFile", "defaultAllow", *_TIMES})
# Of one question to whoever judges images (apiserver/pkg/util/webhook).
_IMAGE_TIMEOUT_S = 30.0


def of_cluster(config: ClusterConfig, paths: ClusterPaths) -> AdmissionConfig:
    """Raises ClusterError for what is not so any more."""
    file = paths.admission if paths.admission.exists() else None
    return read(config.enable_admission, config.disable_admission, file)


def read(enable: Iterable[str], disable: Iterable[str], file: Path | None) -> AdmissionConfig:
    """The configuration that flags and a file make. Raises ClusterError, saying what is wrong."""
    config = AdmissionConfig(enable=tuple(enable), disable=tuple(disable))
    try:
        enabled(config)
    except UnknownPlugin as error:
        raise ClusterError(f"--{error}") from None
    config = config if file is None else _configured(config, file)
    if images.NAME in config.enable and config.image_policy is None:
        raise ClusterError(
            f"--enable-admission-plugins {images.NAME}: no config specified: "
            f"say in {FLAG} who judges images"
        )
    return config


def _configured(config: AdmissionConfig, file: Path) -> AdmissionConfig:
    try:
        doc = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ClusterError(f"{FLAG} {file}: {error}") from None
    try:
        return _with_plugins(config, doc)
    except (ValueError, TypeError, AttributeError) as error:
        raise ClusterError(f"{FLAG} {file}: {error}") from None


def _with_plugins(config: AdmissionConfig, doc: Any) -> AdmissionConfig:
    known = isinstance(doc, dict) and doc.get("kind") == "AdmissionConfiguration"
    if not known or doc.get("apiVersion") not in API_VERSIONS:
        raise ValueError(f"expected an AdmissionConfiguration of {API_VERSIONS[0]}")
    for index, one in enumerate(doc.get("plugins") or ()):
        reader = _READERS.get(one.get("name"))
        if reader is None:
            raise ValueError(f"plugins[{index}]: {one.get('name')} takes no configuration here")
        if one.get("path"):
            raise ValueError(f"plugins[{index}].path: write it into this file, as configuration")
        config = reader(config, one.get("configuration") or {})
    return config


def _pod_security(config: AdmissionConfig, given: dict[str, Any]) -> AdmissionConfig:
    defaults, exempt = given.get("defaults") or {}, given.get("exemptions") or {}
    _, wrong = policy_of({f"{PREFIX}{key}": value for key, value in defaults.items()}, Policy())
    if wrong:
        label = wrong[0].field.partition(PREFIX)[2].rstrip("]")
        raise ValueError(f"PodSecurity: defaults.{label}: {wrong[0].message}")
    made = PodSecurityConfig(
        levels={mode: defaults[mode] for mode in MODES if mode in defaults},
        versions={
            mode: defaults[f"{mode}-version"] for mode in MODES if f"{mode}-version" in defaults
        },
        exempt_users=frozenset(exempt.get("usernames") or ()),
        exempt_namespaces=frozenset(exempt.get("namespaces") or ()),
        exempt_runtimes=frozenset(exempt.get("runtimeClasses") or ()),
    )
    return replace(config, pod_security=made)


def _node_selectors(config: AdmissionConfig, given: dict[str, Any]) -> AdmissionConfig:
    selectors = given.get("podNodeSelectorPluginConfig") or {}
    return replace(config, node_selectors={key: str(value) for key, value in selectors.items()})


def _tolerations(config: AdmissionConfig, given: dict[str, Any]) -> AdmissionConfig:
    return replace(
        config,
        default_tolerations=tuple(given.get("default") or ()),
        tolerations_allowed=tuple(given.get("whitelist") or ()),
    )


def _event_limits(config: AdmissionConfig, given: dict[str, Any]) -> AdmissionConfig:
    limits = given.get("limits") or ()
    if not limits:
        raise ValueError("EventRateLimit: limits: Invalid value: must not be empty")
    return replace(config, event_limits=tuple(_event_limit(one) for one in limits))


def _event_limit(one: dict[str, Any]) -> EventLimit:
    if one.get("type") not in LIMIT_TYPES:
        raise ValueError(f"EventRateLimit: limits.type: must be one of {', '.join(LIMIT_TYPES)}")
    qps, burst = one.get("qps", 0), one.get("burst", 0)
    if qps <= 0 or burst < qps:
        raise ValueError("EventRateLimit: limits: qps must be positive, and burst not less than it")
    return EventLimit(one["type"], qps, burst, one.get("cacheSize") or 4096)


def _image_policy(config: AdmissionConfig, given: dict[str, Any]) -> AdmissionConfig:
    said = given.get("imagePolicy") or {}
    if unknown := sorted(said.keys() - _IMAGE_POLICY):
        raise ValueError(f"{images.NAME}: imagePolicy.{unknown[0]}: unknown field")
    policy = ImagePolicy(
        Webhook(_judge(said.get("kubeConfigFile")), _IMAGE_TIMEOUT_S, IMAGE_REVIEW),
        allow_ttl_s=_seconds(said, "allowTTL"),
        deny_ttl_s=_seconds(said, "denyTTL"),
        backoff_s=_seconds(said, "retryBackoff"),
        default_allow=said.get("defaultAllow", False) is True,
    )
    return replace(config, image_policy=policy)


def _judge(file: Any) -> Place:
    where = f"{images.NAME}: imagePolicy.kubeConfigFile"
    if not isinstance(file, str) or not Path(file).is_absolute():
        raise ValueError(f'{where}: Invalid value: "{file or ""}": must be an absolute path')
    try:
        return place_of(Path(file))
    except ValueError as error:
        raise ValueError(f'{where}: Invalid value: "{file}": {error}') from None


def _seconds(said: dict[str, Any], key: str) -> float:
    """0 means the default, and -1 that nothing is kept or waited for (imagepolicy/config.go)."""
    unit_s, most, default_s = _TIMES[key]
    value = said.get(key, 0)
    if value == 0:
        return default_s
    if value == -1:
        return 0.0
    if not isinstance(value, int) or not 1 <= value <= most:
        why = f"valid value is between 1 and {most}"
        raise ValueError(f'{images.NAME}: imagePolicy.{key}: Invalid value: "{value}": {why}')
    return value * unit_s


_READERS: dict[str, Callable[[AdmissionConfig, dict[str, Any]], AdmissionConfig]] = {
    "PodSecurity": _pod_security,
    "PodNodeSelector": _node_selectors,
    "PodTolerationRestriction": _tolerations,
    "EventRateLimit": _event_limits,
    images.NAME: _image_policy,
}
