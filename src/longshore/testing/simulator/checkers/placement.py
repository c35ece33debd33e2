"""Where pods are, at every revision: within what their nodes have, each with an address of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction

from longshore.core.objects.kinds import Doc
from longshore.testing.simulator.record import Record, Violation

_PODS, _NODES, _SERVICES = "/core/pods/", "/core/nodes/", "/core/services/"
_UNITS = {
    "m": Fraction(1, 1000),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
}


def amount(text: str) -> Fraction:
    """A quantity as a number, for the few units that simulations use."""
    for unit, factor in _UNITS.items():
        if text.endswith(unit):
            return Fraction(text.removesuffix(unit)) * factor
    return Fraction(text)


def is_over(pod: Doc) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def requests(pod: Doc) -> dict[str, Fraction]:
    """What a pod of plain containers asks for, itself counted as one of "pods"."""
    total: dict[str, Fraction] = defaultdict(Fraction, pods=Fraction(1))
    for container in pod["spec"]["containers"]:
        for name, text in (container.get("resources", {}).get("requests") or {}).items():
            total[name] += amount(text)
    return total


def capacity(record: Record) -> Iterator[Violation]:
    """No pod is bound beyond what its node has to give."""
    room: dict[str, dict[str, Fraction]] = {}
    used: dict[str, dict[str, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
    placed: dict[str, tuple[str, dict[str, Fraction]]] = {}
    for entry, doc in record.decoded():
        if entry.key.startswith(_NODES) and doc is not None:
            allocatable = (doc.get("status") or {}).get("allocatable") or {}
            room[doc["metadata"]["name"]] = {k: amount(v) for k, v in allocatable.items()}
        if not entry.key.startswith(_PODS):
            continue
        if (old := placed.pop(entry.key, None)) is not None:
            _add(used[old[0]], old[1], -1)
        node = doc["spec"].get("nodeName", "") if doc is not None else ""
        if doc is None or not node or is_over(doc):
            continue
        placed[entry.key] = node, requests(doc)
        _add(used[node], placed[entry.key][1], 1)
        if old is None and (short := _beyond(used[node], room.get(node, {}))):
            sentence = f"{entry.key} was bound to {node} at revision {entry.revision}: {short}"
            yield Violation("capacity", sentence, (entry.key, _NODES + node))


def _add(total: dict[str, Fraction], part: dict[str, Fraction], sign: int) -> None:
    for name, value in part.items():
        total[name] += sign * value


def _beyond(used: dict[str, Fraction], room: dict[str, Fraction]) -> str:
    over = {name: value for name, value in used.items() if value > room.get(name, 0)}
    return ", ".join(f"{float(v)} {k} of {float(room.get(k, 0))}" for k, v in over.items())


def addresses(record: Record) -> Iterator[Violation]:
    """No two pods that are not over, and no two Services, have one address; no two Services one port
    of the nodes."""
    holders: dict[str, str] = {}
    held: dict[str, list[str]] = {}
    for entry, doc in record.decoded():
        for address in held.pop(entry.key, ()):
            holders.pop(address, None)
        for address in _addresses(entry.key, doc) if doc is not None else ():
            other = holders.setdefault(address, entry.key)
            if other != entry.key:
                sentence = (
                    f"{other} and {entry.key} both have {address} at revision {entry.revision}"
                )
                yield Violation("addresses", sentence, (other, entry.key))
            held.setdefault(entry.key, []).append(address)


def _addresses(key: str, doc: Doc) -> list[str]:
    spec, status = doc.get("spec") or {}, doc.get("status") or {}
    if key.startswith(_PODS):
        over = is_over(doc) or spec.get("hostNetwork")
        return [] if over else [one["ip"] for one in status.get("podIPs") or ()]
    if key.startswith(_SERVICES):
        ports = [
            f"node port {port['nodePort']}"
            for port in spec.get("ports") or ()
            if port.get("nodePort")
        ]
        return [*(spec.get("clusterIPs") or ()), *ports]
    return []
