"""How much of a node a pod takes. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from longshore.base import quantities
from longshore.core.objects.kinds import Doc


def pod_requests(spec: Doc) -> dict[str, int]:
    """What must be free on the node: containers and sidecars together, or the peak of the init
    containers, whichever is more, and the overhead (resourcehelpers.PodRequests)."""
    total: dict[str, int] = {}
    for container in spec["containers"]:
        _add(total, _amounts(container.get("resources")))
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        own = _amounts(container.get("resources"))
        if container.get("restartPolicy") == "Always":
            _add(sidecars, own)
            _raise_to(peak, sidecars)
        else:
            _raise_to(peak, _sum(sidecars, own))
    _add(total, sidecars)
    _raise_to(total, peak)
    total |= _amounts(spec.get("resources"))
    _add(total, _parsed(spec.get("overhead") or {}))
    return {name: amount for name, amount in total.items() if amount > 0}


def _amounts(resources: Doc | None) -> dict[str, int]:
    return _parsed((resources or {}).get("requests") or {})


def _parsed(amounts: Doc) -> dict[str, int]:
    return {name: amount(name, text) for name, text in amounts.items()}


def amount(resource: str, text: str | int | float) -> int:
    """A quantity as the columns count it: cpu in thousandths, all else in whole units."""
    return quantities.millis(text) if resource == "cpu" else quantities.whole(text)


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    total = dict(one)
    _add(total, other)
    return total


def _raise_to(total: dict[str, int], least: Mapping[str, int]) -> None:
    for name, value in least.items():
        total[name] = max(total.get(name, 0), value)
