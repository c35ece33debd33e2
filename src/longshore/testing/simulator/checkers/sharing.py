"""Gangs have nodes as a whole, queues stay within their quotas and get what is their own, and capacity
that is offered is nobody else's, for as long as the offer lasts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from longshore.core.objects.kinds import Doc
from longshore.testing.simulator.checkers.placement import amount, is_over, requests
from longshore.testing.simulator.record import Record, Violation

_PODS, _NODES = "/core/pods/", "/core/nodes/"
_GROUPS, _OFFERS = "/scheduling.k8s.io/podgroups/", "/scheduling.longshore.io/offers/"
_QUEUES = "/kueue.x-k8s.io/clusterqueues/"
# What clocks that jump and servers that are down may add to a lease.
_LATE_S = 400.0
Amounts = Mapping[str, Fraction]


def gangs(record: Record) -> Iterator[Violation]:
    """In the end, of a gang that nobody was taken from, nobody has a node or as many as have to."""
    taken: set[str] = set()
    for entry, doc in record.decoded():
        if entry.key.startswith(_PODS) and (doc is None or "deletionTimestamp" in doc["metadata"]):
            taken.add(entry.key)
    there = record.objects()
    names = {key: _member_of(doc) for key, doc in _whole_log(record) if _member_of(doc)}
    for key, group in there.items():
        if not key.startswith(_GROUPS):
            continue
        name, least = (
            group["metadata"]["name"],
            group["spec"]["schedulingPolicy"]["gang"]["minCount"],
        )
        members = [pod for pod, of in names.items() if of == name]
        placed = [pod for pod in members if pod in there and there[pod]["spec"].get("nodeName")]
        if not taken.intersection(members) and 0 < len(placed) < least:
            said = f"{len(placed)} pods of {key} have a node, {least} have to"
            yield Violation("gangs", said, (key, *placed))


def _whole_log(record: Record) -> Iterator[tuple[str, Doc]]:
    for entry, doc in record.decoded():
        if doc is not None and entry.key.startswith(_PODS):
            yield entry.key, doc


def _member_of(pod: Doc) -> str:
    return str((pod["spec"].get("schedulingGroup") or {}).get("podGroupName", ""))


def shares(record: Record) -> Iterator[Violation]:
    """Whenever a queue's pod gets a node, those of all queues take no more than all quotas."""
    quota: dict[str, Fraction] = {}
    used: dict[str, Fraction] = {}
    for entry, doc in record.decoded():
        if entry.key.startswith(_QUEUES) and doc is not None:
            quota[entry.key] = _nominal(doc)
        if not entry.key.startswith(_PODS):
            continue
        before = used.pop(entry.key, None)
        if doc is None or not _queue_of(doc) or is_over(doc) or not doc["spec"].get("nodeName"):
            continue
        used[entry.key] = requests(doc)["cpu"]
        total, limit = sum(used.values()), sum(quota.values())
        if before is None and total > limit:
            said = (
                f"{entry.key} got a node at {entry.revision}: {float(total)} cpu of {float(limit)}"
            )
            yield Violation("shares", said, (entry.key,))


def fair(record: Record) -> Iterator[Violation]:
    """In the end, nobody waits for what is the own queue's and is used by others."""
    there = record.objects()
    for key, queue in there.items():
        if not key.startswith(_QUEUES):
            continue
        name, nominal = queue["metadata"]["name"], _nominal(queue)
        pods = [(pod, doc) for pod, doc in there.items() if _lives(pod, doc, name)]
        held = [pod for pod, doc in pods if _waits_for_quota(doc)]
        used = sum(requests(doc)["cpu"] for pod, doc in pods if pod not in held)
        for pod in held:
            if used + requests(there[pod])["cpu"] <= nominal:
                said = (
                    f"{pod} waits, though queue {name} uses {float(used)} cpu of {float(nominal)}"
                )
                yield Violation("fair", said, (pod, key))


def _lives(key: str, doc: Doc, queue: str) -> bool:
    return key.startswith(_PODS) and _queue_of(doc) == queue and not is_over(doc)


def _waits_for_quota(pod: Doc) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return not pod["spec"].get("nodeName") and any(
        one["type"] == "PodScheduled" and "insufficient unused quota" in one.get("message", "")
        for one in conditions
    )


