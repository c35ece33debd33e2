"""Text that stands for something else than itself, in the form in which Kubernetes' own types write it.

Upstream reads quantities, times and bytes into types of their own and writes them anew: what is
written as "0.5", or at noon in Paris, is served as "500m", or at eleven o'clock of UTC, from the
first answer on. Sources: apimachinery/pkg/api/resource/quantity.go, pkg/apis/meta/v1/time.go and
micro_time.go; encoding/json for bytes.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from longshore.base.quantities import canonical
from longshore.base.remembering import remembered
from longshore.core.objects.schema import (
    MICRO_TIME,
    QUANTITY,
    TIME,
    Schema,
    definition,
    referred,
)

Form = Callable[[str], str]
"""Gives the canonical form of a text; raises ValueError, in the words of Go's decoder, for text that is
none of its type."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_LINE_ENDS = {10: None, 13: None}  # Go's decoder skips them
_REMEMBERED = 4096


# ---- the forms


@remembered(_REMEMBERED)
def quantity(text: str) -> str:
    """As quantities.canonical()."""
    return canonical(text)


@remembered(_REMEMBERED)
def time(text: str) -> str:
    """Whole seconds in UTC."""
    return _in_utc(text, "2006-01-02T15:04:05Z07:00", "seconds")


@remembered(_REMEMBERED)
def micro_time(text: str) -> str:
    """Microseconds in UTC. Unlike upstream's decoder it takes as many digits as come."""
    return _in_utc(text, "2006-01-02T15:04:05.000000Z07:00", "microseconds")


_LENGTHS = {"seconds": 20, "microseconds": 27}


def _in_utc(text: str, layout: str, precision: str) -> str:
    try:
        if _TIME.fullmatch(text):
            if len(text) == _LENGTHS[precision] and text.endswith("Z"):
                datetime.fromisoformat(text[:19])  # whether there is such a day
                return text
            read = datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
            return f"{read.isoformat(timespec=precision)}Z"
    except (ValueError, OverflowError):
        pass
    raise ValueError(f'parsing time "{text}" as "{layout}": cannot parse')


def in_base64(text: str) -> str:
    """Without line ends, and with nothing in the bits that fill up the last byte. Not remembered: it may
    be large, or secret."""
    plain = text.translate(_LINE_ENDS) if "\n" in text or "\r" in text else text
    try:
        data = base64.b64decode(plain, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("illegal base64 data") from error
    rest = len(data) % 3
    return plain[:-4] + base64.b64encode(data[-rest:]).decode() if rest else plain


_BY_NAME: dict[str, Form] = {QUANTITY: quantity, TIME: time, MICRO_TIME: micro_time}


def form_of(name: str, schema: Schema) -> Form | None:
    """That of a definition, or with "" for a name, of what a field holds; None for what stands for itself."""
    return in_base64 if schema.get("format") == "byte" else _BY_NAME.get(name)


def tells(form: Form) -> Callable[[object], bool]:
    """Whether a value is text in that form."""

    def is_in_form(value: object) -> bool:
        if type(value) is not str:
            return False
        try:
            return form(value) == value
        except ValueError:
            return False

    return is_in_form


# ---- whole documents

_Rewrite = Callable[[Any], Any]
_REWRITES: dict[str, _Rewrite | None] = {}


def rewritten(name: str, value: Any) -> Any:
    """What is described by the definition of that name, with all its texts in canonical form. It
    shares with what is given whatever is so already; what is of a wrong type is left to others."""
    rewrite = _named(name)
    return value if rewrite is None else rewrite(value)


def _named(name: str) -> _Rewrite | None:
    if name in _REWRITES:
        return _REWRITES[name]
    schema = definition(name)
    if "properties" not in schema:
        form = form_of(name, schema)
        made = _scalar(form, numbers=name == QUANTITY) if form else _of(schema)
        _REWRITES[name] = made
        return made
    fields: dict[str, _Rewrite] = {}
    # Known before it is filled: a definition may contain itself.
    _REWRITES[name] = _object(fields)
    for field, inner in schema["properties"].items():
        if rewrite := _of(inner):
            fields[field] = rewrite
    if not fields:
        _REWRITES[name] = None
    return _REWRITES[name]


def _of(schema: Schema) -> _Rewrite | None:
    if name := referred(schema):
        return _named(name)
    if form := form_of("", schema):
        return _scalar(form)
    match schema.get("type"):
        case "array":
            inner = _of(schema["items"])
            return inner and _list(inner)
        case "object":
            inner = _of(schema.get("additionalProperties") or {})
            return inner and _map(inner)
    return None


def _scalar(form: Form, *, numbers: bool = False) -> _Rewrite:
    """numbers: they are taken as well, for the text that they are in JSON."""

    def rewrite(value: Any) -> Any:
        text = str(value) if numbers and type(value) in (int, float) else value
        if type(text) is not str:
            return value
        try:
            made = form(text)
        except ValueError:
            return value
        return value if made == value else made

    return rewrite


def _object(fields: dict[str, _Rewrite]) -> _Rewrite:
    def rewrite(value: Any) -> Any:
        if type(value) is not dict:
            return value
        news = {}
        for field in fields.keys() & value.keys():
            made = fields[field](value[field])
            if made is not value[field]:
                news[field] = made
        return {**value, **news} if news else value

    return rewrite


def _list(inner: _Rewrite) -> _Rewrite:
    def rewrite(value: Any) -> Any:
        if type(value) is not list:
            return value
        made = [inner(item) for item in value]
        return made if any(a is not b for a, b in zip(made, value, strict=True)) else value

    return rewrite


def _map(inner: _Rewrite) -> _Rewrite:
    def rewrite(value: Any) -> Any:
        if type(value) is not dict:
            return value
        made = {key: inner(item) for key, item in value.items()}
        return made if any(made[key] is not item for key, item in value.items()) else value

    return rewrite
