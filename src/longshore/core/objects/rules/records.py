"""Rules for kinds that mostly hold data: ConfigMaps, Secrets, Namespaces, Nodes, Leases."""

from __future__ import annotations

import base64
from typing import Any

import orjson

from longshore.core.objects import names
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules import metadata, resources
from longshore.core.objects.rules.placement import EFFECTS
from longshore.core.objects.rules.problems import (
    METADATA,
    REDACTED,
    ROOT,
    SPEC,
    STATUS,
    Path,
    Problems,
    Rule,
    UpdateRule,
)

DATA_MAX_BYTES = 1024 * 1024
_FROZEN = "field is immutable when `immutable` is set"
# Keys that a Secret of a type must have.
_SECRET_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
}
_ACCOUNT = "kubernetes.io/service-account.name"


# ---- ConfigMaps and Secrets


def config_map(doc: Doc, problems: Problems) -> None:
    plain, binary = doc.get("data", {}), doc.get("binaryData", {})
    size = sum(len(value.encode()) for value in plain.values()) + _decoded_bytes(binary)
    for key in plain:
        _key(key, (ROOT, "data"), problems)
        if key in binary:
            problems.invalid(
                ((ROOT, "data"), f"[{key}]"), key, "duplicate of key present in binaryData"
            )
    for key in binary:
        _key(key, (ROOT, "binaryData"), problems)
    if size > DATA_MAX_BYTES:
        problems.too_long(ROOT, DATA_MAX_BYTES)


def config_map_update(new: Doc, old: Doc, problems: Problems) -> None:
    _immutable(new, old, ("data", "binaryData"), problems)


def secret(doc: Doc, problems: Problems) -> None:
    data = doc.get("data", {})
    for key in data:
        _key(key, (ROOT, "data"), problems)
    if _decoded_bytes(data) > DATA_MAX_BYTES:
        problems.too_long((ROOT, "data"), DATA_MAX_BYTES)
    kind = doc.get("type", "")
    for key in _SECRET_KEYS.get(kind, ()):
        if key not in data:
            problems.required(((ROOT, "data"), f"[{key}]"))
        elif key.startswith(".docker") and not _is_json(data[key]):
            problems.invalid(((ROOT, "data"), f"[{key}]"), REDACTED, "invalid character in JSON")
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & data.keys():
        for key in ("username", "password"):
            problems.required(((ROOT, "data"), f"[{key}]"))
    annotations = doc["metadata"].get("annotations", {})
    if kind == "kubernetes.io/service-account-token" and not annotations.get(_ACCOUNT):
        problems.required(((METADATA, "annotations"), f"[{_ACCOUNT}]"))


def secret_update(new: Doc, old: Doc, problems: Problems) -> None:
    problems.unchanged((ROOT, "type"), new.get("type"), old.get("type"))
    _immutable(new, old, ("data",), problems)


def _immutable(new: Doc, old: Doc, fields: tuple[str, ...], problems: Problems) -> None:
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        problems.forbidden((ROOT, "immutable"), _FROZEN)
    for field in fields:
        if new.get(field, {}) != old.get(field, {}):
            problems.forbidden((ROOT, field), _FROZEN)


def _key(key: str, path: Path, problems: Problems) -> None:
    wrong = names.config_key_problems(key)
    if wrong:
        problems.all_invalid((path, f"[{key}]"), key, wrong)


def _decoded_bytes(data: dict[str, str]) -> int:
    return sum(len(value) * 3 // 4 - value[-2:].count("=") for value in data.values())


def _is_json(encoded: str) -> bool:
    try:
        orjson.loads(base64.b64decode(encoded))
    except ValueError:
        return False
    return True


# ---- the cluster's own


def namespace(doc: Doc, problems: Problems) -> None:
    given = doc.get("spec", {}).get("finalizers", [])
    metadata.finalizers(given, (SPEC, "finalizers"), problems)


def node(doc: Doc, problems: Problems) -> None:
    taints, path = doc.get("spec", {}).get("taints", ()), (SPEC, "taints")
    seen = set()
    for index, one in enumerate(taints):
        _taint(one, (path, index), problems)
        pair = (one.get("key"), one.get("effect"))
        if pair in seen:
            problems.duplicate((path, index), one)
        seen.add(pair)
    for field in ("capacity", "allocatable"):
        amounts = doc.get("status", {}).get(field)
        if amounts:
            resources.amounts(amounts, (STATUS, field), problems, resources.OF_NODES)


def node_update(new: Doc, old: Doc, problems: Problems) -> None:
    """What was given to a node once stays."""
    after, before = new.get("spec", {}), old.get("spec", {})
    for field in ("podCIDR", "podCIDRs", "providerID"):
        if before.get(field) and after.get(field) != before[field]:
            what = "node updates may not change " + field + ' except from "" to valid'
            problems.forbidden((SPEC, field), what)


def _taint(one: Doc, path: Path, problems: Problems) -> None:
    key, value = one.get("key", ""), one.get("value", "")
    problems.all_invalid((path, "key"), key, names.qualified_name_problems(key))
    problems.all_invalid((path, "value"), value, names.label_value_problems(value))
    problems.one_of((path, "effect"), one.get("effect", ""), EFFECTS)


def lease(doc: Doc, problems: Problems) -> None:
    spec: dict[str, Any] = doc.get("spec", {})
    duration_s = spec.get("leaseDurationSeconds")
    if duration_s is not None and duration_s <= 0:
        problems.invalid((SPEC, "leaseDurationSeconds"), duration_s, "must be greater than 0")
    problems.not_negative((SPEC, "leaseTransitions"), spec.get("leaseTransitions"))
    if spec.get("holderIdentity") == "":
        problems.invalid((SPEC, "holderIdentity"), "", "must not be empty")


RULES: dict[str, Rule] = {
    "io.k8s.api.core.v1.ConfigMap": config_map,
    "io.k8s.api.core.v1.Secret": secret,
    "io.k8s.api.core.v1.Namespace": namespace,
    "io.k8s.api.core.v1.Node": node,
    "io.k8s.api.coordination.v1.Lease": lease,
}
UPDATE_RULES: dict[str, UpdateRule] = {
    "io.k8s.api.core.v1.ConfigMap": config_map_update,
    "io.k8s.api.core.v1.Secret": secret_update,
    "io.k8s.api.core.v1.Node": node_update,
}
