"""What a delete does to an object: gone at once, or marked and waiting. Pure.

Rules: kubernetes.io/docs/concepts/architecture/garbage-collection and pod-lifecycle#pod-termination.
"""

from __future__ import annotations

from longshore.base.clock import parse_rfc3339, rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.errors import Conflict, Invalid
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import DeleteOptions

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
_FINALIZER_OF = {"Foreground": FOREGROUND, "Orphan": ORPHAN}
# Kinds that were there before garbage collection keep their dependents where nothing is said
# (pkg/registry/{batch/job,core/replicationcontroller}/strategy.go DefaultGarbageCollectionPolicy).
_KEEP_DEPENDENTS = frozenset((kinds.JOB, kinds.REPLICATION_CONTROLLER))


def check_preconditions(kind: Kind, doc: Doc, options: DeleteOptions) -> None:
    """Raises Conflict when the object is not the one that was meant."""
    metadata = doc["metadata"]
    name = metadata["name"]
    uid, revision = metadata["uid"], metadata["resourceVersion"]
    if options.uid and options.uid != uid:
        why = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({uid}). "
            "The object might have been deleted and then recreated"
        )
        raise Conflict.of(kind, name, why)
    if options.revision and options.revision != revision:
        why = (
            f"the ResourceVersion in the precondition ({options.revision}) does not match the "
            f"ResourceVersion in record ({revision}). The object might have been modified"
        )
        raise Conflict.of(kind, name, why)


def plan_delete(kind: Kind, doc: Doc, options: DeleteOptions, now: float) -> Doc | None:
    """The object as the delete leaves it, or None when it is to go at once.

    doc and its fields are the caller's own, and are changed in place; what is below them may be shared. now is in seconds since the epoch.
    """
    if options.grace_s is not None and options.grace_s < 0:
        raise Invalid.of(kind, doc["metadata"]["name"], [])
    if _is_pending(kind, doc, options):
        return doc
    if kind.kept_as is not kinds.EVENT:  # which nothing depends on
        _set_finalizer(doc, options.propagation or _unsaid(kind, doc))
    grace = _grace(kind, doc, options)
    if is_finished(kind, doc, grace):
        return None
    _mark(doc, grace, now)
    if kind is kinds.NAMESPACE:
        doc["status"] = {**(doc.get("status") or {}), "phase": "Terminating"}
    return doc


def is_finished(kind: Kind, doc: Doc, grace_s: int | None = None) -> bool:
    """Nothing holds the object any more: no finalizer, no grace left."""
    metadata = doc["metadata"]
    if metadata.get("finalizers"):
        return False
    if kind is kinds.NAMESPACE and (doc.get("spec") or {}).get("finalizers"):
        return False
    grace = metadata.get("deletionGracePeriodSeconds", 0) if grace_s is None else grace_s
    return not grace


def _grace(kind: Kind, doc: Doc, options: DeleteOptions) -> int:
    """Seconds that the object may still live: only pods that run somewhere have any."""
    if kind is not kinds.POD:
        return 0
    spec, status = doc.get("spec") or {}, doc.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    grace = options.grace_s
    if grace is None:
        grace = spec.get("terminationGracePeriodSeconds")
    return 30 if grace is None else int(grace)


def _mark(doc: Doc, grace: int, now: float) -> None:
    metadata = doc["metadata"]
    until = now + grace
    before = metadata.get("deletionTimestamp")
    # A second delete may shorten what is left, never lengthen it.
    if before is not None and parse_rfc3339(before) <= until:
        return
    if before is None:
        metadata["generation"] = metadata.get("generation", 0) + 1
    metadata["deletionTimestamp"] = rfc3339(until)
    metadata["deletionGracePeriodSeconds"] = grace


def _is_pending(kind: Kind, doc: Doc, options: DeleteOptions) -> bool:
    """A pod that ends in its own time already: all that a delete can do is to shorten that."""
    left = doc["metadata"].get("deletionGracePeriodSeconds")
    if kind is not kinds.POD or left is None:
        return False
    return options.grace_s is None or options.grace_s >= left


def _unsaid(kind: Kind, doc: Doc) -> str:
    """The policy of a delete that names none (store.go shouldOrphanDependents)."""
    finalizers = doc["metadata"].get("finalizers") or ()
    for policy, finalizer in _FINALIZER_OF.items():
        if finalizer in finalizers:
            return policy
    return "Orphan" if kind in _KEEP_DEPENDENTS else "Background"


def _set_finalizer(doc: Doc, propagation: str) -> None:
    wanted, metadata = _FINALIZER_OF.get(propagation), doc["metadata"]
    given = metadata.get("finalizers") or ()
    if wanted in given:
        metadata["finalizers"] = [f for f in given if f == wanted or f not in (FOREGROUND, ORPHAN)]
        return
    kept = [f for f in given if f not in (FOREGROUND, ORPHAN)]
    if wanted is not None:
        kept.append(wanted)
    if kept:
        metadata["finalizers"] = kept
    else:
        metadata.pop("finalizers", None)
