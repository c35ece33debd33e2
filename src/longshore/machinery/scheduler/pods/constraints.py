"""What a pod's constraints ask of nodes, sorted by who answers. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from longshore.core.objects.constraints import (
    ANNOTATION,
    DISTINCT_HOSTS,
    DISTINCT_PROPERTY,
    BadConstraint,
    Constraint,
    parse,
)
from longshore.machinery.scheduler.pods.demand import NODE_NAME

# Annotations that are remembered decoded: one for each workload that has some.
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Constraints:
    """demands must be met, wishes are weighed. apart: (attribute, how many pods of one controller
    may share a value of it). mistake: why the annotation cannot be read ("" if it can)."""

    demands: tuple[Constraint, ...]
    wishes: tuple[Constraint, ...]
    apart: tuple[tuple[str, int], ...]
    mistake: str = ""


@lru_cache(_REMEMBERED)
def read_constraints(text: str) -> Constraints | None:
    """None if nothing is asked."""
    if not text:
        return None
    try:
        found = parse(text)
    except BadConstraint as error:
        return Constraints((), (), (), f"metadata.annotations[{ANNOTATION}]: {error}")
    distinct = (DISTINCT_HOSTS, DISTINCT_PROPERTY)
    return Constraints(
        demands=tuple(c for c in found if not c.weight and c.operator not in distinct),
        wishes=tuple(c for c in found if c.weight),
        apart=tuple(_apart(c) for c in found if c.operator in distinct),
    )


def _apart(one: Constraint) -> tuple[str, int]:
    if one.operator == DISTINCT_HOSTS:
        return NODE_NAME, 1
    return key_of(one.attribute), one.count


def key_of(attribute: str) -> str:
    """Under which an attribute is found among a node's labels."""
    return NODE_NAME if attribute == "node:name" else attribute
