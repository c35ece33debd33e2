"""Topology spread constraints. Pure.

Source: https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import EVERYTHING, from_doc
from longshore.machinery.scheduler.pods.affinity import with_label_keys
from longshore.machinery.scheduler.pods.kin import Kin, PodSelector, Queries, Query


@dataclass(frozen=True, slots=True, eq=False)
class Constraint:
    """query: the pods that count, None for none; counts_itself: whether the pod itself does.
    honours_*: whether nodes that the pod's node affinity or its tolerations rule out are left out
    of the count."""

    topology_key: str
    max_skew: int
    min_domains: int
    query: Query | None
    counts_itself: bool
    honours_affinity: bool
    honours_taints: bool


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """hard: DoNotSchedule; soft: ScheduleAnyway."""

    hard: tuple[Constraint, ...]
    soft: tuple[Constraint, ...]


def spread_of(spec: Doc, kin: Kin, queries: Queries) -> Spread | None:
    """The constraints that a pod names itself; None if it names none."""
    docs = spec.get("topologySpreadConstraints")
    return read_spread(docs, kin, queries) if docs else None


def read_spread(docs: Iterable[Doc], kin: Kin, queries: Queries) -> Spread:
    hard: list[Constraint] = []
    soft: list[Constraint] = []
    for doc in docs:
        kept = hard if doc["whenUnsatisfiable"] == "DoNotSchedule" else soft
        kept.append(_constraint(doc, kin, queries))
    return Spread(tuple(hard), tuple(soft))


def default_spread(docs: Iterable[Doc]) -> Spread:
    """Constraints of pods that name none. They count the pods of one controller, so each of those
    counts itself."""
    read = read_spread(docs, Kin("", {}), Queries())
    hard, soft = (
        tuple(replace(one, counts_itself=True) for one in part) for part in (read.hard, read.soft)
    )
    return Spread(hard, soft)


def _constraint(doc: Doc, kin: Kin, queries: Queries) -> Constraint:
    selector = with_label_keys(from_doc(doc.get("labelSelector")), doc, kin.labels)
    pods = PodSelector(frozenset((kin.namespace,)), None, selector)
    # An empty selector counts no pod, yet means the pod itself (countPodsMatchSelector).
    nobody = selector is None or selector == EVERYTHING
    return Constraint(
        topology_key=doc["topologyKey"],
        max_skew=int(doc["maxSkew"]),
        min_domains=int(doc.get("minDomains") or 1),
        query=None if nobody else queries.of(pods, leaving=False),
        counts_itself=selector is not None and selector.matches(kin.labels),
        honours_affinity=doc.get("nodeAffinityPolicy", "Honor") == "Honor",
        honours_taints=doc.get("nodeTaintsPolicy", "Ignore") == "Honor",
    )
