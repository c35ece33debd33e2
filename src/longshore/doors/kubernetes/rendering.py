"""Stored objects as bodies: themselves, Table or PartialObjectMetadata, in JSON or YAML. Pure.

The plain JSON form of an object is its stored bytes: nothing is encoded. Lists are in pages.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import orjson

from longshore.core.objects.columns import printer
from longshore.core.objects.columns.form import Printer, told
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.watch.feeds import Batch
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

    __slots__ = ("_made", "form", "include", "media", "now", "pretty")

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
        # Views of this name make the same of an event.
        self._made = f"{form.value}/{include}"

    def object(self, stored: Stored) -> bytes:
        if self.form is As.ITSELF and self.media != YAML and not self.pretty:
            return stored.raw
        return self.document(stored.kind, stored.doc)

    def document(self, kind: Kind, doc: Doc) -> bytes:
        """What is made for one answer, and kept nowhere."""
        return encode(self._shown(kind, doc, columns=True), self.media, pretty=self.pretty)

    def lines(self, batch: Batch) -> bytes:
        """Events of a watch, encoded and joined once for all who are told the same."""
        return batch.made(self._made, self._join)

    def first_lines(self, batch: Batch) -> bytes:
        """The first events of a watch: of Tables, only the first says what the columns are."""
        if self.form is not As.TABLE:
            return self.lines(batch)
        return self._first_line(batch[0]) + b"".join(map(self._line, batch[1:]))

    def _join(self, batch: Batch) -> bytes:
        return b"".join(map(self._line, batch))

    def _line(self, frame: Frame) -> bytes:
        """One event of a watch. Ages in it are of when the first watcher asked."""
        if self.form is As.ITSELF:
            return frame.line()
        return frame.encoded(self._made, self._encoded_line)

    def _first_line(self, frame: Frame) -> bytes:
        return frame.encoded(f"columns/{self.include}", self._first_table)

    def _first_table(self, frame: Frame) -> bytes:
        return _event(frame.type, self._shown(frame.kind, frame.doc, columns=True))

    def bookmark(self, kind: Kind, revision: int, *, initial_end: bool = False) -> bytes:
        """No object, just how far the watch has come."""
        metadata: Doc = {"resourceVersion": str(revision)}
        if initial_end:
            metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
        shown: Doc = {"kind": kind.name, "apiVersion": kind.api_version, "metadata": metadata}
        if self.form is As.METADATA:
            shown |= {"kind": "PartialObjectMetadata", "apiVersion": META}
        elif self.form is As.TABLE:
            row = {"cells": [], "object": shown}
            shown = table([], [row], {"resourceVersion": str(revision)})
        return _event("BOOKMARK", shown)

    def _encoded_line(self, frame: Frame) -> bytes:
        return _event(frame.type, self._shown(frame.kind, frame.doc, columns=False))

    def _shown(self, kind: Kind, doc: Doc, *, columns: bool) -> Doc:
        if self.form is As.METADATA:
            return metadata_only(doc)
        if self.form is As.ITSELF:
            return doc
        metadata = {"resourceVersion": doc["metadata"].get("resourceVersion", "")}
        form = printer(kind)
        shown = [column.definition() for column in form.columns] if columns else []
        return table(shown, [self.row(form, doc, self.now())], metadata)

    def row(self, form: Printer, doc: Doc, now: float) -> Doc:
        """An object as a Table's row."""
        cells = told(form.cells(doc), now)
        if self.include == "None":
            return {"cells": cells}
        return {"cells": cells, "object": doc if self.include == "Object" else metadata_only(doc)}


def _event(type_: str, shown: Doc) -> bytes:
    return orjson.dumps({"type": type_, "object": shown}) + b"\n"


def table(columns: list[Doc], rows: list[Doc], metadata: Doc) -> Doc:
    return {
        "kind": "Table", "apiVersion": META, "metadata": metadata,
        "columnDefinitions": columns, "rows": rows,
    }  # fmt: skip


def metadata_only(doc: Doc) -> Doc:
    return {"kind": "PartialObjectMetadata", "apiVersion": META, "metadata": doc["metadata"]}


def encode(value: Any, media: str, *, pretty: bool = False) -> bytes:
    if media == YAML:
        import yaml

        text: bytes = yaml.dump(value, Dumper=_yaml_dumper(), encoding="utf-8", allow_unicode=True)
        return text
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 if pretty else None)


@cache
def _yaml_dumper() -> Any:
    """Writes what is shared within an object out each time: clients know no anchors."""
    import yaml

    return type("Dumper", (yaml.CSafeDumper,), {"ignore_aliases": lambda self, data: True})
