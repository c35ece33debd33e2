"""Who is asked for permission, in which order.

The file is upstream's AuthorizationConfiguration (apiserver.config.k8s.io/v1), validated as
apiserver/pkg/apis/apiserver/validation does. What needs CEL is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from longshore.base.clock import Clock
from longshore.cluster.config import ClusterError, ClusterPaths
from longshore.cluster.settings.webhook import Place, Webhook, place_of
from longshore.core.objects.kinds import Doc
from longshore.core.objects.names import subdomain_problems
from longshore.core.registry.permission.outside import Outside, Terms
from longshore.core.registry.permission.union import NODE, RBAC, Stage

FLAG = "--authorization-config"
API_VERSIONS = ("apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/v1beta1")
_WEBHOOK = "Webhook"
_TYPES = (NODE, RBAC, _WEBHOOK)
_AUTHORIZER = frozenset({"type", "name", "webhook"})
_SETTINGS = frozenset({
    "timeout", "authorizedTTL", "unauthorizedTTL", "cacheAuthorizedRequests",
    "cacheUnauthorizedRequests", "subjectAccessReviewVersion", "failurePolicy", "connectionInfo",
    "matchConditionSubjectAccessReviewVersion", "matchConditions",
})  # fmt: skip
_TIMEOUT_MAX_S = 30.0
_UNIT_S = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h)")


@dataclass(frozen=True, slots=True)
class Judge:
    """A webhook of the file; timeout_s bounds each question."""

    terms: Terms
    place: Place
    timeout_s: float


def read(file: Path) -> list[Judge | str]:
    """Authorisers in order. Raises ClusterError, saying what in the file is wrong or not served."""
    try:
        doc = yaml.safe_load(file.read_text())
        return _authorizers(doc)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        raise ClusterError(f"{FLAG} {file}: {error}") from None


def of_cluster(paths: ClusterPaths, clock: Clock) -> list[Stage]:
    """The authorisers that a cluster was given; none: its own. Raises ClusterError if their file is
    no good any more."""
    if not paths.authorization.exists():
        return []
    return [_stage(one, clock) for one in read(paths.authorization)]


def _stage(one: Judge | str, clock: Clock) -> Stage:
    if isinstance(one, str):
        return one
    return Outside(one.terms, Webhook(one.place, one.timeout_s), clock)


def _authorizers(doc: Any) -> list[Judge | str]:
    known = isinstance(doc, dict) and doc.get("kind") == "AuthorizationConfiguration"
    if not known or doc.get("apiVersion") not in API_VERSIONS:
        raise ValueError(f"expected an AuthorizationConfiguration of {API_VERSIONS[0]}")
    given = doc.get("authorizers")
    if not isinstance(given, list) or not given:
        raise ValueError(
            "authorizers: Required value: at least one authorization mode must be defined"
        )
    found = [_authorizer(one, f"authorizers[{index}]") for index, one in enumerate(given)]
    _check_names(given)
    _check_order([one for one in found if isinstance(one, str)])
    return found


def _check_names(given: Iterable[Doc]) -> None:
    seen: set[str] = set()
    for index, one in enumerate(given):
        name = one["name"]
        if name in seen:
            raise ValueError(f'authorizers[{index}].name: Duplicate value: "{name}"')
        seen.add(name)


def _check_order(own: list[str]) -> None:
    """Nodes and controllers of a cluster could not work without the two."""
    if len(own) > len(set(own)):
        raise ValueError("authorizers: Duplicate value: Node and RBAC may be there once each")
    if own != [NODE, RBAC]:
        raise ValueError("authorizers: Node, and RBAC behind it, are served only together")


def _authorizer(one: Any, where: str) -> Judge | str:
    if not isinstance(one, dict) or one.get("type") not in _TYPES:
        supported = ", ".join(f'"{known}"' for known in sorted(_TYPES))
        given = one.get("type", "") if isinstance(one, dict) else ""
        raise ValueError(
            f'{where}.type: Unsupported value: "{given}": supported values: {supported}'
        )
    _check_known(one, _AUTHORIZER, where)
    name, webhook = one.get("name"), one.get("webhook")
    if not isinstance(name, str) or not name:
        raise ValueError(f"{where}.name: Required value")
    if wrong := subdomain_problems(name):
        why = f"authorizer name is invalid: {wrong[0]}"
        raise ValueError(f'{where}.name: Invalid value: "{name}": {why}')
    if one["type"] == _WEBHOOK:
        return _webhook(name, webhook, f"{where}.webhook")
    if webhook is not None:
        why = "may only be specified when type=Webhook"
        raise ValueError(f'{where}.webhook: Invalid value: "non-null": {why}')
    return str(one["type"])


def _webhook(name: str, given: Any, where: str) -> Judge:
    if not isinstance(given, dict):
        raise ValueError(f"{where}: Required value: required when type=Webhook")
    _check_served(given, where)
    timeout_s = _span(given, "timeout", where)
    if timeout_s > _TIMEOUT_MAX_S:
        why = "must be > 0s and <= 30s"
        raise ValueError(f'{where}.timeout: Invalid value: "{given["timeout"]}": {why}')
    terms = Terms(
        name,
        _span(given, "authorizedTTL", where, 300.0),
        _span(given, "unauthorizedTTL", where, 30.0),
        _one_of(given, "failurePolicy", ("NoOpinion", "Deny"), where) == "Deny",
    )
    place = _place(given.get("connectionInfo") or {}, f"{where}.connectionInfo")
    return Judge(terms, place, timeout_s)


def _check_known(given: Doc, known: frozenset[str], where: str) -> None:
    """A word that is misspelt must not be an answer that is not waited for."""
    for key in given:
        if key not in known:
            raise ValueError(f"{where}.{key}: unknown field")


def _check_served(given: Doc, where: str) -> None:
    _check_known(given, _SETTINGS, where)
    if given.get("matchConditions"):
        raise ValueError(f"{where}.matchConditions: CEL is not served yet, leave it out")
    _one_of(given, "subjectAccessReviewVersion", ("v1",), where)
    if given.get("matchConditionSubjectAccessReviewVersion"):
        _one_of(given, "matchConditionSubjectAccessReviewVersion", ("v1",), where)
    for key in ("cacheAuthorizedRequests", "cacheUnauthorizedRequests"):
        if given.get(key, True) is not True:
            raise ValueError(f"{where}.{key}: every answer is kept a while, give it a short TTL")


def _place(info: Doc, where: str) -> Place:
    if info.get("type") == "InClusterConfig":
        raise ValueError(f"{where}.type: InClusterConfig is not served, use KubeConfigFile")
    _one_of(info, "type", ("KubeConfigFile",), where)
    file = info.get("kubeConfigFile")
    where = f"{where}.kubeConfigFile"
    if not isinstance(file, str) or not file:
        raise ValueError(f"{where}: Required value")
    if not Path(file).is_absolute():
        raise ValueError(f'{where}: Invalid value: "{file}": must be an absolute path')
    try:
        return place_of(Path(file))
    except ValueError as error:
        raise ValueError(f'{where}: Invalid value: "{file}": {error}') from None


def _one_of(given: Doc, key: str, known: tuple[str, ...], where: str) -> str:
    value = given.get(key)
    if not value:
        raise ValueError(f"{where}.{key}: Required value")
    if value not in known:
        supported = ", ".join(f'"{one}"' for one in known)
        raise ValueError(
            f'{where}.{key}: Unsupported value: "{value}": supported values: {supported}'
        )
    return str(value)


def _span(given: Doc, key: str, where: str, default: float | None = None) -> float:
    """Seconds of a Go duration above zero."""
    text = given.get(key)
    if text is None and default is not None:
        return default
    if text is None:
        raise ValueError(f"{where}.{key}: Required value")
    parts = _SPAN.findall(str(text))
    seconds = sum(float(number) * _UNIT_S[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or seconds <= 0:
        raise ValueError(f'{where}.{key}: Invalid value: "{text}": must be > 0s')
    return seconds
