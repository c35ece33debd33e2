"""Sets of fields, in the form in which metadata.managedFields shows them (FieldsV1).

A set is a tree of dicts. Keys are "f:NAME" (a field), 'k:{"name":"web"}' (an item of a list that is
a map), 'v:"value"' (an item of a set) and "." (the node itself). A node belongs to the set if it is
{} or has "."; the root never does, so {} as a whole is the empty set. Trees are shared between
objects: nothing here changes one.
Source: sigs.k8s.io/structured-merge-diff/v6/fieldpath (set.go, serialize.go, path.go).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import orjson

Fields: TypeAlias = dict[str, Any]

MEMBER: Fields = {}
"""A field without members below it. One for all, read-only."""

DEPTH_MAX = 100
_SELF = "."


def is_member(node: Fields) -> bool:
    return not node or _SELF in node


def as_member(node: Fields) -> Fields:
    """The node with itself in the set."""
    return node if is_member(node) else {_SELF: MEMBER, **node}


def union(left: Fields, right: Fields) -> Fields:
    if not right or left is right:
        return left
    merged = dict(left)
    for key, node in right.items():
        there = merged.get(key)
        merged[key] = node if there is None else _both(there, node)
    return merged


def _both(left: Fields, right: Fields) -> Fields:
    if not left:
        return as_member(right)
    return union(left, right) if right else as_member(left)


def difference(left: Fields, right: Fields) -> Fields:
    """The members of left that are not members of right; left itself if that is all of them."""
    kept = left
    for key, node in right.items():
        there = left.get(key)
        if there is None:
            continue
        rest = _less(there, node)
        if rest is there:
            continue
        if kept is left:
            kept = dict(left)
        if rest is None:
            del kept[key]
        else:
            kept[key] = rest
    return kept


def _less(left: Fields, right: Fields) -> Fields | None:
    if not left:
        return None if is_member(right) else left
    if not right:
        right = {_SELF: MEMBER}
    rest = difference(left, right)
    if not rest:
        return None
    return MEMBER if len(rest) == 1 and _SELF in rest else rest


def intersection(left: Fields, right: Fields) -> Fields:
    if len(right) < len(left):
        left, right = right, left
    common: Fields = {}
    for key, node in left.items():
        other = right.get(key)
        if other is None:
            continue
        shared = _common(node, other)
        if shared is not None:
            common[key] = shared
    return common


def _common(left: Fields, right: Fields) -> Fields | None:
    below = intersection(left, right)
    below.pop(_SELF, None)
    if is_member(left) and is_member(right):
        return as_member(below) if below else MEMBER
    return below or None


def paths(fields: Fields, prefix: str = "") -> Iterator[str]:
    """The members as upstream prints them: .spec.containers[name="web"].image"""
    for key, node in sorted(fields.items()):
        if key == _SELF:
            continue
        path = prefix + _shown(key)
        if is_member(node):
            yield path
        yield from paths(node, path)


def _shown(key: str) -> str:
    sort, _, rest = key.partition(":")
    if sort == "f":
        return f".{rest}"
    if sort == "k":
        parts = (f"{k}={orjson.dumps(v).decode()}" for k, v in orjson.loads(rest).items())
        return f"[{','.join(parts)}]"
    return f"[{rest}]"


def is_well_formed(fields: Any, depth: int = DEPTH_MAX) -> bool:
    """Whether what a client sent is a set of fields at all."""
    if not isinstance(fields, dict) or not depth:
        return False
    return all(_is_key(key) and is_well_formed(node, depth - 1) for key, node in fields.items())


def _is_key(key: str) -> bool:
    if key == _SELF or key.startswith("f:"):
        return True
    try:
        decoded = orjson.loads(key[2:])
    except orjson.JSONDecodeError:
        return False
    wanted: dict[str, type] = {"k:": dict, "v:": object, "i:": int}
    return isinstance(decoded, wanted.get(key[:2], type))
