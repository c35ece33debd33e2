"""Reads a KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1) into profiles. Pure.

Source: https://kubernetes.io/docs/reference/config-api/kube-scheduler-config.v1/ and
pkg/scheduler/apis/config/validation. What has no counterpart here is refused by name. Two plug-ins
are not upstream's any more: NodeLabel and ServiceAffinity, with the arguments that they had there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.pods.demand import Demand, read_demand
from longshore.machinery.scheduler.pods.spread import default_spread
from longshore.machinery.scheduler.profile import DEFAULT, Profile, Strategy

API_VERSION, KIND = "kubescheduler.config.k8s.io/v1", "KubeSchedulerConfiguration"
PLUGINS = (
    "TaintToleration",
    "NodeAffinity",
    "NodeConstraints",
    "NodeLabel",
    "NodeResourcesFit",
    "NodeResourcesBalancedAllocation",
    "PodTopologySpread",
    "InterPodAffinity",
    "ServiceAffinity",
    "VolumeBinding",
    "ImageLocality",
)
"""Those that give scores."""


class ConfigurationError(ValueError):
    """What is wrong, or has no counterpart here, with the path of the field."""


def read_profiles(doc: Any) -> dict[str, Profile]:
    """The profiles by schedulerName. Raises ConfigurationError."""
    top = _fields(doc, KIND, ("apiVersion", "kind", "profiles"))
    if (top.get("apiVersion"), top.get("kind")) != (API_VERSION, KIND):
        raise ConfigurationError(f"this is no {KIND} of {API_VERSION}")
    found: dict[str, Profile] = {}
    for number, one in enumerate(_list(top.get("profiles") or [{}], "profiles")):
        path = f"profiles[{number}]"
        profile = _profile(one, path)
        if profile.name in found:
            raise ConfigurationError(f'{path}.schedulerName: Duplicate value: "{profile.name}"')
        found[profile.name] = profile
    return found


def _profile(doc: Any, path: str) -> Profile:
    fields = _fields(doc, path, ("schedulerName", "plugins", "pluginConfig"))
    name = fields.get("schedulerName", DEFAULT.name)
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"{path}.schedulerName: Required value")
    weights = _weights(fields.get("plugins") or {}, f"{path}.plugins")
    profile = Profile(name=name, weights=weights)
    for number, one in enumerate(_list(fields.get("pluginConfig") or [], f"{path}.pluginConfig")):
        at = f"{path}.pluginConfig[{number}]"
        config = _fields(one, at, ("name", "args"))
        reader = _READERS.get(str(config.get("name")))
        if reader is None:
            raise ConfigurationError(f'{at}.name: Unsupported value: "{config.get("name")}"')
        profile = reader(profile, config.get("args") or {}, f"{at}.args")
    return profile


def _weights(doc: Any, path: str) -> dict[str, float]:
    """The weights that differ from the default ones. Scores can be switched off, filters cannot."""
    weights: dict[str, float] = {}
    for point, sets in _fields(doc, path, ("score", "multiPoint")).items():
        fields = _fields(sets, f"{path}.{point}", ("enabled", "disabled"))
        if point == "multiPoint" and fields.get("disabled"):
            raise ConfigurationError(
                f"{path}.multiPoint.disabled: filters cannot be switched off; "
                "name scores under score.disabled"
            )
        for name, _ in _plugins(fields.get("disabled") or [], f"{path}.{point}.disabled", ("*",)):
            weights.update(dict.fromkeys(PLUGINS if name == "*" else (name,), 0.0))
        for name, weight in _plugins(fields.get("enabled") or [], f"{path}.{point}.enabled"):
            weights[name] = weight
    return weights


def _plugins(docs: Any, path: str, also: Sequence[str] = ()) -> Iterator[tuple[str, float]]:
    for number, one in enumerate(_list(docs, path)):
        fields = _fields(one, f"{path}[{number}]", ("name", "weight"))
        name = fields.get("name")
        if name not in (*PLUGINS, *also):
            raise ConfigurationError(f'{path}[{number}].name: Unsupported value: "{name}"')
        # Who enables one without a weight gets 1 (getScoreWeights in framework/runtime).
        yield name, _number(fields.get("weight") or 1, f"{path}[{number}].weight", 1, 2**31)


def _fit(profile: Profile, doc: Any, path: str) -> Profile:
    known = ("ignoredResources", "ignoredResourceGroups", "scoringStrategy")
    fields = _args(doc, path, known)
    ignored = [
        *_names(fields, "ignoredResources", path),
        *_names(fields, "ignoredResourceGroups", path),
    ]
    profile = replace(profile, ignored=frozenset(ignored))
    if "scoringStrategy" not in fields:
        return profile
    path = f"{path}.scoringStrategy"
    strategy = _fields(
        fields["scoringStrategy"], path, ("type", "resources", "requestedToCapacityRatio")
    )
    try:
        kind = Strategy(strategy.get("type") or Strategy.LEAST.value)
    except ValueError:
        raise ConfigurationError(
            f'{path}.type: Unsupported value: "{strategy["type"]}": supported values: '
            + ", ".join(f'"{one.value}"' for one in Strategy)
        ) from None
    return replace(
        profile,
        strategy=kind,
        resources=tuple(_resources(strategy, path)) or profile.resources,
        shape=_shape(strategy, f"{path}.requestedToCapacityRatio")
        if kind is Strategy.RATIO
        else (),
    )


def _balance(profile: Profile, doc: Any, path: str) -> Profile:
    found = list(_resources(_args(doc, path, ("resources",)), path))
    if any(weight != 1 for _, weight in found):
        raise ConfigurationError(f"{path}.resources: Invalid value: every weight must be 1")
    return replace(profile, balanced=tuple(name for name, _ in found) or profile.balanced)


def _resources(fields: Mapping[str, Any], path: str) -> Iterator[tuple[str, float]]:
    docs = _list(fields.get("resources") or [], f"{path}.resources")
    for number, one in enumerate(docs):
        at = f"{path}.resources[{number}]"
        resource = _fields(one, at, ("name", "weight"))
        if not resource.get("name"):
            raise ConfigurationError(f"{at}.name: Required value")
        yield resource["name"], _number(resource.get("weight") or 1, f"{at}.weight", 1, 100)


def _shape(strategy: Mapping[str, Any], path: str) -> tuple[tuple[float, float], ...]:
    ratio = _fields(strategy.get("requestedToCapacityRatio") or {}, path, ("shape",))
    points = []
    for number, one in enumerate(_list(ratio.get("shape") or [], f"{path}.shape")):
        at = f"{path}.shape[{number}]"
        point = _fields(one, at, ("utilization", "score"))
        share = _number(point.get("utilization", 0), f"{at}.utilization", 0, 100)
        points.append((share, _number(point.get("score", 0), f"{at}.score", 0, 10)))
    if not points:
        raise ConfigurationError(
            f"{path}.shape: Required value: at least one point must be specified"
        )
    if any(left[0] >= right[0] for left, right in pairwise(points)):
        raise ConfigurationError(
            f"{path}.shape: Invalid value: utilization values must be sorted in increasing order"
        )
    return tuple(points)


def _spreading(profile: Profile, doc: Any, path: str) -> Profile:
    fields = _args(doc, path, ("defaultConstraints", "defaultingType"))
    docs = _list(fields.get("defaultConstraints") or [], f"{path}.defaultConstraints")
    kind = fields.get("defaultingType") or "System"
    if kind not in ("System", "List"):
        raise ConfigurationError(
            f'{path}.defaultingType: Unsupported value: "{kind}": supported values: "System", "List"'
        )
    if kind == "System":
        if docs:
            raise ConfigurationError(
                f"{path}.defaultingType: Invalid value: when .defaultConstraints are specified, "
                "this must be List"
            )
        return profile
    for number, one in enumerate(docs):
        _check_constraint(one, f"{path}.defaultConstraints[{number}]")
    return replace(profile, spreading=default_spread(docs))


def _check_constraint(doc: Any, path: str) -> None:
    known = (
        "maxSkew", "topologyKey", "whenUnsatisfiable", "minDomains", "nodeAffinityPolicy",
        "nodeTaintsPolicy", "labelSelector", "matchLabelKeys",
    )  # fmt: skip
    fields = _fields(doc, path, known)
    for name in ("labelSelector", "matchLabelKeys"):
        if name in fields:
            raise ConfigurationError(
                f"{path}.{name}: Forbidden: pods are selected by what makes them"
            )
    _number(fields.get("maxSkew", 0), f"{path}.maxSkew", 1, 2**31)
    if not fields.get("topologyKey"):
        raise ConfigurationError(f"{path}.topologyKey: Required value: can not be empty")
    _one_of(fields, "whenUnsatisfiable", ("DoNotSchedule", "ScheduleAnyway"), path)
    for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
        if name in fields:
            _one_of(fields, name, ("Honor", "Ignore"), path)


def _between_pods(profile: Profile, doc: Any, path: str) -> Profile:
    fields = _args(doc, path, ("hardPodAffinityWeight", "ignorePreferredTermsOfExistingPods"))
    weight = _number(
        fields.get("hardPodAffinityWeight", 1), f"{path}.hardPodAffinityWeight", 0, 100
    )
    deaf = fields.get("ignorePreferredTermsOfExistingPods", False)
    return replace(profile, near_weight=int(weight), deaf_to_wishes_of_others=deaf is True)


def _added(profile: Profile, doc: Any, path: str) -> Profile:
    affinity = _args(doc, path, ("addedAffinity",)).get("addedAffinity") or {}
    demand = _understood(affinity, f"{path}.addedAffinity")
    return replace(profile, added_terms=demand.terms, added_preferred=demand.preferred)


def _understood(affinity: Doc, path: str) -> Demand:
    try:
        return read_demand({"affinity": {"nodeAffinity": affinity}})
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ConfigurationError(f"{path}: Invalid value: this is no node affinity") from None


def _node_label(profile: Profile, doc: Any, path: str) -> Profile:
    known = ("presentLabels", "absentLabels", "presentLabelsPreference", "absentLabelsPreference")
    fields = _args(doc, path, known)
    present, absent, liked, shunned = (tuple(_names(fields, name, path)) for name in known)
    return replace(
        profile, present_labels=present, absent_labels=absent, liked_labels=liked, shunned_labels=shunned
    )  # fmt: skip


def _service_affinity(profile: Profile, doc: Any, path: str) -> Profile:
    known = ("affinityLabels", "antiAffinityLabelsPreference")
    fields = _args(doc, path, known)
    together, apart = (tuple(_names(fields, name, path)) for name in known)
    return replace(profile, affinity_labels=together, anti_affinity_labels=apart)


_READERS: Mapping[str, Callable[[Profile, Any, str], Profile]] = {
    "NodeResourcesFit": _fit,
    "NodeResourcesBalancedAllocation": _balance,
    "PodTopologySpread": _spreading,
    "InterPodAffinity": _between_pods,
    "NodeAffinity": _added,
    "NodeLabel": _node_label,
    "ServiceAffinity": _service_affinity,
}


def _args(doc: Any, path: str, known: Sequence[str]) -> Mapping[str, Any]:
    """Arguments of a plug-in, which may say their own kind."""
    return _fields(doc, path, (*known, "apiVersion", "kind"))


def _fields(doc: Any, path: str, known: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(doc, dict):
        raise ConfigurationError(f"{path}: Invalid value: this must be an object")
    strange = sorted(str(name) for name in doc.keys() - set(known))
    if strange:
        raise ConfigurationError(f"{path}.{strange[0]}: not supported here")
    return doc


def _list(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise ConfigurationError(f"{path}: Invalid value: this must be a list")
    return value


def _names(fields: Mapping[str, Any], name: str, path: str) -> list[str]:
    found = _list(fields.get(name) or [], f"{path}.{name}")
    if not all(isinstance(one, str) and one for one in found):
        raise ConfigurationError(f"{path}.{name}: Invalid value: this must be a list of names")
    return found


def _number(value: Any, path: str, least: int, most: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigurationError(
            f"{path}: Invalid value: {value}: not in valid range [{least}, {most}]"
        )
    return float(value)


def _one_of(fields: Mapping[str, Any], name: str, values: Sequence[str], path: str) -> None:
    if fields.get(name) not in values:
        told = ", ".join(f'"{one}"' for one in values)
        raise ConfigurationError(
            f'{path}.{name}: Unsupported value: "{fields.get(name, "")}": supported values: {told}'
        )
