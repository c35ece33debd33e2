"""metadata.managedFields at rest: the same for many objects, so kept once for all of them.

Pods of one workload differ in when they were written and in the addresses and uids that keys of
list items are made of. A Form is the text around those; an object keeps only its own values.
Cutting and joining are exact for any JSON text: what is not recognised stays in the form.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import itemgetter
from typing import Any, TypeAlias
from weakref import WeakValueDictionary

import orjson

from longshore.core.objects.apply.ownership import Entries

# What differs between objects stands behind one of these, up to the end of the string. A newline
# cannot occur in JSON text, and so marks the places and separates the values.
_MARKERS = (b'"time":"', b'{\\"ip\\":\\"', b'{\\"uid\\":\\"')
_PLACE = b"\n"
_VALUE = re.compile(rb'[^"\\]*')
_ENTRY_END = b"}]"

_AtRest: TypeAlias = "tuple[bytes, Form, bytes]"

# Forms that objects share now: forgotten with the last object of theirs.
_forms: WeakValueDictionary[int, Form] = WeakValueDictionary()
# Those seen last, newest first: neighbours in a list are mostly alike, and comparing is cheap.
_RECENT_MAX = 4
_recent: list[Form] = []
# Of the lists that were laid at rest last, by identity: pods that are alike share theirs. They are held
# here, so that nobody else is at their places, and are read-only as all entries are.
_LAID_MAX = 64
_laid: dict[int, tuple[Entries, _AtRest]] = {}
# What decoded entries share, for the forms that were decoded last.
_DECODED_MAX = 256
_decoded: dict[Form, _Decoded] = {}


class Form:
    """The text of a list of entries, cut at the places where objects differ."""

    __slots__ = ("__weakref__", "_first", "_others", "_woven", "pieces", "size")

    def __init__(self, pieces: tuple[bytes, ...]) -> None:
        self.pieces = pieces
        self.size = sum(map(len, pieces))
        self._first = pieces[0]
        self._others = tuple((piece[:1], piece) for piece in pieces[1:])
        self._woven = [piece for pair in zip(pieces, pieces, strict=True) for piece in pair][1:]

    def parts(self, values: bytes) -> list[bytes]:
        """The whole again, in order."""
        if not self._others:
            return self._woven
        parts = self._woven.copy()
        parts[1::2] = values.split(_PLACE)
        return parts

    def text(self, values: bytes) -> bytes:
        return b"".join(self.parts(values))

    def match(self, text: bytes, start: int) -> tuple[bytes, int] | None:
        """The values and the end of the list that begins at start, if it has this form.

        As a JSON list has no other list for a beginning, what matches is the whole list.
        """
        if not text.startswith(self._first, start):
            return None
        at = start + len(self._first)
        values = []
        for mark, piece in self._others:
            end = text.find(mark, at)
            value = text[at:end]
            if not text.startswith(piece, end) or b'"' in value or b"\\" in value:
                return None
            values.append(value)
            at = end + len(piece)
        return _PLACE.join(values), at


def read(text: bytes, start: int) -> tuple[Form, bytes, int]:
    """The form, the values and the end of the list of entries that begins at start."""
    for form in _recent:
        found = form.match(text, start)
        if found is not None:
            return form, *found
    end = text.index(_ENTRY_END, start) + len(_ENTRY_END)
    pieces, values = _cut(text[start:end])
    known = _known(pieces)
    if known is None:
        end = _end(text, start, end)
        pieces, values = _cut(text[start:end])
        known = _known(pieces) or _new(pieces)
    _recent.insert(0, known)
    del _recent[_RECENT_MAX:]
    return known, values, end


def laid(entries: Entries) -> _AtRest:
    """The text of decoded entries, its form and its values."""
    known = _laid.get(id(entries))
    if known is None:
        if len(_laid) >= _LAID_MAX:
            del _laid[next(iter(_laid))]
        text = orjson.dumps(entries)
        form, values, _ = read(text, 0)
        known = _laid[id(entries)] = entries, (text, form, values)
    return known[1]


def _cut(text: bytes) -> tuple[tuple[bytes, ...], bytes]:
    for marker in _MARKERS:
        text = text.replace(marker, marker + _PLACE)
    first, *parts = text.split(_PLACE)
    # It matches every text, if need be nothing of it: there is an end for each part.
    ends = [found.end() for part in parts if (found := _VALUE.match(part))]
    values = [part[:end] for part, end in zip(parts, ends, strict=True)]
    pieces = [part[end:] for part, end in zip(parts, ends, strict=True)]
    return (first, *pieces), _PLACE.join(values)


def _known(pieces: tuple[bytes, ...]) -> Form | None:
    form = _forms.get(hash(pieces))
    return form if form is not None and form.pieces == pieces else None


def _new(pieces: tuple[bytes, ...]) -> Form:
    form = Form(pieces)
    _forms[hash(pieces)] = form
    return form


def _end(text: bytes, start: int, end: int) -> int:
    """Where the list ends: at the first bracket where it can be read, as a name may hold one."""
    while True:
        try:
            orjson.loads(text[start:end])
        except orjson.JSONDecodeError:
            end = text.index(_ENTRY_END, end) + len(_ENTRY_END)
        else:
            return end


# ---- decoded


class _Decoded:
    """How to make the entries of a form from an object's values, and those made last."""

    __slots__ = ("entries", "make", "values")

    def __init__(self, form: Form) -> None:
        self.values: bytes | None = None
        self.entries: Entries = []
        self.make = _reading(form) if any(_MARK in p for p in form.pieces) else _making(form)

    def read(self, values: bytes) -> Entries:
        if values != self.values:
            self.entries, self.values = self.make(values), values
        return self.entries


