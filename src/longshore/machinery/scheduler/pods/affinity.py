"""Affinity and anti-affinity between pods. Pure.

Source of the rules: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import Requirement, Selector, from_doc
from longshore.machinery.scheduler.pods.demand import PREFERRED, REQUIRED
from longshore.machinery.scheduler.pods.kin import Labels, PodSelector, Queries, Query


class Role(Enum):
    """What a term is to the pod that carries it: NEAR and APART are demands, WISH is weighed."""

    NEAR = "near"
    APART = "apart"
    WISH = "wish"


@dataclass(frozen=True, slots=True)
class PodTerm:
    """Pods, and the kind of place that is shared with them. weight is of wishes alone: negative
    ones are to be apart."""

    topology_key: str
    query: Query
    role: Role
    weight: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class PodAffinity:
    """near_all selects the pods that all near terms mean, None if there are no such terms."""

    near: tuple[PodTerm, ...]
    near_all: Query | None
    apart: tuple[PodTerm, ...]
    wishes: tuple[PodTerm, ...]

    def __iter__(self) -> Iterator[PodTerm]:
        yield from self.near
        yield from self.apart
        yield from self.wishes


def affinity_of(spec: Doc, namespace: str, labels: Labels, queries: Queries) -> PodAffinity | None:
    """What a pod says of other pods; None if it says nothing."""
    affinity = spec.get("affinity") or {}
    near_doc, apart_doc = affinity.get("podAffinity") or {}, affinity.get("podAntiAffinity") or {}

    def terms(docs: list[Doc] | None, role: Role) -> tuple[PodTerm, ...]:
        return tuple(_term(one, namespace, labels, queries, role) for one in docs or ())

    def wishes(docs: list[Doc] | None, sign: int) -> tuple[PodTerm, ...]:
        return tuple(
            _term(
                one["podAffinityTerm"], namespace, labels, queries, Role.WISH,
                sign * int(one["weight"]),
            )
            for one in docs or ()
        )  # fmt: skip

    near = terms(near_doc.get(REQUIRED), Role.NEAR)
    found = PodAffinity(
        near=near,
        near_all=_all_of(near, queries),
        apart=terms(apart_doc.get(REQUIRED), Role.APART),
        wishes=wishes(near_doc.get(PREFERRED), 1) + wishes(apart_doc.get(PREFERRED), -1),
    )
    return found if any(found) else None


def _all_of(terms: tuple[PodTerm, ...], queries: Queries) -> Query | None:
    parts = dict.fromkeys(part for term in terms for part in term.query.parts)
    return queries.of(*parts, leaving=True) if parts else None


def _term(
    doc: Doc, namespace: str, labels: Labels, queries: Queries, role: Role, weight: int = 0
) -> PodTerm:
    named, of_namespaces = doc.get("namespaces") or (), from_doc(doc.get("namespaceSelector"))
    if not named and of_namespaces is None:
        named = (namespace,)
    selector = with_label_keys(from_doc(doc.get("labelSelector")), doc, labels)
    pods = PodSelector(frozenset(named), of_namespaces, selector)
    return PodTerm(doc["topologyKey"], queries.of(pods, leaving=True), role, weight)


def with_label_keys(selector: Selector | None, doc: Doc, labels: Labels) -> Selector | None:
    """A selector narrowed by the values that the asking pod itself has for the keys of
    matchLabelKeys and mismatchLabelKeys (KEP-3243, KEP-3633); keys that it lacks say nothing."""
    more = [
        Requirement(key, operator, (labels[key],))
        for field, operator in (("matchLabelKeys", "in"), ("mismatchLabelKeys", "notin"))
        for key in doc.get(field) or ()
        if key in labels
    ]
    if selector is None or not more:
        return selector
    return Selector((*selector.requirements, *more))
