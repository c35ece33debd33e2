"""Walks through objects by their shapes: what differs, what is set, what an apply makes of them.

Nothing given is changed; results share the parts that did not change.
Source: sigs.k8s.io/structured-merge-diff/v6 typed/{compare,tofieldset,merge,remove}.go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from longshore.core.objects.apply.fields import (
    MEMBER,
    Fields,
    as_member,
    is_member,
)
from longshore.core.objects.apply.shapes import Form, Shape
from longshore.core.objects.kinds import Doc

# Looked up once: a member of an enumeration costs as much as a call.
_LEAF, _STRUCT, _KEYED, _SET = Form.LEAF, Form.STRUCT, Form.KEYED, Form.SET
_NESTED = (dict, list)
_PARTED = (_STRUCT, Form.MAP, Form.ANY)
_Items: TypeAlias = dict[str, Any]
_Step: TypeAlias = tuple[str, Shape, bool]


class Changes(NamedTuple):
    """set holds what was added or has another value now, removed what is gone."""

    set: Fields
    removed: Fields


class UnkeyedItem(ValueError):
    """An applied list names an item twice, or does not name one; the message says which."""


def _has_parts(shape: Shape, value: Any) -> bool:
    return shape.form in _PARTED and type(value) is dict


def _is_items(shape: Shape, value: Any) -> bool:
    return (shape.form is _KEYED or shape.form is _SET) and type(value) is list


# ---- what differs


def everything(value: Any, shape: Shape, always: bool = False) -> Fields:
    """The set of all that a value has, itself among it unless it is always there."""
    if shape.form is _STRUCT and type(value) is dict:
        return _structure(value, shape, always)
    node: Fields = {}
    if _has_parts(shape, value):
        for name, item in value.items():
            key, inner, kept = shape.part(name)
            # Most are scalars, and a call costs more than all else here.
            scalar = inner.form is _LEAF or type(item) not in _NESTED
            node[key] = MEMBER if scalar else everything(item, inner, always and kept)
    elif _is_items(shape, value):
        for item in value:
            node[shape.key_of(item)] = everything(item, shape.element)
    if not node:
        return MEMBER
    return node if always else {".": MEMBER, **node}


def _structure(value: Doc, shape: Shape, always: bool) -> Fields:
    """The same of a structure: what its names say is known, and its parts are looked at."""
    fields, whole, parted = shape.outline(tuple(value))
    known = fields if always else whole
    node = known
    for name, key, inner, kept in parted:
        item = value[name]
        if type(item) in _NESTED:
            node = known.copy() if node is known else node
            node[key] = everything(item, inner, always and kept)
    return node


def compare(old: Any, new: Any, shape: Shape, always: bool = True) -> Changes:
    """What differs between two values, by default of whole objects; the sets have no root."""
    if _has_parts(shape, old) and _has_parts(shape, new):
        return _differing(old, new, shape.part, always)
    if _is_items(shape, old) and _is_items(shape, new):
        element = shape.element
        before, after = _by_key(old, shape), _by_key(new, shape)
        return _differing(before, after, lambda key: (key, element, False), False)
    return Changes({".": MEMBER}, {})


def _differing(old: _Items, new: _Items, step: Callable[[str], _Step], always: bool) -> Changes:
    changed: Fields = {}
    removed: Fields = {}
    for name, value in new.items():
        was = old.get(name)
        if was is value or was == value:
            continue
        key, inner, kept = step(name)
        if inner.form is _LEAF or type(value) not in _NESTED:
            changed[key] = MEMBER
            continue
        if was is None:
            changed[key] = everything(value, inner, always and kept)
            continue
        below, gone = compare(was, value, inner, always and kept)
        if below:
            changed[key] = MEMBER if "." in below else below
        if gone:
            removed[key] = gone
    for name in old:
        if name not in new:
            key, inner, _ = step(name)
            removed[key] = everything(old[name], inner)
    return Changes(changed, removed)


def _by_key(items: list[Any], shape: Shape) -> _Items:
    key_of = shape.key_of
    return {key_of(item): item for item in items}


# ---- what a configuration sets


def field_set(value: Any, shape: Shape) -> Fields:
    """The fields that an applied configuration speaks of; the set has no root. Raises
    UnkeyedItem."""
    return _set_of(value, shape, "") or {}


def _set_of(value: Any, shape: Shape, path: str) -> Fields | None:
    if _is_items(shape, value):
        keys = _distinct(value, shape, path)
        return {
            key: as_member(_set_of(item, shape.element, path + key) or MEMBER)
            for key, item in keys.items()
        } or None
    if not _has_parts(shape, value):
        return MEMBER
    node: Fields = {}
    for name, item in value.items():
        key, inner, _ = shape.part(name)
        below = _set_of(item, inner, f"{path}.{name}")
        if shape.form is _STRUCT and item != {}:
            if below is not None:
                node[key] = below
        else:
            node[key] = as_member(below or MEMBER)
    return node or None


def _distinct(items: list[Any], shape: Shape, path: str) -> _Items:
    found: _Items = {}
    for index, item in enumerate(items):
        missing = shape.missing_key(item)
        if missing:
            raise UnkeyedItem(
                f"{path}: element {index}: associative list with keys has an element that omits "
                f'key field "{missing}" (and doesn\'t have default value)'
            )
        key = shape.key_of(item)
        if key in found:
            raise UnkeyedItem(f"{path}: duplicate entries for key [{key.partition(':')[2]}]")
        found[key] = item
    return found


# ---- what an apply makes of an object


def merge(live: Any, config: Any, shape: Shape) -> Any:
    """The live value with what the configuration says put over it."""
    if _has_parts(shape, live) and _has_parts(shape, config):
        merged: Doc = dict(live)
        for name, value in config.items():
            merged[name] = merge(live[name], value, shape.part(name)[1]) if name in live else value
        return merged
    if _is_items(shape, live) and _is_items(shape, config):
        return _merge_items(live, config, shape)
    return config


def _merge_items(live: list[Any], config: list[Any], shape: Shape) -> list[Any]:
    """Applied items in the configuration's order; the others stay where they are among them."""
    ours, theirs = _by_key(live, shape), _by_key(config, shape)
    merged: list[Any] = []
    waiting = deque(ours)
    done: set[str] = set()
    for key, item in theirs.items():
        while waiting and (waiting[0] not in theirs or waiting[0] in done):
            first = waiting.popleft()
            if first not in theirs:
                merged.append(ours[first])
        merged.append(merge(ours[key], item, shape.element) if key in ours else item)
        done.add(key)
    return merged + [ours[key] for key in waiting if key not in theirs]


def prune(value: Any, last: Fields, claimed: Fields, shape: Shape) -> Any:
    """Without what an applier set last time (last) and nobody claims any more. A structure goes
    with the last field of it that anybody claims (merge/update.go: prune)."""
    if _has_parts(shape, value):
        named = shape.form is _STRUCT
        parts = {name: (shape.part(name)[0], item) for name, item in value.items()}
        return {
            name: prune(item, last.get(key, {}), claimed.get(key, {}), shape.part(name)[1])
            if key in last
            else item
            for name, (key, item) in parts.items()
            if not _is_dropped(key, last, claimed, named)
        }
    if _is_items(shape, value):
        pairs = [(shape.key_of(item), item) for item in value]
        return [
            prune(item, last.get(key, {}), claimed.get(key, {}), shape.element)
            if key in last
            else item
            for key, item in pairs
            if not _is_dropped(key, last, claimed, False)
        ]
    return value


def _is_dropped(key: str, last: Fields, claimed: Fields, named: bool) -> bool:
    """Fields of structures count as soon as anything below them does."""
    was, now = last.get(key), claimed.get(key)
    if was is None or not (named or is_member(was)):
        return False
    return now is None or not (named or is_member(now))
