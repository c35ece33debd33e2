"""What a pod asks of the node itself: selectors, node affinity, tolerations. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import Requirement, node_requirement
from longshore.core.objects.taints import Toleration, tolerations_of

# The name of a node, among its labels: no label's key can begin with a NUL.
NODE_NAME = "\0metadata.name"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"

Term = tuple[Requirement, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """What a pod asks of the node itself. terms: one of them must hold (empty: no demand).
    preferred: (weight, term). pinned: the only nodes that terms leave by name, None if they do not
    name any (as the pods of a DaemonSet do)."""

    selector: Term
    terms: tuple[Term, ...]
    preferred: tuple[tuple[int, Term], ...]
    tolerations: tuple[Toleration, ...]
    pinned: frozenset[str] | None = None


def read_demand(spec: Doc) -> Demand:
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    demanded = (affinity.get(REQUIRED) or {}).get("nodeSelectorTerms") or ()
    labels = spec.get("nodeSelector") or {}
    terms = tuple(term_of(one) for one in demanded)
    return Demand(
        selector=tuple(Requirement(key, "in", (value,)) for key, value in labels.items()),
        terms=terms,
        preferred=tuple(
            (int(one["weight"]), term_of(one["preference"]))
            for one in affinity.get(PREFERRED) or ()
        ),
        tolerations=tolerations_of(spec),
        pinned=_pinned(terms),
    )


def _pinned(terms: tuple[Term, ...]) -> frozenset[str] | None:
    """The names that terms leave, if each of them asks for some (NodeAffinity's PreFilter)."""
    left: set[str] = set()
    for term in terms:
        asked = [set(one.values) for one in term if one.key == NODE_NAME and one.operator == "in"]
        if not asked:
            return None
        left |= set.intersection(*asked)
    return frozenset(left) if terms else None


def term_of(term: Doc) -> Term:
    """A node selector term. One without any requirement matches no node: it asks for the
    impossible, a node without a name."""
    requirements = [node_requirement(one) for one in term.get("matchExpressions") or ()]
    requirements += [node_requirement(one, NODE_NAME) for one in term.get("matchFields") or ()]
    return tuple(requirements) or (Requirement(NODE_NAME, "!", ()),)
