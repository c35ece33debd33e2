"""Lists as bodies, slice by slice: each is made when the one before has been sent, so that a list of
any length takes little memory and never holds up other requests. Pure.

The plain JSON form of a list is the join of its objects' stored bytes: nothing is encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import orjson

from longshore.core.objects.columns import printer
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.reads import Page
from longshore.core.watch.stored import Stored
from longshore.doors.kit.compress import GZIP_FROM_BYTES
from longshore.doors.kubernetes.media import YAML, As
from longshore.doors.kubernetes.packing import Packing
from longshore.doors.kubernetes.rendering import META, View, encode, metadata_only, table
from longshore.doors.kubernetes.rows import rows

# A slice is what takes less than half a millisecond to make and to send.
SLICE_BYTES = 128 * 1024
_ROWS, _YAML_ITEMS = 50, 2
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A list in some form: what surrounds its items, the field they are in, and how one looks."""

    around: Doc
    field: str
    item: Callable[[Stored], Any]


def page_slices(view: View, kind: Kind, page: Page) -> Iterator[bytes]:
    """The body of a list; a short one is one slice."""
    if _is_stored(view):
        return _stored_slices(kind, page)
    sheet = _sheet(view, kind, page)
    if not page.items:
        empty = {**sheet.around, sheet.field: []}
        return iter([encode(empty, view.media, pretty=view.pretty)])
    if view.media == YAML:
        return _yaml_slices(sheet, page.items)
    return _json_slices(sheet, page.items, pretty=view.pretty)


def list_metadata(page: Page) -> Doc:
    metadata: Doc = {"resourceVersion": str(page.revision)}
    if page.continue_:
        metadata["continue"] = page.continue_
        if page.remaining is not None:
            metadata["remainingItemCount"] = page.remaining
    return metadata


def _sheet(view: View, kind: Kind, page: Page) -> _Sheet:
    metadata = list_metadata(page)
    if view.form is As.TABLE:
        form, now = printer(kind), view.now()
        around = table([column.definition() for column in form.columns], [], metadata)
        del around["rows"]
        if view.media != YAML and not view.pretty:
            return _Sheet(around, "rows", rows(view.include, now))
        return _Sheet(around, "rows", lambda stored: view.row(form, stored.glance(), now))
    if view.form is As.METADATA:
        around = {"kind": "PartialObjectMetadataList", "apiVersion": META, "metadata": metadata}
        return _Sheet(around, "items", lambda stored: metadata_only(stored.glance()))
    return _Sheet(_around(kind, page), "items", lambda stored: _untyped(stored.glance()))


def _around(kind: Kind, page: Page) -> Doc:
    metadata = list_metadata(page)
    return {"kind": kind.list_name, "apiVersion": kind.api_version, "metadata": metadata}


def _untyped(doc: Doc) -> Doc:
    return {key: value for key, value in doc.items() if key not in ("apiVersion", "kind")}


# --- the forms ---


def _stored_slices(kind: Kind, page: Page) -> Iterator[bytes]:
    """Items do not repeat apiVersion and kind."""
    head = _head(kind, page)
    if not page.items:
        return iter([head + b"]}"])
    return _woven(head + b"{", _joined(page.items), b",{", b"]}")


def packed_slices(packing: Packing, view: View, kind: Kind, page: Page) -> Iterator[bytes] | None:
    """The body as gzip if it is a long one of stored bytes, see page_slices()."""
    room = GZIP_FROM_BYTES
    for stored in page.items if _is_stored(view) else ():
        room -= stored.size
        if room <= 0:
            return packing.slices(_head(kind, page) + b"{", page.items, b"]}")
    return None


def _is_stored(view: View) -> bool:
    return view.form is As.ITSELF and view.media != YAML and not view.pretty


def _head(kind: Kind, page: Page) -> bytes:
    return orjson.dumps(_around(kind, page))[:-1] + b',"items":['


def _joined(items: Iterable[Stored]) -> Iterator[bytes]:
    pieces: list[bytes] = []
    room = SLICE_BYTES
    for stored in items:
        if pieces:
            pieces.append(b",{")
        room -= stored.lay(pieces)
        if room <= 0:
            yield b"".join(pieces)
            pieces, room = [], SLICE_BYTES
    if pieces:
        yield b"".join(pieces)


def _json_slices(sheet: _Sheet, items: Sequence[Stored], *, pretty: bool) -> Iterator[bytes]:
    field = sheet.field.encode()
    if pretty:
        # What orjson writes around the only field of an object, two spaces a level.
        start, between, end = b'\n  "%s": [\n' % field, b",\n", b"\n  ]\n}"
        head = orjson.dumps(sheet.around, option=orjson.OPT_INDENT_2)[:-2]
    else:
        start, between, end = b'"%s":[' % field, b",", b"]}"
        head = orjson.dumps(sheet.around)[:-1]
    option = orjson.OPT_INDENT_2 if pretty else None

    def encoded(batch: list[Stored]) -> bytes:
        shown = orjson.dumps({sheet.field: [sheet.item(one) for one in batch]}, option=option)
        return shown[1 + len(start) : -len(end)]

    return _woven(head + b"," + start, map(encoded, _batches(items, _ROWS)), between, end)


def _yaml_slices(sheet: _Sheet, items: Sequence[Stored]) -> Iterator[bytes]:
    head = encode(sheet.around, YAML) + sheet.field.encode() + b":\n"
    batches = _batches(items, _YAML_ITEMS)
    shown = (encode([sheet.item(one) for one in batch], YAML) for batch in batches)
    return _woven(head, shown, b"", b"")


# --- their weaving ---


def _batches(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _woven(head: bytes, batches: Iterator[bytes], between: bytes, tail: bytes) -> Iterator[bytes]:
    """One batch a slice; head and tail ride on the first and the last."""
    held = head + next(batches)
    for batch in batches:
        yield held
        held = between + batch
    yield held + tail