def _reading(form: Form) -> Callable[[bytes], Entries]:
    """For a text that our own mark stands in."""

    def read(values: bytes) -> Entries:
        entries: Entries = orjson.loads(form.text(values))
        return entries

    return read


def _making(form: Form) -> Callable[[bytes], Entries]:
    """The text is decoded once, with numbers between marks for values. What no value is in is the
    same for all objects; the rest, such as an entry with its time, is made by a few calls."""
    marks = [_MARK + b"%d" % place + _MARK for place in range(len(form.pieces) - 1)]
    template = orjson.loads(form.text(_PLACE.join(marks)))
    make = _maker(template)
    if make is None:
        return lambda values: template
    return lambda values: make(values.decode().split("\n"))


_MARK = "\ue000".encode()  # a character that has no meaning (Unicode's private use area)
_Maker: TypeAlias = Callable[[list[str]], Any]


def _maker(part: Any) -> _Maker | None:
    """How to make a part of decoded JSON from values; None if it is the same for all."""
    if isinstance(part, str):
        return _text_maker(part)
    if isinstance(part, list):
        return _list_maker(part)
    return _dict_maker(part) if isinstance(part, dict) else None


def _text_maker(part: str) -> _Maker | None:
    before, *found = part.split(_MARK.decode())
    if not found:
        return None
    places = [int(place) for place in found[::2]]
    if found[1:] == [""] and not before:
        return itemgetter(*places)
    both = list(zip(places, found[1::2], strict=True))
    return lambda values: before + "".join([values[place] + text for place, text in both])


def _list_maker(part: list[Any]) -> _Maker | None:
    makers = [_maker(one) for one in part]
    if not any(makers):
        return None
    both = list(zip(makers, part, strict=True))
    return lambda values: [one if make is None else make(values) for make, one in both]


def _dict_maker(part: dict[str, Any]) -> _Maker | None:
    makers = [(_text_maker(key), key, _maker(value), value) for key, value in part.items()]
    if any(make_key for make_key, *_ in makers):
        return lambda values: {
            (key if make_key is None else make_key(values)): value if make is None else make(values)
            for make_key, key, make, value in makers
        }
    made = [(key, make) for _, key, make, _ in makers if make is not None]
    return _dict_filler(part, made) if made else None


def _dict_filler(part: dict[str, Any], made: list[tuple[str, _Maker]]) -> _Maker:
    def fill(values: list[str]) -> dict[str, Any]:
        filled = part.copy()
        for key, make in made:
            filled[key] = make(values)
        return filled

    return fill


def entries(form: Form, values: bytes) -> Entries:
    """The decoded entries: read-only, as objects share them or their sets of fields."""
    decoded = _decoded.get(form)
    if decoded is None:
        if len(_decoded) >= _DECODED_MAX:
            del _decoded[next(iter(_decoded))]
        decoded = _decoded[form] = _Decoded(form)
    return decoded.read(values)
