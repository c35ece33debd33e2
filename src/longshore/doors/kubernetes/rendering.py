"""Stored objects as bodies: themselves, Table or PartialObjectMetadata, in JSON or YAML. Pure.

The plain JSON form of an object is its stored bytes, and of a list their join: nothing is encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from longshore.core.objects.columns import printer
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.reads import Page
from longshore.core.watch.frames import Frame
from longshore.core.watch.stored import Stored
from longshore.doors.kubernetes.media import YAML, As

META = "meta.k8s.io/v1"
# What a bookmark that ends a watch's initial events is annotated with.
INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class View:
    """How one request wants objects to be shown.

    include says what a Table's rows carry: Metadata, Object or None. now is for ages.
    """

    __slots__ = ("form", "include", "media", "now", "pretty")

    def __init__(
        self,
        media: str,
        form: As,
        include: str,
        now: Callable[[], float],
        *,
        pretty: bool = False,
    ) -> None:
        self.media = media
        self.form = form
        self.include = include
        self.now = now
        self.pretty = pretty

    def object(self, stored: Stored) -> bytes:
        if self.form is As.ITSELF and self.media != YAML and not self.pretty:
            return stored.raw
        shown = self._shown(stored.kind, stored.doc, columns=True)
        return encode(shown, self.media, pretty=self.pretty)

    def page(self, kind: Kind, page: Page) -> bytes:
        if self.form is As.ITSELF:
            body = list_body(kind, page)
            if self.media != YAML and not self.pretty:
                return body
            return encode(orjson.loads(body), self.media, pretty=self.pretty)
        docs = [stored.doc for stored in page.items]
        shown = self._shown_list(kind, docs, list_metadata(page), columns=True)
        return encode(shown, self.media, pretty=self.pretty)

    def line(self, frame: Frame) -> bytes:
        """One event of a watch. Ages in it are of when the first watcher asked."""
        if self.form is As.ITSELF:
            return frame.line()
        return frame.encoded(f"{self.form.value}/{self.include}", self._encoded_line)

    def first_line(self, frame: Frame) -> bytes:
        """The first event of a watch: of Tables, only that one says what the columns are."""
        if self.form is not As.TABLE:
            return self.line(frame)
        return frame.encoded(f"columns/{self.include}", self._first_table)

    def _first_table(self, frame: Frame) -> bytes:
        return _event(frame.type, self._shown(frame.kind, frame.doc, columns=True))

    def bookmark(self, kind: Kind, revision: int, *, initial_end: bool = False) -> bytes:
        """No object, just how far the watch has come."""
        metadata: Doc = {"resourceVersion": str(revision), "creationTimestamp": None}
        if initial_end:
            metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
        shown: Doc = {"kind": kind.name, "apiVersion": kind.api_version, "metadata": metadata}
        if self.form is As.METADATA:
            shown |= {"kind": "PartialObjectMetadata", "apiVersion": META}
        elif self.form is As.TABLE:
            row = {"cells": [], "object": shown}
            shown = _table([], [row], {"resourceVersion": str(revision)})
        return _event("BOOKMARK", shown)

    def _encoded_line(self, frame: Frame) -> bytes:
        return _event(frame.type, self._shown(frame.kind, frame.doc, columns=False))

    def _shown(self, kind: Kind, doc: Doc, *, columns: bool) -> Doc:
        if self.form is As.METADATA:
            return metadata_only(doc)
        if self.form is As.ITSELF:
            return doc
        metadata = {"resourceVersion": doc["metadata"].get("resourceVersion", "")}
        return self._shown_list(kind, [doc], metadata, columns=columns)

    def _shown_list(self, kind: Kind, docs: Sequence[Doc], metadata: Doc, *, columns: bool) -> Doc:
        if self.form is As.METADATA:
            items = [metadata_only(doc) for doc in docs]
            return {
                "kind": "PartialObjectMetadataList", "apiVersion": META,
                "metadata": metadata, "items": items,
            }  # fmt: skip
        form, now = printer(kind), self.now()
        rows = [{"cells": form.cells(doc, now), **self._row_object(doc)} for doc in docs]
        shown = [column.definition() for column in form.columns] if columns else []
        return _table(shown, rows, metadata)

    def _row_object(self, doc: Doc) -> Doc:
        if self.include == "None":
            return {}
        return {"object": doc if self.include == "Object" else metadata_only(doc)}


def _event(type_: str, shown: Doc) -> bytes:
    return orjson.dumps({"type": type_, "object": shown}) + b"\n"


def _table(columns: list[Doc], rows: list[Doc], metadata: Doc) -> Doc:
    return {
        "kind": "Table", "apiVersion": META, "metadata": metadata,
        "columnDefinitions": columns, "rows": rows,
    }  # fmt: skip


def metadata_only(doc: Doc) -> Doc:
    return {"kind": "PartialObjectMetadata", "apiVersion": META, "metadata": doc["metadata"]}


def list_metadata(page: Page) -> Doc:
    metadata: Doc = {"resourceVersion": str(page.revision)}
    if page.continue_:
        metadata["continue"] = page.continue_
        if page.remaining is not None:
            metadata["remainingItemCount"] = page.remaining
    return metadata


def list_body(kind: Kind, page: Page) -> bytes:
    """A list of the stored bytes. Its items do not repeat apiVersion and kind, which open every
    stored object and so are cut off by length."""
    head = orjson.dumps(
        {"kind": kind.list_name, "apiVersion": kind.api_version, "metadata": list_metadata(page)}
    )
    if not page.items:
        return head[:-1] + b',"items":[]}'
    opening = b'{"apiVersion":"%s","kind":"%s",' % (kind.api_version.encode(), kind.name.encode())
    assert page.items[0].raw.startswith(opening), "stored bytes do not begin as they must"
    cut = len(opening)
    pieces: list[bytes | memoryview] = [memoryview(stored.raw)[cut:] for stored in page.items]
    # Head and tail ride on the outer pieces, so that the whole is copied once.
    pieces[0] = b'%b,"items":[{%b' % (head[:-1], bytes(pieces[0]))
    pieces[-1] = b"%b]}" % bytes(pieces[-1])
    return b",{".join(pieces)


def encode(value: Any, media: str, *, pretty: bool = False) -> bytes:
    if media == YAML:
        import yaml

        text: bytes = yaml.dump(
            value, Dumper=yaml.CSafeDumper, encoding="utf-8", allow_unicode=True
        )
        return text
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 if pretty else None)
