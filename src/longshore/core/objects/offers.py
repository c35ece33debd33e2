"""Offers of capacity: what they hold of a node, and what is left of it. Pure.

Whoever counts what a node has left (the registry's ledger, the scheduler's view) counts offers with
this, so that both agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import amounts_of

ANNOTATION = "scheduling.longshore.io/offer"
"""On a Binding, and on the pod that was bound by it: the offer's name."""

Amounts: TypeAlias = Mapping[str, int]
"""By resource: cpu in millis, the rest in whole units, "pods" among them."""

NOTHING: Amounts = {}


def accepted_by(pod: Doc) -> str:
    """The offer that a pod was bound against; empty if none."""
    annotations = pod["metadata"].get("annotations")
    return str(annotations.get(ANNOTATION, "")) if annotations else ""


def offered(offer: Doc) -> Amounts:
    """What an offer holds, before anything is bound against it."""
    return amounts_of(offer["spec"].get("resources") or {})


class Holds:
    """Offers of one node. What pods take that are bound against one is held no longer; where such a
    pod ends, the offer has it again."""

    __slots__ = ("_offered", "_taken")

    def __init__(self) -> None:
        self._offered: dict[str, Amounts] = {}
        self._taken: dict[str, dict[str, int]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._offered

    def put(self, name: str, amounts: Amounts) -> None:
        self._offered[name] = amounts

    def drop(self, name: str) -> None:
        self._offered.pop(name, None)

    def take(self, name: str, amounts: Amounts, sign: int) -> None:
        """A pod that is bound against an offer comes, or with -1 is gone."""
        taken = self._taken.setdefault(name, {})
        for resource, value in amounts.items():
            taken[resource] = taken.get(resource, 0) + sign * value
        if not any(taken.values()):
            del self._taken[name]

    def left(self, name: str) -> Amounts:
        """What an offer still holds; nothing if it is not there."""
        amounts = self._offered.get(name, NOTHING)
        taken = self._taken.get(name)
        if not taken:
            return amounts
        return {one: max(value - taken.get(one, 0), 0) for one, value in amounts.items()}
