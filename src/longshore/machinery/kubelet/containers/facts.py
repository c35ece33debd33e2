"""Facts about a pod and its node that containers may ask for (the downward API). Pure.

Source of the field names: pkg/fieldpath and pkg/api/v1/resource (ExtractResourceValueByContainerName).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from longshore.base import quantities
from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.config import KUBELET_DIRECTORY

_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['(.*)'\]$")


class ConfigMissing(Exception):
    """A container asks for something that is not there; the message says what."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known once the network is attached. allocatable is the node's, as quantities; home the
    directory of its kubelet."""

    pod: Doc
    node_name: str
    host_ip: str
    ips: tuple[str, ...] = ()
    allocatable: Mapping[str, str] = field(default_factory=dict)
    home: str = KUBELET_DIRECTORY


def field_value(facts: Facts, path: str) -> str:
    """The value of a fieldRef. Raises ConfigMissing for a path that is not offered."""
    metadata, spec = facts.pod["metadata"], facts.pod["spec"]
    simple = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "metadata.labels": _lines(metadata.get("labels") or {}),
        "metadata.annotations": _lines(metadata.get("annotations") or {}),
        "spec.nodeName": facts.node_name,
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": facts.host_ip,
        "status.hostIPs": facts.host_ip,
        "status.podIP": facts.ips[0] if facts.ips else "",
        "status.podIPs": ",".join(facts.ips),
    }
    if path in simple:
        return str(simple[path])
    if (match := _SUBSCRIPT.match(path)) is not None:
        return str((metadata.get(match[1]) or {}).get(match[2], ""))
    raise ConfigMissing(f"unsupported fieldPath: {path}")


def _lines(pairs: Mapping[str, str]) -> str:
    """key="escaped value", one a line, as downward API files have labels (fieldpath.FormatMap)."""
    return "\n".join(f"{key}={_quoted(pairs[key])}" for key in sorted(pairs))


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped.replace(chr(9), chr(92) + "t")}"'


def resource_value(facts: Facts, ref: Doc, container_name: str) -> str:
    """The value of a resourceFieldRef: limits fall back to what the node can give."""
    name = ref.get("containerName") or container_name
    spec = facts.pod["spec"]
    containers = [*spec["containers"], *(spec.get("initContainers") or [])]
    container = next((c for c in containers if c["name"] == name), None)
    if container is None:
        raise ConfigMissing(f"container {name} not found")
    side, _, resource = ref["resource"].partition(".")
    amount = _amount(container.get("resources") or {}, side, resource, facts.allocatable)
    divisor = quantities.parse(ref.get("divisor") or 1) or Fraction(1)
    return str(-(-amount // divisor))


def _amount(resources: Doc, side: str, name: str, allocatable: Mapping[str, str]) -> Fraction:
    if side not in ("limits", "requests"):
        raise ConfigMissing(f"unsupported container resource: {side}.{name}")
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    if side == "requests":
        return quantities.parse(requests.get(name, limits.get(name, 0)))
    return quantities.parse(limits.get(name) or allocatable.get(name, "0"))
