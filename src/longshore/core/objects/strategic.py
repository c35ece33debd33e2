"""Strategic merge patches: merge patches that know which lists are maps.

What is merged by which key comes from the schema's x-kubernetes-patch-* keys. The directives and
their order of effect are those of apimachinery/pkg/util/strategicpatch:

    $patch: replace | delete | merge       in an object, or as an element of a list
    $retainKeys: [...]                     the only fields that the object may keep
    $deleteFromPrimitiveList/FIELD: [...]  values to take out of a list
    $setElementOrder/FIELD: [...]          the order of a merged list

Nothing given is changed; the result shares what did not change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from longshore.core.objects.errors import BadRequest, Invalid
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.schema import Schema, definition, referred

_PATCH, _RETAIN = "$patch", "$retainKeys"
_DELETE_FROM, _ORDER = "$deleteFromPrimitiveList/", "$setElementOrder/"
_FREE: Schema = {}
_Identity = Callable[[Any], Any]
"""What makes an item of a merged list the same item."""


def strategic_merge(kind: Kind, doc: Doc, patch: Any) -> Doc:
    """The document with the patch merged in. Raises BadRequest, or Invalid, for a patch that makes no
    sense."""
    if not isinstance(patch, dict):
        raise BadRequest(
            "json: cannot unmarshal array into Go value of type map[string]interface {}"
        )
    return _merge_map(doc, patch, definition(kind.schema))


def _merge_map(doc: Doc, patch: Doc, schema: Schema) -> Doc:
    match patch.get(_PATCH):
        case "replace":
            replaced: Doc = _clean(patch)
            return replaced
        case "delete":
            return {}
        case None | "merge":
            pass
        case other:
            raise BadRequest(f"Unknown patch type: {other} in map: {patch}")
    merged = _retain(doc, patch)
    for key, value in patch.items():
        if key in (_PATCH, _RETAIN) or key.startswith((_DELETE_FROM, _ORDER)):
            continue
        if value is None:
            merged.pop(key, None)
        elif key in merged:
            merged[key] = _merge_value(merged[key], value, _field(schema, key))
        else:
            merged[key] = _clean(value)
    _arrange(merged, doc, patch, schema)
    return merged


def _retain(doc: Doc, patch: Doc) -> Doc:
    """A copy of the document, with only the fields that $retainKeys allows. Raises Invalid for a
    patch that gives others."""
    keys = patch.get(_RETAIN)
    if keys is None:
        return dict(doc)
    if not isinstance(keys, list):
        raise BadRequest("invalid patch format of retainKeys")
    strays = [
        k for k, v in patch.items() if v is not None and not k.startswith("$") and k not in keys
    ]
    if strays:
        raise Invalid("patch content doesn't match retainKeys list")
    return {key: value for key, value in doc.items() if key in keys}


def _arrange(merged: Doc, doc: Doc, patch: Doc, schema: Schema) -> None:
    """Directives that concern a list as a whole: orders first, then deletions."""
    for key, order in patch.items():
        if key.startswith(_ORDER):
            name = key[len(_ORDER) :]
            if isinstance(merged.get(name), list) and _is_list(order, key):
                identity = _identity(_merge_key(_field(schema, name)))
                _all_in_order(patch.get(name) or (), order, identity, name)
                before = _order_before(doc.get(name) or [], merged[name], identity)
                merged[name] = _ordered(merged[name], before, order, identity)
    for key, gone in patch.items():
        if key.startswith(_DELETE_FROM):
            name = key[len(_DELETE_FROM) :]
            if isinstance(merged.get(name), list) and _is_list(gone, key):
                merged[name] = [item for item in merged[name] if item not in gone]


def _order_before(old: list[Any], merged: list[Any], identity: _Identity) -> list[Any]:
    """What counts as the old order. Upstream deletes and appends in place, so that added items
    stand at the end as far as deleted ones left room; the same is done here to the same result."""
    kept, had = {identity(item) for item in merged}, {identity(item) for item in old}
    left = [item for item in old if identity(item) in kept]
    added = [item for item in merged if identity(item) not in had]
    return (left + added)[: len(old)]


def _is_list(value: Any, key: str) -> bool:
    if not isinstance(value, list):
        raise BadRequest(f"invalid patch format of {key.partition('/')[0]}: not a list")
    return True


def _merge_value(old: Any, new: Any, schema: Schema) -> Any:
    strategies = schema.get("x-kubernetes-patch-strategy", "").split(",")
    if isinstance(old, dict) and isinstance(new, dict):
        return _clean(new) if "replace" in strategies else _merge_map(old, new, _resolved(schema))
    if isinstance(old, list) and isinstance(new, list) and "merge" in strategies:
        return _merge_list(old, new, schema)
    return _clean(new)


def _merge_list(old: list[Any], new: list[Any], schema: Schema) -> list[Any]:
    key = _merge_key(schema)
    if not key:
        return _ordered(_union(old, new), old, new, _frozen)
    for item in (*old, *new):
        if not isinstance(item, dict) or (key not in item and item.get(_PATCH) != "replace"):
            raise BadRequest(f"map: {item} does not contain declared merge key: {key}")
    if any(item.get(_PATCH) == "replace" for item in new):
        return [_clean(item) for item in new if _PATCH not in item]
    changes = [item for item in new if item.get(_PATCH) != "delete"]
    gone = [item[key] for item in new if item.get(_PATCH) == "delete"]
    left = [item for item in old if item[key] not in gone]
    merged = _merge_items(left, changes, key, _resolved(schema["items"]))
    return _ordered(merged, left, changes, _identity(key))


def _merge_items(old: list[Doc], changes: list[Doc], key: str, schema: Schema) -> list[Doc]:
    merged = list(old)
    places = {_frozen(item[key]): index for index, item in reversed(list(enumerate(merged)))}
    for item in changes:
        at = places.get(_frozen(item[key]))
        if at is None:
            places[_frozen(item[key])] = len(merged)
            merged.append(_clean(item))
        else:
            merged[at] = _merge_map(merged[at], item, schema)
    return merged


def _union(old: list[Any], new: list[Any]) -> list[Any]:
    united = list(old)
    for item in new:
        if item not in united:
            united.append(item)
    return united


def _identity(key: str) -> _Identity:
    if not key:
        return _frozen
    return lambda item: _frozen(item.get(key)) if isinstance(item, dict) else None


def _frozen(value: Any) -> Any:
    """Something hashable that is equal when the JSON values are; True is not 1 here."""
    return repr(value) if isinstance(value, dict | list | bool) else value


def _all_in_order(given: Iterable[Any], order: list[Any], identity: _Identity, name: str) -> None:
    listed = {identity(item) for item in order}
    for item in given:
        directive = isinstance(item, dict) and _PATCH in item
        if not directive and identity(item) not in listed:
            raise BadRequest(
                f"The order in patch list doesn't match {_ORDER}{name} list: {item} is not in it"
            )


def _ordered(
    merged: list[Any], before: list[Any], order: list[Any], identity: _Identity
) -> list[Any]:
    """Items that are in order (the patch's own, or what $setElementOrder says) in that order; the
    others in their old one, each before the first ordered item that it used to precede
    (strategicpatch.normalizeElementOrder)."""
    rank = {identity(item): index for index, item in reversed(list(enumerate(order)))}
    was = {identity(item): index for index, item in reversed(list(enumerate(before)))}
    theirs = sorted((i for i in merged if identity(i) in rank), key=lambda i: rank[identity(i)])
    ours = [item for item in merged if identity(item) not in rank]
    result: list[Any] = []
    for item in theirs:
        place = was.get(identity(item))
        while ours and place is not None and was.get(identity(ours[0]), place) < place:
            result.append(ours.pop(0))
        result.append(item)
    return result + ours


def _clean(value: Any) -> Any:
    """A patch's value where nothing was before: without nulls and directives."""
    if isinstance(value, dict):
        return {
            key: _clean(item)
            for key, item in value.items()
            if item is not None and not key.startswith((_PATCH, _RETAIN, _DELETE_FROM, _ORDER))
        }
    if isinstance(value, list):
        kept = (
            i for i in value if not (isinstance(i, dict) and i.get(_PATCH) in ("delete", "replace"))
        )
        return [_clean(item) for item in kept]
    return value


# ---- the schema


def _resolved(schema: Schema) -> Schema:
    name = referred(schema)
    return definition(name) if name else schema


def _field(schema: Schema, key: str) -> Schema:
    """The schema of a field, with its patch keys; an empty one where anything goes."""
    fields = schema.get("properties")
    found: Schema = fields.get(key, _FREE) if fields else schema.get("additionalProperties", _FREE)
    return found


def _merge_key(schema: Schema) -> str:
    return str(schema.get("x-kubernetes-patch-merge-key", ""))
