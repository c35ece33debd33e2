"""What a pod asks of its node, in whole numbers: for all who compare it with what a node has.

Source: component-helpers/resource (PodRequests), KEP-2837 (resources of a pod as a whole).
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache

from longshore.base import quantities
from longshore.core.objects.kinds import Doc


def requests_of(spec: Doc) -> dict[str, int]:
    """Amounts by resource (cpu in millis, the rest in whole units), none of them 0: containers and
    sidecars together, or the peak of the init containers, whichever is more; what the pod says of
    itself as a whole; and its overhead."""
    total: dict[str, int] = {}
    for container in spec["containers"]:
        _add(total, _of(container))
    sidecars, peak = _initial(spec)
    _add(total, sidecars)
    _raise_to(total, peak)
    total |= _of(spec)
    _add(total, amounts_of(spec.get("overhead") or {}))
    return {name: value for name, value in total.items() if value > 0}


def amounts_of(quantities_by_resource: Mapping[str, str | int | float]) -> dict[str, int]:
    """Quantities as requests_of() counts them."""
    return {name: amount(name, text) for name, text in quantities_by_resource.items()}


@lru_cache(maxsize=4096)
def amount(resource: str, text: str | int | float) -> int:
    """A quantity, rounded up: cpu in thousandths, all else in whole units."""
    return quantities.millis(text) if resource == "cpu" else quantities.whole(text)


def written(resource: str, value: int) -> str:
    """The quantity that amount() reads as value."""
    exact = Fraction(value, 1000) if resource == "cpu" else value
    return quantities.text(exact, binary=resource == "memory")


def _initial(spec: Doc) -> tuple[dict[str, int], dict[str, int]]:
    """What sidecars ask for together, and the most that is asked for while a pod starts."""
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        own = _of(container)
        if container.get("restartPolicy") == "Always":
            _add(sidecars, own)
            _raise_to(peak, sidecars)
        else:
            _add(own, sidecars)
            _raise_to(peak, own)
    return sidecars, peak


def _of(holder: Doc) -> dict[str, int]:
    return amounts_of((holder.get("resources") or {}).get("requests") or {})


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _raise_to(total: dict[str, int], least: Mapping[str, int]) -> None:
    for name, value in least.items():
        total[name] = max(total.get(name, 0), value)
