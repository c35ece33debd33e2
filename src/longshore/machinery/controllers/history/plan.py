"""Decide which ControllerRevision is an owner's newest: one that is there, one to be numbered anew,
or one to be made.

Pure. The rules are upstream's pkg/controller/history: revisions are equal if their data are, the
newest has the highest number, and a rollback gives an old one the next number.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import orjson

from longshore.core.objects.kinds import Doc, Kind
from longshore.machinery.controllers.common.hashing import template_hash
from longshore.machinery.controllers.common.owners import reference

# On pods: whose revision they are of (apps.ControllerRevisionHashLabelKey). A StatefulSet's pods
# have the revision's name there, a DaemonSet's its hash.
HASH_LABEL = "controller-revision-hash"
# On a StatefulSet's revisions (history.ControllerRevisionHashLabel); a DaemonSet's have HASH_LABEL.
STATEFUL_HASH_LABEL = "controller.kubernetes.io/hash"

Verb: TypeAlias = Literal["keep", "number", "create"]


@dataclass(frozen=True, slots=True)
class HistoryStep:
    """newest as it is to be; what has to be done for that: nothing, give it its number, make it."""

    verb: Verb
    newest: Doc


def by_number(revisions: Iterable[Doc]) -> list[Doc]:
    """The oldest first; of one number, the older object (SortControllerRevisions)."""

    def order(one: Doc) -> tuple[int, str, str]:
        return number(one), one["metadata"]["creationTimestamp"], one["metadata"]["name"]

    return sorted(revisions, key=order)


def number(revision: Doc) -> int:
    return int(revision.get("revision", 0))


def data_of(owner: Doc) -> Doc:
    """The strategic merge patch that brings an owner's template back. Keys are sorted, as in what
    kubectl compares it with before a rollback."""
    template = {**owner["spec"]["template"], "$patch": "replace"}
    patch = {"spec": {"template": template}}
    sorted_patch: Doc = orjson.loads(orjson.dumps(patch, option=orjson.OPT_SORT_KEYS))
    return sorted_patch


def template_in(revision: Doc) -> Doc:
    """The pod template that a revision keeps."""
    template: Doc = revision["data"]["spec"]["template"]
    return {key: value for key, value in template.items() if key != "$patch"}


def next_step(
    kind: Kind, owner: Doc, revisions: Sequence[Doc], collisions: int, label: str
) -> HistoryStep:
    """revisions are those that the owner controls; label is the one that a new one's hash is under."""
    data, ordered = data_of(owner), by_number(revisions)
    equal = [one for one in ordered if one.get("data") == data]
    if not equal:
        new = _new(kind, owner, data, _after(ordered), collisions, label)
        return HistoryStep("create", new)
    newest = equal[-1]
    if newest is ordered[-1]:
        return HistoryStep("keep", newest)
    return HistoryStep("number", {**newest, "revision": _after(ordered)})


def outdated(revisions: Iterable[Doc], live: Collection[str], surplus: int) -> list[Doc]:
    """So many of the oldest revisions that are not in use; live are names."""
    unused = [one for one in by_number(revisions) if one["metadata"]["name"] not in live]
    return unused[: max(0, surplus)]


def hash_in(revision: Doc) -> str:
    """What a DaemonSet's pods of a revision are labelled with."""
    return str((revision["metadata"].get("labels") or {}).get(HASH_LABEL, ""))


def _after(ordered: Sequence[Doc]) -> int:
    return number(ordered[-1]) + 1 if ordered else 1


def _new(kind: Kind, owner: Doc, data: Doc, place: int, collisions: int, label: str) -> Doc:
    metadata = owner["metadata"]
    mark = template_hash(owner["spec"]["template"], collisions)
    labels = (owner["spec"]["template"].get("metadata") or {}).get("labels") or {}
    made: Doc = {
        "name": f"{metadata['name']}-{mark}",
        "namespace": metadata["namespace"],
        "labels": {**labels, label: mark},
        "ownerReferences": [reference(kind, owner)],
    }
    if annotations := metadata.get("annotations"):
        made["annotations"] = annotations
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": made,
        "data": data,
        "revision": place,
    }
