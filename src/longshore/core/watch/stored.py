"""One object at rest: its canonical bytes, decoded only when somebody asks."""

from __future__ import annotations

from collections import deque

import orjson

from longshore.base.limits import DECODED_MAX
from longshore.core.objects.kinds import Doc, Kind

# Where the revision is spliced in. encode() writes apiVersion and kind first, and neither can
# hold a quote, so the first occurrence is always the object's own metadata.
_METADATA = b'"metadata":{'

# Objects whose decoded form is kept beside their bytes, oldest first.
_decoded: deque[Stored] = deque()


class Stored:
    """An object as the cache holds it. Immutable, and so is its doc: share, never change.

    raw is canonical JSON with apiVersion, kind and resourceVersion in it: what a client is sent.
    terms are the index entries it is found under, such as ("node", "node-1").
    """

    __slots__ = ("_doc", "key", "kind", "raw", "revision", "terms")

    def __init__(self, kind: Kind, key: str, raw: bytes, revision: int) -> None:
        self.kind = kind
        self.key = key
        self.raw = raw
        self.revision = revision
        self.terms: tuple[tuple[str, str], ...] = ()
        self._doc: Doc | None = None

    @property
    def doc(self) -> Doc:
        """The decoded object; read-only by contract, as everyone shares it."""
        if self._doc is None:
            self.keep(orjson.loads(self.raw))
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
        if self._doc is not None:
            return self._doc
        decoded: Doc = orjson.loads(self.raw)
        return decoded

    def fresh(self) -> Doc:
        """A decode of one's own, free to be changed."""
        decoded: Doc = orjson.loads(self.raw)
        return decoded

    def at(self, revision: int) -> Stored:
        """The same state under another revision, as a DELETED event shows it."""
        doc = self.fresh()
        return Stored(self.kind, self.key, splice(encode(doc), revision), revision)


def encode(doc: Doc) -> bytes:
    """Canonical bytes without a revision: apiVersion, kind and metadata come first."""
    metadata = doc["metadata"]
    if "resourceVersion" in metadata:
        metadata = {k: v for k, v in metadata.items() if k != "resourceVersion"}
    ordered = {"apiVersion": doc["apiVersion"], "kind": doc["kind"], "metadata": metadata}
    for field, value in doc.items():
        if field not in ordered:
            ordered[field] = value
    return orjson.dumps(ordered)


def splice(encoded: bytes, revision: int) -> bytes:
    """Write the revision into canonical bytes. The result has no spare room behind it."""
    return encoded.replace(_METADATA, b'"metadata":{"resourceVersion":"%d",' % revision, 1)
