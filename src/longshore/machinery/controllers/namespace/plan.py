"""Decide how a namespace ends: what to delete next, and what to say about what is left.

Pure. Order and conditions are those of upstream's namespaced_resources_deleter: pods first, so that
nothing they use is taken from under them, then the rest, then the namespace's own finalizer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from longshore.base.clock import rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.machinery.controllers.common import conditions as cond

FINALIZER = "kubernetes"


@dataclass(frozen=True, slots=True)
class EndPlan:
    """delete: objects that have not been asked to go yet. status: the namespace's, as it should
    read. finalized: without our finalizer, if nothing is left."""

    delete: tuple[tuple[Kind, Doc], ...]
    status: Doc
    finalized: Doc | None


def plan(namespace: Doc, contents: Mapping[Kind, Sequence[Doc]], now: float) -> EndPlan:
    """contents: everything in the namespace, by kind. now is in seconds since the epoch."""
    left = {kind: docs for kind, docs in contents.items() if docs}
    first = {kinds.POD: left[kinds.POD]} if kinds.POD in left else left
    doomed = tuple(
        (kind, doc)
        for kind, docs in first.items()
        for doc in docs
        if "deletionTimestamp" not in doc["metadata"]
    )
    return EndPlan(doomed, _status(namespace, left, now), None if left else _finalized(namespace))


def _finalized(namespace: Doc) -> Doc:
    spec = namespace.get("spec") or {}
    kept = [one for one in spec.get("finalizers") or () if one != FINALIZER]
    return {**namespace, "spec": {**spec, "finalizers": kept}}


def _status(namespace: Doc, left: Mapping[Kind, Sequence[Doc]], now: float) -> Doc:
    before = namespace.get("status") or {}
    listed: list[Doc] = list(before.get("conditions") or ())
    for new in _conditions(left):
        told = cond.find(listed, new["type"])
        if told is not None and all(told.get(k) == v for k, v in new.items()):
            continue
        moved = told is None or told["status"] != new["status"]
        since = rfc3339(now) if moved or told is None else told["lastTransitionTime"]
        listed = [*cond.without(listed, new["type"]), {**new, "lastTransitionTime": since}]
    return {**before, "phase": "Terminating", "conditions": listed}


def _conditions(left: Mapping[Kind, Sequence[Doc]]) -> list[Doc]:
    return [
        _condition(
            "NamespaceDeletionDiscoveryFailure",
            False,
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        _condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            False,
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        _condition(
            "NamespaceDeletionContentFailure",
            False,
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        _remaining(left),
        _finalizers(left),
    ]


def _remaining(left: Mapping[Kind, Sequence[Doc]]) -> Doc:
    if not left:
        message = "All content successfully removed"
        return _condition("NamespaceContentRemaining", False, "ContentRemoved", message)
    told = sorted(
        f"{kind.plural}.{kind.group} has {len(docs)} resource instances"
        for kind, docs in left.items()
    )
    message = f"Some resources are remaining: {', '.join(told)}"
    return _condition("NamespaceContentRemaining", True, "SomeResourcesRemain", message)


def _finalizers(left: Mapping[Kind, Sequence[Doc]]) -> Doc:
    holding = Counter(
        one
        for docs in left.values()
        for doc in docs
        for one in doc["metadata"].get("finalizers") or ()
    )
    if not holding:
        message = "All content-preserving finalizers finished"
        return _condition("NamespaceFinalizersRemaining", False, "ContentHasNoFinalizers", message)
    told = sorted(f"{name} in {count} resource instances" for name, count in holding.items())
    message = f"Some content in the namespace has finalizers remaining: {', '.join(told)}"
    return _condition("NamespaceFinalizersRemaining", True, "SomeFinalizersRemain", message)


def _condition(type_: str, holds: bool, reason: str, message: str) -> Doc:
    status = "True" if holds else "False"
    return {"type": type_, "status": status, "reason": reason, "message": message}
