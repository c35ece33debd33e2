"""Owner references: who controls whom, and how a controller claims what its selector matches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.selectors import Selector
from longshore.core.registry.client import Patch


def owners(doc: Doc) -> list[Doc]:
    return doc["metadata"].get("ownerReferences") or []


def controller(doc: Doc) -> Doc | None:
    """The reference of the one owner that manages the object, if there is one."""
    for owner in owners(doc):
        if owner.get("controller"):
            return owner
    return None


def is_deleting(doc: Doc) -> bool:
    return bool(doc["metadata"].get("deletionTimestamp"))


def controlled_by(uid: str, docs: Iterable[Doc]) -> list[Doc]:
    """Those of docs whose controller has that uid."""
    return [doc for doc in docs if (ref := controller(doc)) is not None and ref["uid"] == uid]


def reference(kind: Kind, owner: Doc) -> Doc:
    """What a controller writes into the objects that it makes."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


class Claims(NamedTuple):
    """Of all candidates: which are the owner's, which it should take, which let go."""

    mine: tuple[Doc, ...]
    adopt: tuple[Doc, ...]
    release: tuple[Doc, ...]


def claim(owner: Doc, selector: Selector, candidates: Iterable[Doc]) -> Claims:
    """Sort candidates as upstream's controller_ref_manager does: an owner that is being deleted
    takes nothing more, but still lets go; what is being deleted is not taken."""
    uid, leaving = owner["metadata"]["uid"], is_deleting(owner)
    mine: list[Doc] = []
    adopt: list[Doc] = []
    release: list[Doc] = []
    for doc in candidates:
        ref, fits = controller(doc), selector.matches(doc["metadata"].get("labels"))
        if ref is not None and ref["uid"] == uid:
            (mine if fits or leaving else release).append(doc)
        elif ref is None and fits and not leaving and not is_deleting(doc):
            adopt.append(doc)
    return Claims(tuple(mine), tuple(adopt), tuple(release))


def adoption(kind: Kind, doc: Doc, owner_kind: Kind, owner: Doc) -> Patch:
    """Take an orphan; Conflict if it has changed meanwhile."""
    return _set_owners(kind, doc, [*owners(doc), reference(owner_kind, owner)])


def without_owner(kind: Kind, doc: Doc, uids: Iterable[str]) -> Patch:
    """Let go of some owners; Conflict if the object has changed meanwhile."""
    gone = set(uids)
    return _set_owners(kind, doc, [ref for ref in owners(doc) if ref["uid"] not in gone])


def without_finalizer(kind: Kind, doc: Doc, finalizer: str) -> Patch:
    """Take one finalizer off; Conflict if the object has changed meanwhile."""
    left = [one for one in doc["metadata"].get("finalizers") or () if one != finalizer]
    return patch_metadata(kind, doc, {"finalizers": left or None})


def patch_metadata(kind: Kind, doc: Doc, fields: Doc) -> Patch:
    """Change metadata of exactly the state that was looked at."""
    metadata = doc["metadata"]
    guarded = {**fields, "resourceVersion": metadata["resourceVersion"]}
    namespace = metadata.get("namespace", "")
    return Patch(kind, namespace, metadata["name"], {"metadata": guarded})


def _set_owners(kind: Kind, doc: Doc, refs: list[Doc]) -> Patch:
    return patch_metadata(kind, doc, {"ownerReferences": refs})
