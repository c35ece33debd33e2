"""Does a document have the shape of its kind? Types, unknown fields, nulls, text in its canonical form.

Two passes over one schema. The fast one is a tree of closures, compiled per kind at first use,
that only answers yes or no; nearly every document gets a yes and is passed on untouched, or once
what is written in another form than the canonical one is rewritten (canonical.py). For the
others the slow pass says everything: which fields are unknown (they are pruned), which values have
the wrong type, in the words of Go's decoder that clients know.

What the values must be beyond their types is in rules/.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from longshore.core.objects.canonical import Form, form_of, rewritten, tells
from longshore.core.objects.errors import BadRequest, Cause, bounded
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.recent import Recent, key_of
from longshore.core.objects.schema import INT_OR_STRING, QUANTITY, Schema, definition, referred

_Test = Callable[[Any], bool]
_NOTHING: Doc = {}
_INT32, _INT64 = 2**31, 2**63
# How many unknown and doubled fields a decoder reports (sigs.k8s.io/json saveStrictError).
PROBLEMS_MAX = 100


class Checked(NamedTuple):
    """doc is the given one if nothing was wrong with it, else a corrected one that shares its parts.

    unknown holds sentences such as 'unknown field "spec.foo"'. causes are wrong types: if there
    are any, the document cannot be used (see decoding_error)."""

    doc: Doc
    unknown: list[str]
    causes: list[Cause]


def check(kind: Kind, doc: Any, known: Doc = _NOTHING) -> Checked:
    """Check a decoded document of any origin. Nulls count as absent and are pruned. known is one that
    passed: fields, and those of metadata, that are its own are not looked at again."""
    test = _test_named(kind.schema)
    if test(_news(doc, known) if known else doc):
        return Checked(doc, [], [])
    doc = rewritten(kind.schema, doc)
    if test(doc):
        return Checked(doc, [], [])
    walk = _Walk()
    pruned = walk.named(kind.schema, doc, _Place("", "", ""))
    return Checked(pruned, walk.unknown, walk.causes)


def _news(doc: Doc, known: Doc) -> Doc:
    news = {name: part for name, part in doc.items() if _is_new(part, known.get(name))}
    metadata, before = news.get("metadata"), known.get("metadata")
    if isinstance(metadata, dict) and isinstance(before, dict):
        news["metadata"] = {n: p for n, p in metadata.items() if _is_new(p, before.get(n))}
    return news


def _is_new(part: Any, known: Any) -> bool:
    return part is None or part is not known


class Undecodable(BadRequest):
    """A document that cannot be taken for one of its kind; why is what the decoder said."""

    def __init__(self, kind: Kind, doc: Any, why: str, causes: Sequence[Cause] = ()) -> None:
        said = doc if isinstance(doc, dict) else {}
        name, version = said.get("kind", kind.name), said.get("apiVersion", kind.api_version)
        super().__init__(
            f'{name} in version "{str(version).rpartition("/")[2]}" cannot be handled as a '
            f"{kind.name}: {why}",
            causes=causes,
        )
        self.why = why


def decoding_error(kind: Kind, checked: Checked) -> Undecodable:
    """The 400 that a document with wrong types is answered with."""
    return Undecodable(kind, checked.doc, checked.causes[0].message, bounded(checked.causes))


def strict_error(kind: Kind, doc: Any, problems: Sequence[str]) -> Undecodable:
    """The 400 for unknown and doubled fields where fieldValidation is Strict."""
    return Undecodable(kind, doc, strictly(problems))


def strictly(problems: Sequence[str]) -> str:
    return "strict decoding error: " + ", ".join(problems[:PROBLEMS_MAX])


# ---- the fast pass


_TESTS: dict[str, _Test] = {}


def _test_named(name: str) -> _Test:
    found = _TESTS.get(name)
    return found if found is not None else _compile(name)


def _compile(name: str) -> _Test:
    schema = definition(name)
    if "properties" not in schema:
        _TESTS[name] = test = _scalar_test(name, schema)
        return test
    fields: dict[str, type | _Test] = {}
    # Known before it is filled: a definition may contain itself.
    _TESTS[name] = test = _object_test(fields)
    for field, inner in schema["properties"].items():
        fields[field] = _plain_type(inner) or _test_of(inner)
    if "spec" in fields and "apiVersion" in fields:  # a whole object
        fields["spec"] = _remembering(_test_of(schema["properties"]["spec"]))
    return test


def _scalar_test(name: str, schema: Schema) -> _Test:
    if name == INT_OR_STRING:
        return _is_int_or_string
    form = form_of(name, schema)
    return _test_of(schema) if form is None else tells(form)


def _remembering(test: _Test) -> _Test:
    recent = Recent()

    def remembering(value: Any) -> bool:
        key = key_of(value)
        if key in recent:
            return True
        good = test(value)
        if good:
            recent.add(key)
        return good

    return remembering


def _plain_type(schema: Schema) -> type | None:
    """The Python type that is all there is to ask of a value, or None."""
    if "format" in schema:
        return None
    return {"string": str, "boolean": bool}.get(schema.get("type", ""))


def _object_test(fields: dict[str, Any]) -> _Test:
    """fields: for each, the very type that is asked for, or a test (it is never called for a type,
    whose instances passed already)."""
    wanted_of = fields.get

    def test(value: Any) -> bool:
        if type(value) is not dict:
            return False
        for key, item in value.items():
            wanted = wanted_of(key)
            if wanted is not type(item) and (
                wanted is None or wanted is str or wanted is bool or not wanted(item)
            ):
                return False
        return True

    return test


def _test_of(schema: Schema) -> _Test:
    name = referred(schema)
    if name:
        return _test_named(name)
    match schema.get("type"):
        case "array":
            return _list_test(schema["items"])
        case "object":
            return _map_test(schema.get("additionalProperties"))
        case "integer":
            return _integer_test(_INT64 if schema.get("format") == "int64" else _INT32)
        case "string":
            form = form_of("", schema)
            return tells(form) if form is not None else lambda value: type(value) is str
        case "boolean":
            return lambda value: type(value) is bool
        case "number":
            return lambda value: type(value) in (int, float)
    return lambda value: value is not None  # any JSON


def _list_test(items: Schema) -> _Test:
    inner = _test_of(items)
    return lambda value: type(value) is list and all(map(inner, value))


def _map_test(values: Schema | None) -> _Test:
    if values is None:
        return lambda value: type(value) is dict
    plain = _plain_type(values)
    inner = _test_of(values)

    def plain_test(value: Any) -> bool:
        if type(value) is not dict:
            return False
        for item in value.values():  # noqa: SIM110 (a generator costs twice as much)
            if type(item) is not plain:
                return False
        return True

    def test(value: Any) -> bool:
        return type(value) is dict and all(map(inner, value.values()))

    return test if plain is None else plain_test


def _integer_test(bound: int) -> _Test:
    return lambda value: type(value) is int and -bound <= value < bound


def _is_int_or_string(value: Any) -> bool:
    return type(value) is str or (type(value) is int and -_INT32 <= value < _INT32)


# ---- the slow pass


class _Place(NamedTuple):
    """Where a value stands: its path, the same without indexes, and the struct that holds it."""

    path: str
    go_path: str
    struct: str

    def field(self, struct: str, name: str) -> _Place:
        path = f"{self.path}.{name}" if self.path else name
        return _Place(path, f"{self.go_path}.{name}" if self.go_path else name, struct)

    def item(self, index: int) -> _Place:
        return _Place(f"{self.path}[{index}]", self.go_path, self.struct)


class _Walk:
    """Collects what is wrong with a document and returns what remains of it."""

    def __init__(self) -> None:
        self.unknown: list[str] = []
        self.causes: list[Cause] = []

    def named(self, name: str, value: Any, place: _Place) -> Any:
        schema = definition(name)
        form = form_of(name, schema)
        if form is not None:
            said = _as_text(value) if name == QUANTITY else value
            return self._formed(form, _go_type(schema), said, place)
        if name == INT_OR_STRING:
            return self._scalar(value, place, "int32", _is_int_or_string)
        if "properties" not in schema:
            return self.value(schema, value, place)
        if type(value) is not dict:
            return self._wrong(value, _go_name(name), place)
        return self._object(name, schema["properties"], value, place)

    def value(self, schema: Schema, value: Any, place: _Place) -> Any:
        name = referred(schema)
        if name:
            return self.named(name, value, place)
        form = form_of("", schema)
        if form is not None:
            return self._formed(form, _go_type(schema), value, place)
        match schema.get("type"):
            case "array" if type(value) is list:
                return self._list(schema["items"], value, place)
            case "object" if type(value) is dict:
                return self._map(schema.get("additionalProperties"), value, place)
        return self._scalar(value, place, _go_type(schema), _test_of(schema))

    def _object(self, name: str, fields: dict[str, Schema], value: Doc, place: _Place) -> Doc:
        struct = name.rpartition(".")[2]
        kept: Doc = {}
        changed = False
        for key, item in value.items():
            at = place.field(struct, key)
            schema = fields.get(key)
            if schema is None:
                self.unknown.append(f'unknown field "{at.path}"')
            elif item is not None:
                kept[key] = self.value(schema, item, at)
                changed = changed or kept[key] is not item
        return kept if changed or len(kept) != len(value) else value

    def _list(self, items: Schema, value: list[Any], place: _Place) -> list[Any]:
        kept = [
            _zero(items) if item is None else self.value(items, item, place.item(index))
            for index, item in enumerate(value)
        ]
        return kept if any(a is not b for a, b in zip(kept, value, strict=True)) else value

    def _map(self, values: Schema | None, value: Doc, place: _Place) -> Doc:
        if values is None:
            return value
        kept = {
            key: _zero(values) if item is None
            else self.value(values, item, place.field(place.struct, key)._replace(
                go_path=place.go_path))
            for key, item in value.items()
        }  # fmt: skip
        return kept if any(kept[key] is not item for key, item in value.items()) else value

    def _formed(self, form: Form, go_type: str, value: Any, place: _Place) -> Any:
        if type(value) is not str:
            return self._wrong(value, go_type, place)
        try:
            form(value)
        except ValueError as error:
            self._cause(str(error), place)
        return value

    def _scalar(self, value: Any, place: _Place, go_type: str, test: _Test) -> Any:
        return value if test(value) else self._wrong(value, go_type, place)

    def _wrong(self, value: Any, go_type: str, place: _Place) -> Any:
        where = f"struct field {place.struct}.{place.go_path}" if place.struct else "value"
        self._cause(
            f"json: cannot unmarshal {_json_type(value, go_type)} into Go {where} of type {go_type}",
            place,
        )
        return value

    def _cause(self, message: str, place: _Place) -> None:
        self.causes.append(Cause("FieldValueTypeInvalid", message, place.path))


def _as_text(value: Any) -> str:
    """What Go's decoder of quantities looks at: numbers are quantities as well."""
    return value if type(value) is str else str(value).lower()


