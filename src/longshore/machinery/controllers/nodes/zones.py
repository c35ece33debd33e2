"""How fast nodes are told to let go of their pods: by zone, and by how many nodes of it are well.

No clock: callers say what time it is. Rules: pkg/controller/nodelifecycle (ComputeZoneState,
handleDisruption). Where no node of any zone is ready the fault is likely here, and nothing is moved;
where most of a zone's are not, its pods would not fit elsewhere, and little is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common import conditions as cond

EXCLUDED = "node.kubernetes.io/exclude-disruption"
# The names of old, which upstream reads first.
_REGIONS = ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region")
_ZONES = ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone")
# Fewer nodes than that in trouble are no disruption, whatever their share.
_FEW = 2


@dataclass(frozen=True, slots=True)
class Rates:
    """Nodes per second that are tainted in a zone: normal, and secondary where a share of unhealthy
    of its nodes are not ready; there, in zones of at most large nodes, none. Defaults are upstream's
    (--node-eviction-rate and the flags beside it)."""

    normal: float = 0.1
    secondary: float = 0.01
    unhealthy: float = 0.55
    large: int = 50


def zone_of(node: Doc) -> str:
    """Region and zone as upstream joins them; empty if a node says neither."""
    labels = node["metadata"].get("labels") or {}
    region, zone = (
        next((labels[k] for k in keys if labels.get(k)), "") for keys in (_REGIONS, _ZONES)
    )
    return f"{region}:\x00:{zone}" if region or zone else ""


def is_ready(node: Doc) -> bool:
    ready = cond.find((node.get("status") or {}).get("conditions") or (), "Ready")
    return ready is not None and ready["status"] == "True"


class _Known(NamedTuple):
    """counted: whether its zone is judged by it."""

    zone: str
    counted: bool
    ready: bool


@dataclass(slots=True)
class _Zone:
    """size, sick: nodes by which it is judged, and those of them that are not ready. waiting: nodes that
    want to be tainted. last: the last one that was let, and when, in monotonic seconds."""

    size: int = 0
    sick: int = 0
    unready: set[str] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)
    last: tuple[str, float] = "", float("-inf")


class Zones:
    """What is known of all nodes, brought up to date with each change of one."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._known: dict[str, _Known] = {}
        self._zones: dict[str, _Zone] = {}
        self._well = 0

    def note(self, node: Doc) -> set[str]:
        """Take in how a node is; the nodes that are to be looked at again because of it."""
        counted = EXCLUDED not in (node["metadata"].get("labels") or {})
        known = _Known(zone_of(node), counted, is_ready(node))
        name = node["metadata"]["name"]
        return set() if known == self._known.get(name) else self._replace(name, known)

    def forget(self, name: str) -> set[str]:
        """The node is gone; see note()."""
        return self._replace(name, None)

    def are_lost(self) -> bool:
        """Whether there are nodes and none is ready."""
        return not self._well and any(zone.size for zone in self._zones.values())

    def wait_s(self, name: str, now: float) -> float | None:
        """In how many seconds a node may be tainted; None: not before its zone is better. From now on it
        stands in line, so that not all look again at the same time."""
        known = self._known.get(name)
        if known is None:
            return None
        zone = self._zones[known.zone]
        rate = self._rate(zone)
        ahead = 0 if name in zone.waiting else len(zone.waiting)
        zone.waiting.add(name)
        if not rate:
            return None
        who, at = zone.last
        left = at + 1 / rate - now
        # Whose taint could not be written need not wait to try again.
        return left + ahead / rate if left > 0 and who != name else 0.0

    def taint(self, name: str, now: float) -> str:
        """The node is about to be tainted; returns its zone."""
        known = self._known[name]
        zone = self._zones[known.zone]
        zone.last = name, now
        zone.waiting.discard(name)
        return known.zone

    def figures(self) -> list[tuple[str, int, int]]:
        """Each zone with its size, and how many of its nodes are not ready."""
        return [(name, zone.size, zone.sick) for name, zone in self._zones.items()]

    def _replace(self, name: str, known: _Known | None) -> set[str]:
        before = self._known.pop(name, None)
        touched = {one.zone for one in (before, known) if one is not None}
        zones = [self._zones.setdefault(zone, _Zone()) for zone in touched]
        were_lost, rates = self.are_lost(), [self._rate(zone) for zone in zones]
        if before is not None:
            self._count(name, before, -1)
        if known is not None:
            self._known[name] = known
            self._count(name, known, 1)
        again = {
            other
            for zone, rate in zip(zones, rates, strict=True)
            if self._rate(zone) != rate
            for other in zone.waiting
        }
        if self.are_lost() != were_lost:
            again |= {other for zone in self._zones.values() for other in zone.unready}
        return again

    def _count(self, name: str, known: _Known, by: int) -> None:
        zone = self._zones[known.zone]
        (zone.unready.discard if by < 0 or known.ready else zone.unready.add)(name)
        if by < 0 or known.ready:
            zone.waiting.discard(name)
        if known.counted:
            zone.size += by
            zone.sick += 0 if known.ready else by
            self._well += by if known.ready else 0

    def _rate(self, zone: _Zone) -> float:
        """Of a zone without any node that is ready the pods go at the normal rate: elsewhere is room."""
        full = zone.sick == zone.size
        if full or zone.sick <= _FEW or zone.sick / zone.size < self._rates.unhealthy:
            return self._rates.normal
        return self._rates.secondary if zone.size > self._rates.large else 0.0
