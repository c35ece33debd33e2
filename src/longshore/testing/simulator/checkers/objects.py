"""What an object never does in its life."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.core.objects.kinds import Doc
from longshore.testing.simulator.record import Record, Violation

_NEVER_CHANGE = ("uid", "creationTimestamp", "name", "namespace")


def identity(record: Record) -> Iterator[Violation]:
    """uid and time of creation stay, a deletion is not taken back, generation does not fall, a pod that
    has a node keeps it, and no two objects share a uid."""
    there: dict[str, Doc] = {}
    uids: dict[str, str] = {}
    for entry, doc in record.decoded():
        before = there.pop(entry.key, None)
        if doc is None:
            continue
        there[entry.key] = doc
        uid = doc["metadata"]["uid"]
        if before is None and uids.setdefault(uid, entry.key) != entry.key:
            yield _broken(entry.key, f"has the uid of {uids[uid]}")
        for sentence in _unlike(before, doc) if before is not None else ():
            yield _broken(entry.key, f"{sentence} at revision {entry.revision}")


def _unlike(before: Doc, after: Doc) -> Iterator[str]:
    old, new = before["metadata"], after["metadata"]
    for field in _NEVER_CHANGE:
        if old.get(field) != new.get(field):
            yield f"changed its {field} from {old.get(field)} to {new.get(field)}"
    if "deletionTimestamp" in old and "deletionTimestamp" not in new:
        yield "took its deletion back"
    if old.get("generation", 0) > new.get("generation", 0):
        yield "lost a generation"
    node = (before.get("spec") or {}).get("nodeName") if before.get("kind") == "Pod" else None
    if node and after["spec"].get("nodeName") != node:
        yield f"moved from {node} to {after['spec'].get('nodeName')}"


def _broken(key: str, sentence: str) -> Violation:
    return Violation("identity", f"{key} {sentence}", (key,))
