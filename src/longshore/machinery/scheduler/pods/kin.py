"""Who a pod is to other pods: its namespace and labels, and how others speak of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from longshore.core.objects.selectors import EVERYTHING, Selector

Labels = Mapping[str, str]
# Labels that tell the pods of one workload apart, or that a pod gets with its node. Classes leave them
# out, so that such pods are placed together and keep their class, until a selector asks for one of them.
OWN_LABELS = frozenset(
    (
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
        "batch.kubernetes.io/job-completion-index",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    )
)


# Under which key of a Place an owner stands: no label's key can begin with a NUL.
OWNER = "\0owner"
Place = tuple[str, str, str]
"""(namespace, key, value) of a label that pods have, or must have to be meant; empty where that is not
known."""


@dataclass(frozen=True, slots=True, eq=False)
class Kin:
    """Pods that nothing said of pods tells apart. owner: the uid of their controller. leaving: they
    are being deleted. places: where they are filed, and what may concern them."""

    namespace: str
    labels: Labels
    owner: str = ""
    leaving: bool = False
    places: tuple[Place, ...] = field(init=False)

    def __post_init__(self) -> None:
        owner = [(self.namespace, OWNER, self.owner)] if self.owner else []
        labels = [(self.namespace, key, value) for key, value in self.labels.items()]
        object.__setattr__(self, "places", ((self.namespace, "", ""), *owner, *labels))


@dataclass(frozen=True, slots=True)
class PodSelector:
    """Pods by label in some namespaces: those named, and those whose labels the selector of
    namespaces meets. labels None selects no pod."""

    namespaces: frozenset[str]
    of_namespaces: Selector | None
    labels: Selector | None

    def matches(self, kin: Kin, namespaces: Mapping[str, Labels]) -> bool:
        """namespaces: the labels of each."""
        if self.labels is None or not self.labels.matches(kin.labels):
            return False
        if kin.namespace in self.namespaces:
            return True
        asked = self.of_namespaces
        return asked is not None and asked.matches(namespaces.get(kin.namespace))


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """Pods that all parts select, of one owner if it is named. leaving: also those that are being
    deleted."""

    parts: tuple[PodSelector, ...]
    leaving: bool
    owner: str = ""

    def matches(self, kin: Kin, namespaces: Mapping[str, Labels]) -> bool:
        if (kin.leaving and not self.leaving) or (self.owner and self.owner != kin.owner):
            return False
        return all(part.matches(kin, namespaces) for part in self.parts)


class Queries:
    """Makes queries; equal ones are the same object, so that their counts are kept once."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[PodSelector, ...], bool], Query] = {}
        self._of_peers: dict[tuple[str, str], Query] = {}
        self.keys: set[str] = set()
        """The keys of labels that any of them asks for."""

    def of(self, *parts: PodSelector, leaving: bool) -> Query:
        found = self._known.get((parts, leaving))
        if found is None:
            found = self._known[parts, leaving] = Query(parts, leaving)
            for part in parts:
                asked = part.labels.requirements if part.labels else ()
                self.keys.update(one.key for one in asked)
        return found

    def of_peers(self, kin: Kin) -> Query | None:
        """Pods of the same controller, None if there is none."""
        if not kin.owner:
            return None
        found = self._of_peers.get((kin.namespace, kin.owner))
        if found is None:
            everyone = PodSelector(frozenset((kin.namespace,)), None, EVERYTHING)
            found = Query((everyone,), False, kin.owner)
            self._of_peers[kin.namespace, kin.owner] = found
        return found

    def of_siblings(self, kin: Kin) -> Query | None:
        """The same, with those that are being deleted."""
        peers = self.of_peers(kin)
        return None if peers is None else replace(peers, leaving=True)

    def clear(self) -> None:
        self._known.clear()
        self._of_peers.clear()
