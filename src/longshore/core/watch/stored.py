"""One object at rest: its canonical bytes, decoded only when somebody asks."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from functools import cache
from typing import TypeAlias

import orjson

from longshore.base.limits import DECODED_MAX
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.watch import owned
from longshore.core.watch.owned import Form

_METADATA = b'"metadata":{'
_OWNED = b'"managedFields":'
_OWNED_ENTRIES = _OWNED + b"[{"
_ITEM = _METADATA + b'"resourceVersion":"%d",'
_OWNED_ITEM = _ITEM + _OWNED
_BEFORE_OWN = len(b"{" + _METADATA)
_BEFORE_REST = ("resourceVersion", "managedFields")

Encoded: TypeAlias = Mapping[str, orjson.Fragment]
NOTHING: Encoded = {}

# Objects whose decoded form is kept beside their bytes, oldest first.
_decoded: deque[Stored] = deque()


class Stored:
    """An object as the cache holds it. Immutable, and so is its doc: share, never change.

    Canonical bytes begin with apiVersion, kind, and metadata with resourceVersion and managedFields
    in front. What comes before those is the kind's, managedFields are shared with other objects
    (owned.py), and the object's own is rest: all that follows, without the brackets that it closes.
    terms are the index entries it is found under, such as ("node", "node-1"). revision is 0 while it
    is not known; then none is shown, which is how the store keeps an object.
    """

    __slots__ = ("_doc", "_form", "_values", "key", "kind", "rest", "revision", "terms")

    def __init__(
        self,
        kind: Kind,
        key: str,
        rest: bytes,
        revision: int,
        form: Form | None = None,
        values: bytes = b"",
    ) -> None:
        self.kind = kind
        self.key = key
        self.rest = rest
        self.revision = revision
        self.terms: tuple[tuple[str, str], ...] = ()
        self._form = form
        self._values = values
        self._doc: Doc | None = None

    @classmethod
    def of(cls, kind: Kind, key: str, doc: Doc, revision: int = 0) -> Stored:
        """A document at rest."""
        made, _ = cls.laid(kind, key, doc)
        made.revision = revision
        return made

    @classmethod
    def laid(
        cls, kind: Kind, key: str, doc: Doc, encoded: Encoded = NOTHING
    ) -> tuple[Stored, bytes]:
        """A document at rest, and its raw, as the store keeps it. encoded are fields whose bytes are
        known."""
        own, metadata = dict(doc), doc["metadata"].copy()
        metadata.pop("resourceVersion", None)
        entries = metadata.pop("managedFields") if metadata.get("managedFields") else None
        del own["apiVersion"], own["kind"], own["metadata"]
        own |= encoded
        rest = orjson.dumps({"metadata": metadata, **own})[_BEFORE_OWN:]
        if not entries:
            return cls(kind, key, rest, 0), opening(kind) + rest
        text, form, values = owned.laid(entries)
        raw = b"".join((opening(kind), _OWNED, text, b",", rest))
        return cls(kind, key, rest, 0, form, values), raw

    @classmethod
    def read(cls, kind: Kind, key: str, encoded: bytes, revision: int) -> Stored:
        """An object as the store has it: raw, without a revision."""
        start = opening(kind)
        assert encoded.startswith(start), encoded[:200]
        at = len(start)
        if not encoded.startswith(_OWNED_ENTRIES, at):
            return cls(kind, key, encoded[at:], revision)
        form, values, end = owned.read(encoded, at + len(_OWNED))
        return cls(kind, key, encoded[end + 1 :], revision, form, values)

    @property
    def raw(self) -> bytes:
        """Canonical JSON: what a client is sent."""
        return b"".join((opening(self.kind), *self._behind_opening(self.rest)))

    def lay(self, pieces: list[bytes]) -> int:
        """Add the pieces of which raw is made, without apiVersion, kind and the bracket before
        them, as lists have a committed object; returns about how many bytes they are."""
        form = self._form
        if form is None:
            pieces += (_ITEM % self.revision, self.rest)
            return len(self.rest)
        pieces.append(_OWNED_ITEM % self.revision)
        pieces += form.parts(self._values)
        pieces += (b",", self.rest)
        return len(self.rest) + form.size + len(self._values)

    def metadata(self, size: int) -> bytes:
        """metadata as it is in raw; size is what metadata_size() tells of the decoded object."""
        return b"".join((b"{", *self._behind_opening(self.rest[:size])))

    def _behind_opening(self, rest: bytes) -> list[bytes]:
        revision = b'"resourceVersion":"%d",' % self.revision if self.revision else b""
        if self._form is None:
            return [revision, rest]
        return [revision, _OWNED, *self._form.parts(self._values), b",", rest]

    @property
    def size(self) -> int:
        """How many bytes of raw are kept for this object alone."""
        return len(self.rest) + len(self._values)

    @property
    def doc(self) -> Doc:
        """The decoded object; read-only by contract, as everyone shares it."""
        if self._doc is None:
            self.keep(self.fresh())
        assert self._doc is not None
        return self._doc

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    @property
    def namespace(self) -> str:
        return self.key.rsplit("/", 2)[1] if self.kind.namespaced else ""

    def keep(self, doc: Doc) -> None:
        """Hold the decoded form for a while: the pool drops the one that is held longest."""
        self._doc = doc
        _decoded.append(self)
        if len(_decoded) > DECODED_MAX:
            _decoded.popleft()._doc = None

    def settle(self, revision: int, doc: Doc) -> None:
        """It is committed. doc is the document that it was made of, which is held from now on."""
        self.revision = revision
        doc["metadata"]["resourceVersion"] = str(revision)
        self.keep(doc)

    def glance(self) -> Doc:
        """The decoded object for one look, read-only like doc, and not kept: who walks a whole
        kind would push out what is in use."""
        return self.fresh() if self._doc is None else self._doc

    def fresh(self) -> Doc:
        """A decode of one's own, free to be changed but for its managedFields, which are shared."""
        decoded: Doc = orjson.loads(opening(self.kind) + self.rest)
        if self.revision or self._form is not None:
            decoded["metadata"] = {**self._apart_decoded(), **decoded["metadata"]}
        return decoded

    def _apart_decoded(self) -> Doc:
        apart: Doc = {}
        if self.revision:
            apart["resourceVersion"] = str(self.revision)
        if self._form is not None:
            apart["managedFields"] = owned.entries(self._form, self._values)
        return apart

    def at(self, revision: int) -> Stored:
        """The same state under another revision, as a DELETED event shows it; decoded if this is."""
        made = Stored(self.kind, self.key, self.rest, revision, self._form, self._values)
        if self._doc is not None:
            metadata = {**self._doc["metadata"], "resourceVersion": str(revision)}
            made.keep({**self._doc, "metadata": metadata})
        return made


@cache
def opening(kind: Kind) -> bytes:
    """What canonical bytes begin with: all before the first field of metadata."""
    return b'{"apiVersion":"%b","kind":"%b",%b' % (
        kind.api_version.encode(), kind.name.encode(), _METADATA,
    )  # fmt: skip


def metadata_size(doc: Doc) -> int:
    """How many bytes of a stored object's rest are metadata, its closing bracket included: all but
    what stands before rest."""
    metadata = doc["metadata"]
    own = {k: v for k, v in metadata.items() if k not in _BEFORE_REST}
    if metadata.get("managedFields") == []:  # nothing to be kept apart
        own["managedFields"] = []
    return len(orjson.dumps(own)) - len(b"{")
