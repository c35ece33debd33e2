"""The shape of values: what is one thing to apply, and what has parts that are owned apart.

Made from the published schemas, whose x-kubernetes-list-type, -list-map-keys and -map-type decide
(docs: reference/using-api/server-side-apply, "Merge strategy"): lists are atomic unless they say
that they are sets or maps; structures and maps have parts unless they say that they are atomic.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import Any, NamedTuple

import orjson

from longshore.core.objects.apply.fields import MEMBER, Fields, as_member
from longshore.core.objects.schema import Schema, definition, referred


class Form(Enum):
    LEAF = 0
    STRUCT = 1
    MAP = 2
    KEYED = 3
    SET = 4
    ANY = 5
    """No schema: objects have parts, all else is one thing."""


# Looked up once: a member of an enumeration costs as much as a call.
_LEAF, _STRUCT, _SET = Form.LEAF, Form.STRUCT, Form.SET
# Of a structure, sets of names whose outline is kept.
_OUTLINES_MAX = 256

# Structures that Go's types hold by value from the top on, and lists without omitempty: they are
# there even if nobody set them, so nobody owns them as such.
_ALWAYS = frozenset((
    "metadata", "spec", "status", "template", "strategy", "updateStrategy", "jobTemplate",
    "containers",
))  # fmt: skip
# Parts of keys that have a default (api/core/v1 ContainerPort, ServicePort).
_KEY_DEFAULTS = {"protocol": "TCP"}


class Outline(NamedTuple):
    """What follows for a set of fields from which fields a structure has, whatever their values are.

    fields has them all, as if they had no parts, and whole the structure itself too: read-only. parted
    are those that may have parts: name, key in the set, shape, whether it always is.
    """

    fields: Fields
    whole: Fields
    parted: list[tuple[str, str, Shape, bool]]


class Shape:
    """element is what maps and lists hold; keys are the fields that tell items of a list apart."""

    __slots__ = (
        "_fields",
        "_key_opening",
        "_outlines",
        "_properties",
        "_schema",
        "element",
        "form",
        "keys",
    )

    def __init__(self, form: Form, schema: Schema, keys: tuple[str, ...] = ()) -> None:
        self.form = form
        self.keys = keys
        self.element: Shape = self
        self._schema = schema
        self._properties: dict[str, Schema] = schema.get("properties", {})
        self._fields: dict[str, tuple[str, Shape, bool]] = {}
        self._outlines: dict[tuple[str, ...], Outline] = {}
        self._key_opening = f'k:{{"{keys[0]}":' if len(keys) == 1 else ""

    def field(self, name: str) -> tuple[str, Shape, bool]:
        """Of a structure's field: its key in a set of fields, its shape, whether it always is."""
        found = self._fields.get(name)
        if found is None:
            found = self._look_up(name)
        return found

    def _look_up(self, name: str) -> tuple[str, Shape, bool]:
        schema = self._properties.get(name)
        if schema is None:  # not kept: clients choose such names
            return f"f:{name}", ANY, False
        found = self._fields[name] = (f"f:{name}", shape_of(schema), name in _ALWAYS)
        return found

    def part(self, name: str) -> tuple[str, Shape, bool]:
        """The same of whatever has named parts."""
        if self.form is _STRUCT:
            return self._fields.get(name) or self._look_up(name)
        return f"f:{name}", self.element, False

    def outline(self, names: tuple[str, ...]) -> Outline:
        """Of a structure with these fields, in this order: see Outline."""
        return self._outlines.get(names) or self._drawn(names)

    def _drawn(self, names: tuple[str, ...]) -> Outline:
        parts = [(name, *self.field(name)) for name in names]
        fields = {key: MEMBER for _, key, _, _ in parts}
        parted = [part for part in parts if part[2].form is not _LEAF]
        made = Outline(fields, as_member(fields), parted)
        # Clients choose which fields there are: of so many sets, most are never seen again.
        if len(self._outlines) < _OUTLINES_MAX and self._fields.keys() >= {*names}:
            self._outlines[names] = made
        return made

    def key_of(self, item: Any) -> str:
        """The key of a list's item in a set of fields."""
        if self._key_opening and type(value := item.get(self.keys[0])) is str:
            return f"{self._key_opening}{orjson.dumps(value).decode()}}}"
        if self.form is _SET:
            return "v:" + orjson.dumps(item, option=orjson.OPT_SORT_KEYS).decode()
        named = {
            key: value
            for key in self.keys
            if (value := item.get(key, _KEY_DEFAULTS.get(key))) is not None
        }
        return "k:" + orjson.dumps(named).decode()

    def missing_key(self, item: Any) -> str:
        """The name of a key that the item of a list lacks and that has no default, or ""."""
        if self.form is not Form.KEYED:
            return ""
        lacking = (k for k in self.keys if item.get(k) is None and k not in _KEY_DEFAULTS)
        return next(lacking, "")


ANY = Shape(Form.ANY, {})
LEAF = Shape(Form.LEAF, {})


@cache
def shape_named(name: str) -> Shape:
    """The shape of a definition. KeyError if nothing served has that name."""
    return _shape(definition(name))


def shape_of(schema: Schema) -> Shape:
    """The shape of a field, which may say otherwise than the definition that it refers to."""
    name = referred(schema)
    if not name:
        return _shape(schema)
    if "x-kubernetes-map-type" in schema:
        override = schema["x-kubernetes-map-type"]
        return _shape({**definition(name), "x-kubernetes-map-type": override})
    return shape_named(name)


def _shape(schema: Schema) -> Shape:
    if schema.get("x-kubernetes-map-type") == "atomic":
        return LEAF
    if "properties" in schema:
        return Shape(Form.STRUCT, schema)
    match schema.get("type"):
        case "array":
            return _list_shape(schema)
        case "object" if "additionalProperties" in schema:
            return _with_element(Shape(Form.MAP, schema), schema["additionalProperties"])
        case "object" | None:
            return ANY
    return LEAF


def _list_shape(schema: Schema) -> Shape:
    match schema.get("x-kubernetes-list-type"):
        case "set":
            return _with_element(Shape(Form.SET, schema), schema["items"])
        case "map":
            keys = tuple(sorted(schema["x-kubernetes-list-map-keys"]))
            return _with_element(Shape(Form.KEYED, schema, keys), schema["items"])
    return LEAF


def _with_element(shape: Shape, schema: Schema) -> Shape:
    shape.element = shape_of(schema)
    return shape
