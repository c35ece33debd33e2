"""Pods that are alike but for their names: what was made of one is made of the next.

The pods of a workload come of one template. What a pod is completed with (types, defaults, entries of
ownership, admission) follows from what was sent, by whom and when, and from a few kinds of objects
that are looked up. While those stand, it is found out once.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.recent import key_of
from longshore.core.registry.admission.chain import Admission
from longshore.core.registry.sent import WriteOptions
from longshore.core.watch.cache import Cache

# Together some 5 MB: a key has at most 8 KB, and specs are shared (pod_specs.py).
_KNOWN_MAX = 512

Key: TypeAlias = tuple[bytes, str, WriteOptions]
"""What was sent but for the name, for which namespace, by whom and how it shall be taken."""


class Made(NamedTuple):
    """A pod that is complete but for its name, with the warnings and the notes for the audit log
    that it gave. It counts while the newest change of what was looked up is that of revision, and
    in the second of the entries of ownership."""

    doc: Doc
    warnings: tuple[str, ...]
    notes: dict[str, str]
    revision: int
    second: int

    def named(self, name: Any) -> Doc:
        """Another pod like it."""
        metadata = dict(self.doc["metadata"])
        if name:
            metadata["name"] = name
        return {**self.doc, "metadata": metadata}


class Alike:
    """The last few, oldest forgotten first."""

    def __init__(self, admission: Admission, most: int = _KNOWN_MAX) -> None:
        self._most = most
        self._looked_up = admission.looks_up("create", kinds.POD)
        self._known: dict[Key, Made] = {}
        self._newest = (-1, 0)

    def key(self, doc: Doc, namespace: str, options: WriteOptions) -> Key | None:
        """What pods alike have in common; None for one that is like no other: what is known of nodes
        changes all the time, so pods made for one are looked at each."""
        spec, metadata = doc.get("spec"), doc.get("metadata")
        if self._looked_up is None or type(spec) is not dict or spec.get("nodeName"):
            return None
        if type(metadata) is not dict or type(metadata.get("name", "")) is not str:
            return None
        nameless = {field: value for field, value in metadata.items() if field != "name"}
        sent = key_of({**doc, "metadata": nameless})
        return (sent, namespace, options) if sent else None

    def of(self, key: Key, cache: Cache, second: int) -> Made | None:
        """What was made of a pod like that, if it would be made again."""
        made = self._known.get(key)
        if made is None or (made.revision, made.second) != (self.revision(cache), second):
            return None
        return made

    def keep(self, key: Key, made: Made) -> None:
        if len(self._known) >= self._most and key not in self._known:
            del self._known[next(iter(self._known))]
        sent, namespace, options = key
        self._known[bytes(memoryview(sent)), namespace, options] = made  # not the encoder's buffer

    def revision(self, cache: Cache) -> int:
        """The newest change of what is looked up; asked once for all pods of a batch."""
        at, newest = self._newest
        if at != cache.revision:
            changes = (cache.shelf(kind).history.newest for kind in self._looked_up or ())
            newest = max(changes, default=0)
            self._newest = (cache.revision, newest)
        return newest
