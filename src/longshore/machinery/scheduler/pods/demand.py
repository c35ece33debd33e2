"""What a pod asks of the node itself: selectors, node affinity, tolerations. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import Requirement
from longshore.machinery.scheduler.taints import Toleration, tolerations_of

# The name of a node, among its labels: no label's key can begin with a NUL.
NODE_NAME = "\0metadata.name"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"

_OPERATORS = {
    "In": "in",
    "NotIn": "notin",
    "Exists": "exists",
    "DoesNotExist": "!",
    "Gt": "gt",
    "Lt": "lt",
}

Term = tuple[Requirement, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """What a pod asks of the node itself. terms: one of them must hold (empty: no demand).
    preferred: (weight, term)."""

    selector: Term
    terms: tuple[Term, ...]
    preferred: tuple[tuple[int, Term], ...]
    tolerations: tuple[Toleration, ...]


def read_demand(spec: Doc) -> Demand:
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    demanded = (affinity.get(REQUIRED) or {}).get("nodeSelectorTerms") or ()
    labels = spec.get("nodeSelector") or {}
    return Demand(
        selector=tuple(Requirement(key, "in", (value,)) for key, value in labels.items()),
        terms=tuple(_term(one) for one in demanded),
        preferred=tuple(
            (int(one["weight"]), _term(one["preference"])) for one in affinity.get(PREFERRED) or ()
        ),
        tolerations=tolerations_of(spec),
    )


def _term(term: Doc) -> Term:
    """A node selector term. One without any requirement matches no node: it asks for the
    impossible, a node without a name."""
    requirements = [_requirement(one, one["key"]) for one in term.get("matchExpressions") or ()]
    requirements += [_requirement(one, NODE_NAME) for one in term.get("matchFields") or ()]
    return tuple(requirements) or (Requirement(NODE_NAME, "!", ()),)


def _requirement(one: Doc, key: str) -> Requirement:
    return Requirement(key, _OPERATORS[one["operator"]], tuple(one.get("values") or ()))
