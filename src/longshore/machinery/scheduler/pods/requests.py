"""How much of a node a pod takes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import amount, requests_of

# What a container that does not name cpu or memory is taken to use when nodes are scored, never
# when they are filtered (scheduler/util DefaultMilliCPURequest, DefaultMemoryRequest).
UNNAMED: Mapping[str, str] = MappingProxyType({"cpu": "100m", "memory": "200Mi"})
# Columns are of 64 bits, and hold sums: nobody has more than that of anything.
_LARGEST = 2**52


def pod_requests(spec: Doc) -> dict[str, int]:
    """What must be free on the node, by resource: cpu in millis, all else in whole units."""
    return {name: min(value, _LARGEST) for name, value in requests_of(spec).items()}


def scored_requests(spec: Doc, requests: Mapping[str, int]) -> tuple[int, int]:
    """cpu millis and memory bytes as scores count them: each container that does not name one of
    them is taken to use a little."""
    containers = [*spec["containers"], *(spec.get("initContainers") or ())]
    if all(UNNAMED.keys() <= _named(one).keys() for one in containers):
        return requests.get("cpu", 0), requests.get("memory", 0)
    filled = dict(spec)
    for field in ("containers", "initContainers"):
        filled[field] = [_filled(one) for one in spec.get(field) or ()]
    scored = pod_requests(filled)
    return scored.get("cpu", 0), scored.get("memory", 0)


def capacity(resource: str, text: str | int | float) -> int:
    """What a node says that it has, as pod_requests() counts."""
    return max(0, min(amount(resource, text), _LARGEST))


def _named(container: Doc) -> Doc:
    named: Doc = (container.get("resources") or {}).get("requests") or {}
    return named


def _filled(container: Doc) -> Doc:
    return {**container, "resources": {"requests": {**UNNAMED, **_named(container)}}}
