"""Build a container's environment and expand $(VARIABLES). Pure.

Order and precedence follow pkg/kubelet/kubelet_pods.go makeEnvironmentVariables; expansion
follows third_party/forked/golang/expansion; service variables pkg/kubelet/envvars.
"""

from __future__ import annotations

import base64
import re
from collections import ChainMap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.containers.facts import (
    ConfigMissing,
    Facts,
    field_value,
    resource_value,
)
from longshore.machinery.kubelet.credentials import TokenKey

_SECRET_MIN_BYTES = 6
_REDACTED = "<secret contents redacted>"
# What Linux takes at most: one word, and all together (MAX_ARG_STRLEN of linux/binfmts.h, and
# three quarters of the usual stack in fs/exec.c).
WORD_MAX, ALL_MAX = 128 * 1024, 6 * 1024 * 1024
_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


@dataclass(frozen=True, slots=True)
class Sources:
    """What a pod's environment and volumes may be made of: ConfigMaps and Secrets of its
    namespace by name (those that exist), Services of it (plus default/kubernetes), tokens of
    the pod's service account, and by the name of a claim that claim and its volume."""

    config_maps: Mapping[str, Doc] = field(default_factory=dict)
    secrets: Mapping[str, Doc] = field(default_factory=dict)
    services: tuple[Doc, ...] = ()
    tokens: Mapping[TokenKey, str] = field(default_factory=dict)
    claims: Mapping[str, Doc] = field(default_factory=dict)
    persistent: Mapping[str, Doc] = field(default_factory=dict)


def expand(text: str, known: Mapping[str, str]) -> str:
    """Replace $(NAME) where NAME is known; $$ stands for one $. Raises ConfigMissing for what would be
    longer than a program can be given: variables that name others twice grow without end."""
    size = len(text)

    def one(match: re.Match[str]) -> str:
        nonlocal size
        if match[0] == "$$":
            return "$"
        found = known.get(match[1], match[0])
        size += len(found) - len(match[0])
        if size > WORD_MAX:
            raise ConfigMissing(f"a variable or argument is longer than {WORD_MAX} characters")
        return found

    return _REFERENCE.sub(one, text)


def expand_known(text: str, known: Mapping[str, str]) -> str:
    """The same for paths. Raises ConfigMissing for a name that is not known, as upstream does for a
    subPathExpr."""
    for match in _REFERENCE.finditer(text):
        if match[0] != "$$" and match[1] not in known:
            raise ConfigMissing(f'missing value for "{match[1]}"')
    return expand(text, known)


def expand_all(words: Iterable[str], known: Mapping[str, str]) -> list[str]:
    """Arguments, expanded. Raises ConfigMissing for more than a program can be given."""
    expanded: list[str] = []
    size = 0
    for word in words:
        expanded.append(expand(word, known))
        size = _bounded(size + len(expanded[-1]))
    return expanded


def _bounded(size: int) -> int:
    if size > ALL_MAX:
        raise ConfigMissing(f"variables or arguments are longer than {ALL_MAX} characters together")
    return size


def container_env(container: Doc, facts: Facts, sources: Sources) -> dict[str, str]:
    """Every variable of the container but the image's own. Raises ConfigMissing."""
    links = service_env(facts.pod, sources.services)
    env: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        env |= _all_of(source, sources)
    known, size = ChainMap(env, links), 0
    for entry in container.get("env") or []:
        value = _value(entry, container["name"], facts, sources, known)
        if value is not None:
            env[entry["name"]] = value
            size = _bounded(size + len(value))
    return {**links, **env}


