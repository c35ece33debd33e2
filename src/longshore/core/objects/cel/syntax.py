"""A checked expression as a tree, read from the bytes of a `cel.expr.CheckedExpr` message (cel-spec,
proto/cel/expr/checked.proto and syntax.proto). Only what cost.py and selectors.py look at is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_Fields: TypeAlias = "dict[int, list[bytes | int]]"


@dataclass(frozen=True, slots=True)
class Constant:
    """value is the text of a string; None for all else."""

    value: str | None


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, by its whole name ("device.driver")."""

    name: str


@dataclass(frozen=True, slots=True)
class Select:
    operand: Node
    field: str


@dataclass(frozen=True, slots=True)
class Call:
    """target: what a member function is called of, None for others. Operators are functions, such as
    "_+_"."""

    function: str
    target: Node | None
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Collected:
    """A list's elements, or a map's keys and values."""

    parts: tuple[Node, ...]
    length: int


@dataclass(frozen=True, slots=True)
class Comprehension:
    """What macros become: a loop over a range that works on an accumulator."""

    variable: str
    over: Node
    accumulator: str
    begin: Node
    condition: Node
    step: Node
    result: Node


Node: TypeAlias = Constant | Name | Select | Call | Collected | Comprehension


def parse(checked: bytes) -> Node:
    """The tree of a serialised checked expression, which is packed into an Any."""
    message = _fields(_bytes(_fields(checked), 2))
    names = {}
    for entry in message.get(2, ()):
        pair = _fields(_as_bytes(entry))
        name = _text(_fields(_bytes(pair, 2)), 1)
        if name:
            names[_number(pair, 1)] = name
    return _Reader(names).read(_fields(_bytes(message, 4)))


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it."""
    yield node
    for child in _children(node):
        yield from walk(child)


def _children(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Select):
        return (node.operand,)
    if isinstance(node, Call):
        return (*(() if node.target is None else (node.target,)), *node.args)
    if isinstance(node, Collected):
        return node.parts
    if isinstance(node, Comprehension):
        return (node.over, node.begin, node.condition, node.step, node.result)
    return ()


class _Reader:
    """names: what the checker found identifiers and selections to be, by expression id."""

    def __init__(self, names: dict[int, str]) -> None:
        self._names = names

    def read(self, expr: _Fields) -> Node:
        if 4 in expr or 5 in expr:
            return self._named(expr)
        if 6 in expr:
            return self._call(_fields(_bytes(expr, 6)))
        if 7 in expr:
            parts = self._all(_fields(_bytes(expr, 7)), 1)
            return Collected(parts, len(parts))
        if 8 in expr:
            return self._struct(_fields(_bytes(expr, 8)))
        if 9 in expr:
            return self._comprehension(_fields(_bytes(expr, 9)))
        constant = _fields(_bytes(expr, 3))
        return Constant(_text(constant, 6) if 6 in constant else None)

    def _named(self, expr: _Fields) -> Node:
        known = self._names.get(_number(expr, 2))
        if known is not None:
            return Name(known)
        if 4 in expr:
            return Name(_text(_fields(_bytes(expr, 4)), 1))
        select = _fields(_bytes(expr, 5))
        return Select(self._one(select, 1), _text(select, 2))

    def _call(self, call: _Fields) -> Node:
        target = self._one(call, 1) if 1 in call else None
        return Call(_text(call, 2), target, self._all(call, 3))

    def _struct(self, struct: _Fields) -> Node:
        entries = [_fields(_as_bytes(one)) for one in struct.get(2, ())]
        parts = [self._one(one, place) for one in entries for place in (3, 4) if place in one]
        return Collected(tuple(parts), len(entries))

    def _comprehension(self, loop: _Fields) -> Node:
        return Comprehension(
            _text(loop, 1), self._one(loop, 2), _text(loop, 3), *(
                self._one(loop, place) for place in (4, 5, 6, 7)
            )
        )  # fmt: skip

    def _one(self, fields: _Fields, place: int) -> Node:
        return self.read(_fields(_bytes(fields, place)))

    def _all(self, fields: _Fields, place: int) -> tuple[Node, ...]:
        return tuple(self.read(_fields(_as_bytes(one))) for one in fields.get(place, ()))


# ---- the wire format of protocol buffers (protobuf.dev/programming-guides/encoding)


def _fields(data: bytes) -> _Fields:
    """A message's fields by number, each with all its values."""
    found: _Fields = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        value: bytes | int
        if wire == _VARINT:
            value, at = _varint(data, at)
        else:
            size = {_FIXED64: 8, _FIXED32: 4}.get(wire)
            if size is None:
                size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
        found.setdefault(number, []).append(value)
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


def _as_bytes(value: bytes | int) -> bytes:
    assert isinstance(value, bytes)
    return value


def _bytes(fields: _Fields, number: int) -> bytes:
    return _as_bytes(fields[number][-1]) if number in fields else b""


def _text(fields: _Fields, number: int) -> str:
    return _bytes(fields, number).decode()


def _number(fields: _Fields, number: int) -> int:
    value = fields[number][-1] if number in fields else 0
    assert isinstance(value, int)
    return value
