"""What a pod asks of its node, in whole numbers: for all who compare it with what a node has.

Source: component-helpers/resource (PodRequests), KEP-2837 (resources of a pod as a whole).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Generic, TypeVar

from longshore.base import quantities
from longshore.core.objects.kinds import Doc

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Arithmetic(Generic[A]):
    """How amounts by resource are read off a document (None: there are none), added to others, and
    raised to what is more in others."""

    read: Callable[[Doc | None], dict[str, A]]
    add: Callable[[dict[str, A], dict[str, A]], None]
    raise_to: Callable[[dict[str, A], dict[str, A]], None]


def summed(spec: Doc, side: str, how: Arithmetic[A]) -> dict[str, A]:
    """What a pod asks for but for its overhead; side is requests or limits: containers and sidecars
    together, or the peak of the init containers, whichever is more; and what the pod says of itself
    as a whole."""
    total: dict[str, A] = {}
    for container in spec.get("containers") or ():
        how.add(total, _of(container, side, how))
    sidecars, peak = _initial(spec, side, how)
    how.add(total, sidecars)
    how.raise_to(total, peak)
    return total | _of(spec, side, how)


def requests_of(spec: Doc) -> dict[str, int]:
    """Amounts by resource (cpu in millis, the rest in whole units), none of them 0, with the pod's
    overhead."""
    total = summed(spec, "requests", _WHOLE)
    _add(total, _read(spec.get("overhead")))
    return {name: value for name, value in total.items() if value > 0}


def limits_of(spec: Doc) -> dict[str, int]:
    """As requests_of(), of limits. What nobody limits is not there: overhead makes no limit."""
    total = summed(spec, "limits", _WHOLE)
    extra = _read(spec.get("overhead"))
    _add(total, {name: value for name, value in extra.items() if name in total})
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


def _initial(spec: Doc, side: str, how: Arithmetic[A]) -> tuple[dict[str, A], dict[str, A]]:
    """What sidecars ask for together, and the most that is asked for while a pod starts."""
    sidecars: dict[str, A] = {}
    peak: dict[str, A] = {}
    for container in spec.get("initContainers") or ():
        own = _of(container, side, how)
        if container.get("restartPolicy") == "Always":
            how.add(sidecars, own)
            how.raise_to(peak, sidecars)
        else:
            how.add(own, sidecars)
            how.raise_to(peak, own)
    return sidecars, peak


def _of(holder: Doc, side: str, how: Arithmetic[A]) -> dict[str, A]:
    return how.read((holder.get("resources") or {}).get(side))


def _read(amounts: Doc | None) -> dict[str, int]:
    return amounts_of(amounts) if amounts else {}


def _add(total: dict[str, int], more: dict[str, int]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _raise_to(total: dict[str, int], least: dict[str, int]) -> None:
    for name, value in least.items():
        total[name] = max(total.get(name, 0), value)


_WHOLE = Arithmetic(_read, _add, _raise_to)
