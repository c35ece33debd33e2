"""Decide what becomes of an object whose owners changed. Pure.

Rules: upstream's pkg/controller/garbagecollector (attemptToDeleteItem) and k8s.io, Garbage Collection. An
object goes when all its owners are gone; one living owner keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common.owners import is_deleting, owners

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
INVALID_NAMESPACE = (
    "ownerRef [{apiVersion}/{kind}, namespace: , name: {name}, uid: {uid}] "
    'does not exist in namespace ""'
)
"""What is told of an owner reference from an object of no namespace to one of a kind that has them."""


class Owner(Enum):
    """How an owner reference stands."""

    SOLID = "solid"
    DANGLING = "dangling"
    WAITING = "waiting for its dependents to go"


Judge = Callable[[Doc], Owner]
"""Tells of an owner reference how its owner stands."""


@dataclass(frozen=True, slots=True)
class Fate:
    """delete: with this propagation ("" leaves the object). drop: uids of owners to let go.
    unblock: its references must no longer hold their owners (a circle would wait for itself)."""

    delete: str = ""
    drop: tuple[str, ...] = ()
    unblock: bool = False


STAYS = Fate()


def has_finalizer(doc: Doc, finalizer: str) -> bool:
    return finalizer in (doc["metadata"].get("finalizers") or ())


def is_waiting(doc: Doc) -> bool:
    """It is deleted in the foreground: it goes after its dependents."""
    return is_deleting(doc) and has_finalizer(doc, FOREGROUND)


def fate(doc: Doc, judge: Judge, dependents: Callable[[], Iterable[Doc]]) -> Fate:
    """What an object's owners mean for it. dependents are asked for only where it matters."""
    if not owners(doc) or (is_deleting(doc) and not is_waiting(doc)):
        return STAYS
    stands = {ref["uid"]: judge(ref) for ref in owners(doc)}
    gone = [uid for uid, how in stands.items() if how is Owner.DANGLING]
    waiting = [uid for uid, how in stands.items() if how is Owner.WAITING]
    if len(gone) + len(waiting) < len(stands):
        return Fate(drop=(*gone, *waiting))
    if waiting:
        below = list(dependents())
        circle = any(is_waiting(one) for one in below)
        return Fate("Foreground" if below else "Background", unblock=circle)
    return Fate(_propagation(doc))


def _propagation(doc: Doc) -> str:
    if has_finalizer(doc, ORPHAN):
        return "Orphan"
    return "Foreground" if has_finalizer(doc, FOREGROUND) else "Background"


def blocks(dependent: Doc, uid: str) -> bool:
    """Whether a dependent holds the owner of that uid."""
    return any(ref["uid"] == uid and ref.get("blockOwnerDeletion") for ref in owners(dependent))