def _queue_of(pod: Doc) -> str:
    return str((pod["metadata"].get("labels") or {}).get("kueue.x-k8s.io/queue-name", ""))


def _nominal(queue: Doc) -> Fraction:
    (group,) = queue["spec"]["resourceGroups"]
    return amount(group["flavors"][0]["resources"][0]["nominalQuota"])


@dataclass(slots=True)
class _Node:
    """What a node has, and who has it: offers by name, and pods, each with the offer it is of."""

    has: Amounts = field(default_factory=dict)
    offers: dict[str, Amounts] = field(default_factory=dict)
    pods: dict[str, tuple[str, Amounts]] = field(default_factory=dict)

    def beyond(self) -> str:
        taken: dict[str, Fraction] = defaultdict(Fraction)
        _add(taken, (amounts for _, amounts in self.pods.values()))
        _add(taken, (self.left(name) for name in self.offers))
        over = {name: value for name, value in taken.items() if value > self.has.get(name, 0)}
        return ", ".join(f"{float(v)} {k} of {float(self.has.get(k, 0))}" for k, v in over.items())

    def left(self, offer: str) -> Amounts:
        taken: dict[str, Fraction] = defaultdict(Fraction)
        _add(taken, (amounts for of, amounts in self.pods.values() if of == offer))
        return {
            name: max(value - taken[name], Fraction(0))
            for name, value in self.offers[offer].items()
        }


def offers(record: Record) -> Iterator[Violation]:
    """Whenever something is offered or taken, what a node's pods have and what it offers besides is
    no more than there is; and an offer whose time is over is gone."""
    nodes: dict[str, _Node] = defaultdict(_Node)
    began: dict[str, tuple[float, float]] = {}
    for entry, doc in record.decoded():
        name = entry.key.rpartition("/")[2]
        if entry.key.startswith(_NODES) and doc is not None:
            nodes[name].has = _amounts((doc.get("status") or {}).get("allocatable") or {})
        elif entry.key.startswith((_PODS, _OFFERS)):
            holder = name if entry.key.startswith(_OFFERS) else entry.key
            if _note(nodes, entry.key, holder, doc) and (said := nodes[_at(doc)].beyond()):
                told = f"{entry.key} has a part of {_at(doc)} at revision {entry.revision}: {said}"
                yield Violation("offers", told, (entry.key,))
        if entry.key.startswith(_OFFERS):
            _time(began, entry.key, entry.at, doc)
    end = record.log[-1].at if record.log else 0.0
    for key, (at, lease_s) in began.items():
        if at + lease_s + _LATE_S < end:
            yield Violation(
                "offers", f"{key} is still there {end - at:.0f} s after it began", (key,)
            )


def _note(nodes: dict[str, _Node], key: str, holder: str, doc: Doc | None) -> bool:
    """Note what an offer or a pod has now; whether it is new there."""
    is_offer = key.startswith(_OFFERS)
    known = [
        node for node in nodes.values()
        if (node.offers if is_offer else node.pods).pop(holder, None) is not None
    ]  # fmt: skip
    if doc is None or not _at(doc) or is_over(doc):
        return False
    node = nodes[_at(doc)]
    if is_offer:
        node.offers[holder] = _amounts(doc["spec"].get("resources") or {})
    else:
        told = doc["metadata"].get("annotations") or {}
        node.pods[holder] = (told.get("scheduling.longshore.io/offer", ""), requests(doc))
    return not known


def _time(began: dict[str, tuple[float, float]], key: str, at: float, doc: Doc | None) -> None:
    if doc is None:
        began.pop(key, None)
    elif "expireTime" in (doc.get("status") or {}):
        began.setdefault(key, (at, float(doc["spec"]["leaseDurationSeconds"])))


def _at(doc: Doc | None) -> str:
    return str(doc["spec"].get("nodeName", "")) if doc is not None else ""


def _amounts(texts: Mapping[str, str]) -> Amounts:
    return {name: amount(text) for name, text in texts.items()}


def _add(total: dict[str, Fraction], parts: Iterable[Amounts]) -> None:
    for part in parts:
        for name, value in part.items():
            total[name] += value