def _zero(schema: Schema) -> Any:
    """What Go's decoder makes of a null inside a list or map: the type's zero value."""
    name = referred(schema)
    if name:
        return "0" if name == QUANTITY else {}
    zeros: dict[str, Any] = {"string": "", "array": [], "object": {}, "boolean": False}
    return zeros.get(schema.get("type", ""), 0)


def _json_type(value: Any, go_type: str) -> str:
    if type(value) in (int, float):  # a number of the wrong size or kind is quoted
        numeric = go_type.startswith(("int", "float"))
        return f"number {value}" if numeric else "number"
    names = {str: "string", bool: "bool", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _go_name(name: str) -> str:
    """io.k8s.api.core.v1.Container is v1.Container to Go."""
    return ".".join(name.split(".")[-2:])


def _go_type(schema: Schema) -> str:
    name = referred(schema)
    if name:
        return {QUANTITY: "resource.Quantity"}.get(name) or _go_name(name)
    match schema.get("type"):
        case "array":
            return "[]" + _go_type(schema["items"])
        case "object":
            return "map[string]" + _go_type(schema.get("additionalProperties", {}))
        case "integer":
            return str(schema.get("format", "int32"))
        case "string":
            return "[]uint8" if schema.get("format") == "byte" else "string"
        case "boolean":
            return "bool"
        case "number":
            return "float64"
    return "interface {}"
