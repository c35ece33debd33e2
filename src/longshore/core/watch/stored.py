"""One object at rest: its canonical bytes, decoded only when somebody asks."""

from __future__ import annotations

from collections import deque
from functools import cache

import orjson

from longshore.base.limits import DECODED_MAX
from longshore.core.objects.apply.ownership import Entries
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.watch import owned
from longshore.core.watch.owned import Form

_METADATA = b'"metadata":{'
_OWNED = b'"managedFields":'
_OWNED_ENTRIES = _OWNED + b"[{"
# What is kept apart from the rest of metadata.
_REVISION = frozenset(("resourceVersion",))
_APART = frozenset(("resourceVersion", "managedFields"))

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
    def of(
        cls, kind: Kind, key: str, doc: Doc, revision: int = 0, before: Stored | None = None
    ) -> Stored:
        """A document's canonical form; before is its state until now, if there is one."""
        metadata = doc["metadata"]
        form, values = _form_of(metadata.get("managedFields"), before)
        apart = _APART if form is not None else _REVISION
        ordered = {
            "apiVersion": doc["apiVersion"],
            "kind": doc["kind"],
            "metadata": {k: v for k, v in metadata.items() if k not in apart},
        }
        for field, value in doc.items():
            if field not in ordered:
                ordered[field] = value
        encoded = orjson.dumps(ordered)
        start = opening(kind)
        assert encoded.startswith(start), encoded[:200]
        # A slice has no spare room behind it, as an encoder's result has.
        return cls(kind, key, encoded[len(start) :], revision, form, values)

    @classmethod
    def read(cls, kind: Kind, key: str, encoded: bytes, revision: int) -> Stored:
        """An object as the store has it: raw without a revision."""
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
        return b"%b%b%b" % (opening(self.kind), self._apart(), self.rest)

    @property
    def item(self) -> bytes:
        """raw without apiVersion, kind and the bracket before them, as lists have it."""
        return b"%b%b%b" % (_METADATA, self._apart(), self.rest)

    def _apart(self) -> bytes:
        revision = b'"resourceVersion":"%d",' % self.revision if self.revision else b""
        if self._form is None:
            return revision
        return b"%b%b%b," % (revision, _OWNED, self._form.text(self._values))

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
        """The same state under another revision, as a DELETED event shows it."""
        return Stored(self.kind, self.key, self.rest, revision, self._form, self._values)

    def owned_as(self, entries: Entries) -> tuple[Form | None, bytes] | None:
        """How the entries are kept here, if they are the very ones of this object's document."""
        if self._doc is None or self._doc["metadata"].get("managedFields") is not entries:
            return None
        return self._form, self._values


@cache
def opening(kind: Kind) -> bytes:
    """What canonical bytes begin with: all before the first field of metadata."""
    return b'{"apiVersion":"%b","kind":"%b",%b' % (
        kind.api_version.encode(), kind.name.encode(), _METADATA,
    )  # fmt: skip


def _form_of(entries: Entries | None, before: Stored | None) -> tuple[Form | None, bytes]:
    if not entries:
        return None, b""
    known = None if before is None else before.owned_as(entries)
    if known is not None:
        return known
    form, values, _ = owned.read(orjson.dumps(entries), 0)
    return form, values
