"""What evaluating an expression takes at most, by how large its variables can be. Pure.

The unit is cel-go's: a look at a variable or a call is 1, each ten characters or elements that are
gone through another (cel-go, checker/cost.go; limits in k8s.io/api/resource/v1, CELSelectorExpressionMaxCost).
What is made is as large as what it is made of, so that an expression which builds something huge is
found to be too expensive before it is ever run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from longshore.core.objects.cel.syntax import (
    Call,
    Collected,
    Comprehension,
    Constant,
    Name,
    Node,
    Select,
)

_PER_PART = 0.1
_LIST, _MAP = 10.0, 30.0
# What a number can be written as, at most.
_NUMBER = 128


@dataclass(frozen=True, slots=True)
class Extent:
    """How large a value can be: characters of a text, or elements, each as large as item."""

    length: float = 1.0
    item: Extent | None = None

    @property
    def weight(self) -> float:
        """All parts of it, to the last."""
        return self.length * (1.0 if self.item is None else max(1.0, self.item.weight))


SCALAR = Extent()


def cost(tree: Node, variables: Mapping[str, Extent]) -> float:
    """The most that it takes; infinite where numbers end."""
    return _Estimate().of(tree, variables)[0]


def _union(*extents: Extent | None) -> Extent | None:
    """As large as the largest, part by part."""
    given = [one for one in extents if one is not None]
    if not given:
        return None
    return Extent(max(one.length for one in given), _union(*(one.item for one in given)))


def _either(*extents: Extent) -> Extent:
    return _union(*extents) or SCALAR


_Scope = Mapping[str, Extent]
_Known = tuple[float, Extent]


class _Estimate:
    def of(self, node: Node, scope: _Scope) -> _Known:
        if isinstance(node, Constant):
            return 0.0, Extent(float(len(node.value))) if node.value is not None else SCALAR
        if isinstance(node, Name):
            return 1.0, scope.get(node.name, SCALAR)
        if isinstance(node, Select):
            spent, whole = self.of(node.operand, scope)
            return spent + 1.0, _item(whole)
        if isinstance(node, Collected):
            return self._collected(node, scope)
        if isinstance(node, Comprehension):
            return self._loop(node, scope)
        return self._call(node, scope)

    def _collected(self, node: Collected, scope: _Scope) -> _Known:
        known = [self.of(one, scope) for one in node.parts]
        own = _LIST if len(node.parts) == node.length else _MAP
        item = _union(*(extent for _, extent in known))
        return own + sum(spent for spent, _ in known), Extent(float(node.length), item)

    def _loop(self, node: Comprehension, scope: _Scope) -> _Known:
        """The accumulator grows by at most one element a round, or is what it was at the beginning:
        macros leave no other way to use it."""
        range_spent, over = self.of(node.over, scope)
        begin_spent, begin = self.of(node.begin, scope)
        grown = Extent(begin.length + over.length, begin.item) if over.length else begin
        inner = {**scope, node.variable: _item(over), node.accumulator: grown}
        condition, _ = self.of(node.condition, inner)
        step, stepped = self.of(node.step, inner)
        grown = Extent(grown.length, _union(grown.item, stepped.item)) if over.length else begin
        end, result = self.of(node.result, {**scope, node.accumulator: grown})
        rounds = over.length * (condition + step)
        return range_spent + begin_spent + rounds + end, result

    def _call(self, node: Call, scope: _Scope) -> _Known:
        operands = (() if node.target is None else (node.target,)) + node.args
        known = [self.of(one, scope) for one in operands]
        extents = [extent for _, extent in known]
        work, made = _FUNCTIONS.get(node.function, _anything)(extents)
        spent = sum(spent for spent, _ in known)
        if node.function == "_?_:_":
            spent = known[0][0] + max(known[1][0], known[2][0])
        return spent + 1.0 + work * _PER_PART, made


def _item(whole: Extent) -> Extent:
    return whole.item or Extent(whole.length)


# ---- functions: extents of the operands in, work and the extent of what is made out

_Given = Sequence[Extent]


def _anything(given: _Given) -> _Known:
    """Of a function that has no line of its own: it goes through all it is given, and makes no more
    of it than that, or a number."""
    total = sum(one.weight for one in given)
    return total, Extent(max(total, float(_NUMBER)), _union(*(one.item for one in given)))


def _constant(given: _Given) -> _Known:
    return 0.0, SCALAR


def _compared(given: _Given) -> _Known:
    return min(one.weight for one in given), SCALAR


def _searched(given: _Given) -> _Known:
    return given[0].weight * max(1.0, given[1].weight * _PER_PART), SCALAR


def _matched(given: _Given) -> _Known:
    """The pattern is read anew each time, which takes longer than to go through a short text."""
    return _searched(given)[0] + 10.0 * given[1].weight, SCALAR


def _joined_up(given: _Given) -> _Known:
    total = given[0].weight + given[1].weight
    length = given[0].length + given[1].length
    return total, Extent(length, _union(given[0].item, given[1].item))


def _chosen(given: _Given) -> _Known:
    return 0.0, _either(*given[1:])


def _indexed(given: _Given) -> _Known:
    return 0.0, _item(given[0])


def _contained(given: _Given) -> _Known:
    """Keys of maps are found at once; lists are gone through, so as such it counts."""
    return given[1].length * min(given[0].weight, _item(given[1]).weight), SCALAR


def _one_of(given: _Given) -> _Known:
    return 0.0, _either(*given)


def _replaced(given: _Given) -> _Known:
    made = (given[0].length + 1.0) * (1.0 + given[2].length)
    return made, Extent(made)


def _split(given: _Given) -> _Known:
    return given[0].weight, Extent(given[0].length + 1.0, Extent(given[0].length))


def _joined(given: _Given) -> _Known:
    between = given[1].length if len(given) > 1 else 0.0
    made = given[0].length * (_item(given[0]).length + between)
    return made, Extent(made)


def _formatted(given: _Given) -> _Known:
    values = given[1] if len(given) > 1 else SCALAR
    made = given[0].length + 8.0 * values.weight + _NUMBER * values.length
    return made, Extent(made)


_FUNCTIONS: dict[str, Callable[[_Given], _Known]] = {
    "_?_:_": _chosen,
    "_[_]": _indexed,
    "_?._": _indexed,
    "_[?_]": _indexed,
    "@in": _contained,
    "_+_": _joined_up,
    "_&&_": _constant,
    "_||_": _constant,
    "!_": _constant,
    "@not_strictly_false": _constant,
    "size": _constant,
    "hasValue": _constant,
    "value": _one_of,
    "orValue": _one_of,
    "or": _one_of,
    "optional.of": _one_of,
    "contains": _searched,
    "matches": _matched,
    "indexOf": _searched,
    "lastIndexOf": _searched,
    "replace": _replaced,
    "split": _split,
    "join": _joined,
    "format": _formatted,
    **dict.fromkeys(("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"), _compared),
    **dict.fromkeys(("startsWith", "endsWith"), _compared),
}


def rounded(value: float) -> int:
    """A cost as a whole number; what is beyond numbers is a very large one."""
    return math.ceil(min(value, 1e18))