def _value(
    entry: Doc, container: str, facts: Facts, sources: Sources, known: Mapping[str, str]
) -> str | None:
    source = entry.get("valueFrom")
    if not source:
        return expand(entry.get("value") or "", known)
    if "fieldRef" in source:
        return field_value(facts, source["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in source:
        return resource_value(facts, source["resourceFieldRef"], container)
    if "configMapKeyRef" in source:
        return _key_of("configmap", source["configMapKeyRef"], facts, sources.config_maps)
    if "secretKeyRef" in source:
        return _key_of("secret", source["secretKeyRef"], facts, sources.secrets)
    raise ConfigMissing(f"env {entry['name']}: valueFrom.{next(iter(source))} is not supported")


def _key_of(what: str, ref: Doc, facts: Facts, known: Mapping[str, Doc]) -> str | None:
    doc = known.get(ref.get("name", ""))
    namespace, optional = facts.pod["metadata"]["namespace"], ref.get("optional", False)
    if doc is None:
        if optional:
            return None
        raise ConfigMissing(f'{what} "{ref.get("name", "")}" not found')
    value = contents(doc).get(ref["key"])
    if value is None and not optional:
        raise ConfigMissing(f"couldn't find key {ref['key']} in {_TITLES[what]} "
                            f"{namespace}/{ref.get('name', '')}")  # fmt: skip
    return None if value is None else value.decode(errors="replace")


def without_secrets(text: str, sources: Sources) -> str:
    """A text for others to read, such as an event's. Commands and paths may be made of secrets, and
    those who may read events need not be those who may read Secrets. Values of a few letters are
    left: any word could be one."""
    values = [value for doc in sources.secrets.values() for value in contents(doc).values()]
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= _SECRET_MIN_BYTES:
            text = text.replace(value.decode(errors="replace"), _REDACTED)
    return text


_TITLES = {"configmap": "ConfigMap", "secret": "Secret"}


def _all_of(source: Doc, sources: Sources) -> dict[str, str]:
    """The variables of one envFrom entry."""
    what = "configmap" if "configMapRef" in source else "secret"
    ref = source.get("configMapRef") or source.get("secretRef") or {}
    known = sources.config_maps if what == "configmap" else sources.secrets
    doc = known.get(ref.get("name", ""))
    if doc is None:
        if ref.get("optional"):
            return {}
        raise ConfigMissing(f'{what} "{ref.get("name", "")}" not found')
    prefix = source.get("prefix") or ""
    return {prefix + key: value.decode(errors="replace") for key, value in contents(doc).items()}


def contents(doc: Doc) -> dict[str, bytes]:
    """What a ConfigMap or a Secret holds, by key."""
    if doc.get("kind") == "Secret":
        return {key: base64.b64decode(value) for key, value in (doc.get("data") or {}).items()}
    texts = {key: value.encode() for key, value in (doc.get("data") or {}).items()}
    blobs = {key: base64.b64decode(value) for key, value in (doc.get("binaryData") or {}).items()}
    return texts | blobs


# -- services --------------------------------------------------------------------------------


def service_env(pod: Doc, services: Iterable[Doc]) -> dict[str, str]:
    """{NAME}_SERVICE_HOST and the variables of Docker's links. Without enableServiceLinks only
    those of the API server's own Service."""
    links, own = pod["spec"].get("enableServiceLinks", True), pod["metadata"]["namespace"]
    env: dict[str, str] = {}
    for service in services:
        metadata = service["metadata"]
        master = (metadata["namespace"], metadata["name"]) == ("default", "kubernetes")
        if master or (links and metadata["namespace"] == own):
            env |= _service_variables(service)
    return env


def _service_variables(service: Doc) -> dict[str, str]:
    spec = service["spec"]
    address, ports = spec.get("clusterIP"), spec.get("ports") or []
    if address in (None, "", "None") or not ports:
        return {}
    name = _variable(service["metadata"]["name"])
    env = {f"{name}_SERVICE_HOST": address, f"{name}_SERVICE_PORT": str(ports[0]["port"])}
    for port in ports:
        if port.get("name"):
            env[f"{name}_SERVICE_PORT_{_variable(port['name'])}"] = str(port["port"])
    for number, port in enumerate(ports):
        env |= _link_variables(name, address, port, number == 0)
    return env


def _link_variables(name: str, address: str, port: Doc, first: bool) -> dict[str, str]:
    protocol = port.get("protocol") or "TCP"
    url = f"{protocol.lower()}://{_bracketed(address)}:{port['port']}"
    prefix = f"{name}_PORT_{port['port']}_{protocol.upper()}"
    env = {f"{name}_PORT": url} if first else {}
    return env | {
        prefix: url,
        f"{prefix}_PROTO": protocol.lower(),
        f"{prefix}_PORT": str(port["port"]),
        f"{prefix}_ADDR": address,
    }


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")
