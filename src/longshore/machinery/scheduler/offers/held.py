"""What the scheduler knows of offers and of other schedulers' pods. No I/O.

In the view an offer is what it still holds, as if a pod of that size stood there, so that nothing is
placed on it. What each of the other schedulers has, in offers and pods, is kept by its name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from longshore.core.objects.kinds import Doc
from longshore.core.objects.offers import Amounts, Holds, accepted_by, offered
from longshore.core.objects.pod_requests import requests_of
from longshore.machinery.scheduler.pods.podclass import PodClass, PodClasses

PREFIX = "offer/"
"""Of the uids under which offers stand in the view. No pod's uid has a slash."""


class Taken(NamedTuple):
    """What a pod of another scheduler has, and the offer that it was bound against, or empty."""

    scheduler: str
    node: str
    offer: str
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class Standing:
    """An offer as the view shall have it: what is left of it, on its node."""

    uid: str
    node: str
    pod_class: PodClass


class HeldOffers:
    def __init__(self) -> None:
        self._schedulers: dict[str, tuple[str, str]] = {}
        self._holds: dict[str, Holds] = {}
        self._pods: dict[str, Taken] = {}
        self._used: dict[str, Counter[str]] = {}
        self._plain = PodClasses().of(_NOTHING)

    def put(self, offer: Doc) -> Standing | None:
        """Note an offer as it is now; how it stands, None if it has no node yet."""
        name, spec = offer["metadata"]["name"], offer["spec"]
        node = spec.get("nodeName")
        if not node:
            return None
        self._schedulers[name] = (spec["schedulerName"], node)
        self._holds.setdefault(node, Holds()).put(name, offered(offer))
        return self._standing(name)

    def drop(self, name: str) -> str:
        """Forget an offer; the uid under which it stood."""
        _, node = self._schedulers.pop(name, ("", ""))
        if node:
            self._holds[node].drop(name)
        return f"{PREFIX}{name}"

    def took(self, uid: str, pod: Doc) -> Standing | None:
        """A pod of another scheduler has a node; how the offer stands that it was bound against."""
        if uid in self._pods:
            return None
        spec = pod["spec"]
        amounts = {"pods": 1, **requests_of(spec)}
        taken = Taken(spec["schedulerName"], spec["nodeName"], accepted_by(pod), amounts)
        self._pods[uid] = taken
        return self._count(taken, 1)

    def ended(self, uid: str) -> Standing | None:
        """A pod is gone; how the offer stands that it was bound against, which has it again."""
        taken = self._pods.pop(uid, None)
        return None if taken is None else self._count(taken, -1)

    def used(self) -> dict[str, Mapping[str, int]]:
        """What each of the other schedulers has: its pods, and what its offers hold."""
        found = {name: Counter(amounts) for name, amounts in self._used.items()}
        for name, (scheduler, node) in self._schedulers.items():
            found.setdefault(scheduler, Counter()).update(self._holds[node].left(name))
        return dict(found)

    def _count(self, taken: Taken, sign: int) -> Standing | None:
        used = self._used.setdefault(taken.scheduler, Counter())
        for resource, value in taken.amounts.items():
            used[resource] += sign * value
        if not taken.offer:
            return None
        self._holds.setdefault(taken.node, Holds()).take(taken.offer, taken.amounts, sign)
        there = self._schedulers.get(taken.offer)
        return self._standing(taken.offer) if there and there[1] == taken.node else None

    def _standing(self, name: str) -> Standing:
        node = self._schedulers[name][1]
        # Pods are told too: else the view would count one for what stands there.
        left = {"pods": 0, **self._holds[node].left(name)}
        load = ("offer", *sorted(left.items()))
        shape = replace(self._plain, requests=left, scored=(0, 0), load=load)
        return Standing(f"{PREFIX}{name}", node, shape)


_NOTHING: Doc = {"metadata": {"name": "", "namespace": ""}, "spec": {"containers": []}}
