"""Rules for containers (pkg/apis/core/validation: validateContainers and what it calls)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from longshore.core.objects import names
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules import resources
from longshore.core.objects.rules.paths import relative_path
from longshore.core.objects.rules.problems import Path, Problems
from longshore.core.objects.rules.security import container_security

PROTOCOLS = ("SCTP", "TCP", "UDP")
PORT_RANGE = "must be between 1 and 65535, inclusive"
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("FallbackToLogsOnError", "File")
_PROBE_NUMBERS = (
    "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold",
)  # fmt: skip
_GRACE = "terminationGracePeriodSeconds"
_HANDLERS = frozenset(("exec", "httpGet", "tcpSocket", "grpc", "sleep"))
_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_RECURSIVE = ("Disabled", "Enabled", "IfPossible")
_SCHEMES = ("HTTP", "HTTPS")
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def container(one: Doc, path: Path, volumes: Collection[str], problems: Problems) -> None:
    """One container of any sort. volumes are the names that mounts may refer to."""
    problems.label((path, "name"), one.get("name", ""))
    image(one.get("image", ""), (path, "image"), problems)
    if one.get("imagePullPolicy") not in _PULL_POLICIES:
        problems.one_of((path, "imagePullPolicy"), one.get("imagePullPolicy", ""), _PULL_POLICIES)
    if one.get("terminationMessagePolicy") not in _MESSAGE_POLICIES:
        at = (path, "terminationMessagePolicy")
        problems.one_of(at, one.get("terminationMessagePolicy", ""), _MESSAGE_POLICIES)
    _parts(one, path, volumes, problems)


def _parts(one: Doc, path: Path, volumes: Collection[str], problems: Problems) -> None:
    for field, value in one.items():
        rule = _PARTS.get(field)
        if rule is not None:
            rule(value, (path, field), problems)
    if "volumeMounts" in one:
        privileged = bool((one.get("securityContext") or {}).get("privileged"))
        _mounts(one["volumeMounts"], (path, "volumeMounts"), volumes, privileged, problems)


def image(name: str, path: Path, problems: Problems) -> None:
    if not name:
        problems.required(path)
    elif name != name.strip():
        problems.invalid(path, name, "must not have leading or trailing whitespace")


def port_number(value: Any, path: Path, problems: Problems) -> None:
    if not 1 <= value <= 65535:
        problems.invalid(path, value, PORT_RANGE)


def port_or_name(value: int | str | None, path: Path, problems: Problems) -> None:
    if isinstance(value, int):
        port_number(value, path, problems)
    else:
        wrong = names.port_name_problems(value or "")
        problems.all_invalid(path, value or "", wrong)


def _ports(ports: list[Doc], path: Path, problems: Problems) -> None:
    seen = set()
    for index, port in enumerate(ports):
        at = (path, index)
        name = port.get("name")
        if name:
            wrong = names.port_name_problems(name)
            if wrong:
                problems.all_invalid((at, "name"), name, wrong)
            elif name in seen:
                problems.duplicate((at, "name"), name)
            seen.add(name)
        if not port.get("containerPort"):
            problems.required((at, "containerPort"))
        else:
            port_number(port["containerPort"], (at, "containerPort"), problems)
        if port.get("hostPort"):
            port_number(port["hostPort"], (at, "hostPort"), problems)
        if port.get("protocol") not in PROTOCOLS:
            problems.one_of((at, "protocol"), port.get("protocol", ""), PROTOCOLS)


def _env(env: list[Doc], path: Path, problems: Problems) -> None:
    for index, one in enumerate(env):
        name = one.get("name")
        if not name:
            problems.required(((path, index), "name"))
        else:
            wrong = names.env_name_problems(name)
            if wrong:
                problems.all_invalid(((path, index), "name"), name, wrong)
        if "valueFrom" in one:
            _env_source(one, ((path, index), "valueFrom"), problems)


def _env_source(one: Doc, path: Path, problems: Problems) -> None:
    source = one["valueFrom"]
    given = [name for name in source if name in _SOURCES]
    if one.get("value"):
        problems.invalid(path, "", "may not be specified when `value` is not empty")
    if not given:
        problems.invalid(path, "", "must specify one of: `fieldRef`, `resourceFieldRef`, "
                                   "`configMapKeyRef`, `secretKeyRef` or `fileKeyRef`")  # fmt: skip
    elif len(given) > 1:
        problems.invalid(path, "", "may not have more than one field specified at a time")
    for name in ("configMapKeyRef", "secretKeyRef"):
        if name in source:
            at = (path, name)
            said = source[name].get("name", "")
            problems.all_invalid((at, "name"), said, names.subdomain_problems(said))
            if not source[name].get("key"):
                problems.required((at, "key"))
            else:
                wrong = names.config_key_problems(source[name]["key"])
                problems.all_invalid((at, "key"), source[name]["key"], wrong)
    if "fieldRef" in source and not source["fieldRef"].get("fieldPath"):
        problems.required(((path, "fieldRef"), "fieldPath"))
    if "resourceFieldRef" in source and not source["resourceFieldRef"].get("resource"):
        problems.required(((path, "resourceFieldRef"), "resource"))


def _env_from(sources: list[Doc], path: Path, problems: Problems) -> None:
    for index, one in enumerate(sources):
        at = (path, index)
        if one.get("prefix"):
            problems.all_invalid(
                (at, "prefix"), one["prefix"], names.env_name_problems(one["prefix"])
            )
        given = [name for name in ("configMapRef", "secretRef") if name in one]
        if not given:
            problems.invalid(at, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(given) > 1:
            problems.invalid(at, "", "may not have more than one field specified at a time")
        for name in given:
            said, where = one[name].get("name", ""), ((at, name), "name")
            if not said:
                problems.required(where)
            else:
                problems.all_invalid(where, said, names.subdomain_problems(said))


def _mounts(
    mounts: list[Doc], path: Path, volumes: Collection[str], privileged: bool, problems: Problems
) -> None:
    seen = set()
    for index, mount in enumerate(mounts):
        at = (path, index)
        name, where = mount.get("name"), mount.get("mountPath")
        if not name:
            problems.required((at, "name"))
        elif name not in volumes:
            problems.not_found((at, "name"), name)
        if not where:
            problems.required((at, "mountPath"))
        elif where in seen:
            problems.invalid((at, "mountPath"), where, "must be unique")
        seen.add(where)
        if "subPath" in mount or "subPathExpr" in mount:
            _sub_path(mount, at, problems)
        if "mountPropagation" in mount:
            _propagation(mount["mountPropagation"], privileged, (at, "mountPropagation"), problems)
        if "recursiveReadOnly" in mount:
            _recursive(mount, (at, "recursiveReadOnly"), problems)


def _propagation(spread: str, privileged: bool, path: Path, problems: Problems) -> None:
    if spread not in _PROPAGATIONS:
        problems.unsupported(path, spread, _PROPAGATIONS)
    elif spread == "Bidirectional" and not privileged:
        problems.forbidden(
            path, "Bidirectional mount propagation is available only to privileged containers"
        )


def _recursive(mount: Doc, path: Path, problems: Problems) -> None:
    """(validateMountRecursiveReadOnly)"""
    if mount["recursiveReadOnly"] not in _RECURSIVE:
        problems.unsupported(path, mount["recursiveReadOnly"], _RECURSIVE)
    if mount["recursiveReadOnly"] not in ("Enabled", "IfPossible"):
        return
    if not mount.get("readOnly"):
        problems.forbidden(path, "may only be specified when readOnly is true")
    if mount.get("mountPropagation", "None") != "None":
        why = "may only be specified when mountPropagation is None or not specified"
        problems.forbidden(path, why)


def _sub_path(mount: Doc, at: Path, problems: Problems) -> None:
    if mount.get("subPath") and mount.get("subPathExpr"):
        problems.invalid((at, "subPathExpr"), mount["subPathExpr"],
                         "subPathExpr and subPath are mutually exclusive")  # fmt: skip
    for field in ("subPath", "subPathExpr"):
        if mount.get(field):
            relative_path(mount[field], (at, field), problems)


def _probe(probe: Doc, path: Path, problems: Problems) -> None:
    _handler(probe, path, problems)
    for name in _PROBE_NUMBERS:
        if probe.get(name, 0) < 0:
            problems.not_negative((path, name), probe[name])
    if probe.get(_GRACE, 1) <= 0:
        problems.invalid((path, _GRACE), probe[_GRACE], "must be greater than 0")


def _readiness_probe(probe: Doc, path: Path, problems: Problems) -> None:
    """A probe that ends nothing, so that there is no grace."""
    _probe(probe, path, problems)
    if _GRACE in probe:
        problems.invalid((path, _GRACE), probe[_GRACE], "must not be set for readinessProbes")


def _single_probe(probe: Doc, path: Path, problems: Problems) -> None:
    """A probe that acts on the first success, so that a higher threshold means nothing."""
    _probe(probe, path, problems)
    if probe.get("successThreshold", 1) != 1:
        problems.invalid((path, "successThreshold"), probe["successThreshold"], "must be 1")


def _lifecycle(lifecycle: Doc, path: Path, problems: Problems) -> None:
    for name in ("postStart", "preStop"):
        if name in lifecycle:
            _handler(lifecycle[name], (path, name), problems)


def _handler(handler: Doc, path: Path, problems: Problems) -> None:
    given = [name for name in handler if name in _HANDLERS]
    if not given:
        problems.required(path, "must specify a handler type")
    elif len(given) > 1:
        problems.forbidden((path, given[1]), "may not specify more than 1 handler type")
    if "exec" in handler and not handler["exec"].get("command"):
        problems.required(((path, "exec"), "command"))
    if "httpGet" in handler:
        at = (path, "httpGet")
        if not handler["httpGet"].get("path"):
            problems.required((at, "path"))
        problems.one_of((at, "scheme"), handler["httpGet"].get("scheme", ""), _SCHEMES)
    for name in ("httpGet", "tcpSocket"):
        if name in handler:
            port_or_name(handler[name].get("port", 0), ((path, name), "port"), problems)
    if "grpc" in handler:
        port_number(handler["grpc"].get("port", 0), ((path, "grpc"), "port"), problems)


_PARTS: dict[str, Callable[[Any, Path, Problems], None]] = {
    "ports": _ports,
    "env": _env,
    "envFrom": _env_from,
    "resources": resources.requirements,
    "livenessProbe": _single_probe,
    "readinessProbe": _readiness_probe,
    "startupProbe": _single_probe,
    "lifecycle": _lifecycle,
    "securityContext": container_security,
}
