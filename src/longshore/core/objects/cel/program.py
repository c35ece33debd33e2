"""Compile expressions and evaluate them, with Google's CEL in C++ (cel-expr-python).

It is imported with the first expression that is compiled. What bounds an evaluation: the parser takes 32
levels of nesting, cost.py bounds time and memory before the first run, and at run time 10,000 rounds of
loops are all there are; regular expressions are RE2's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from longshore.core.objects.cel import syntax
from longshore.core.objects.cel.cost import Extent, cost, rounded
from longshore.core.objects.cel.library import LIBRARY, QUANTITY, SEMVER, Overload

# Types that the library knows only as maps: the checker tells them apart, the evaluation need not.
_OPAQUE = (QUANTITY, SEMVER)
_AS_MAP = "map<string, string>"
_CODES = (" [INVALID_ARGUMENT]", " [CANCELLED]")


class NotCompiled(ValueError):
    """Why an expression is refused, in one or a few lines."""


class NotEvaluated(ValueError):
    """Why an expression has no value for these variables."""


@dataclass(frozen=True, slots=True)
class Variable:
    """type as CEL writes it, such as "map<string, dyn>"; extent: how large it can be."""

    type: str
    extent: Extent


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A compiled expression. cost: what it takes at most."""

    expression: str
    type: str
    tree: syntax.Node
    cost: int
    _run: Any

    def value(self, variables: Mapping[str, Any]) -> Any:
        """What it is for some variables, by their names; NotEvaluated if it is nothing."""
        try:
            found = self._run.eval(data=variables)
            kind = found.type().name()
            value = found.plain_value()
        except (RuntimeError, TypeError) as error:
            raise NotEvaluated(str(error)) from None
        if kind == "ERROR":
            raise NotEvaluated(str(value))
        return value


class Environment:
    """What expressions of one use may name."""

    def __init__(self, variables: Mapping[str, Variable]) -> None:
        self._variables = variables
        self._extents = {name: one.extent for name, one in variables.items()}

    def compile(self, expression: str) -> Program:
        """NotCompiled if it is no expression, or names what is not there."""
        try:
            checked = self._checking.compile(expression)
            raw = checked.serialize()
            run = self._running.deserialize(raw)
        except RuntimeError as error:
            raise NotCompiled(_plain(str(error))) from None
        tree = syntax.parse(raw)
        spent = rounded(cost(tree, self._extents))
        return Program(expression, checked.return_type().name().lower(), tree, spent, run)

    @cached_property
    def _checking(self) -> Any:
        return self._made(LIBRARY, opaque=True)

    @cached_property
    def _running(self) -> Any:
        """Of functions that differ by opaque types alone, one is enough."""
        forms = {
            (one.function, _kinds(one.operands, opaque=False)): one for one in reversed(LIBRARY)
        }
        return self._made(reversed(forms.values()), opaque=False)

    def _made(self, library: Iterable[Overload], *, opaque: bool) -> Any:
        from cel_expr_python import cel
        from cel_expr_python.ext import ext_bindings, ext_optional, ext_strings

        functions: dict[str, list[Any]] = {}
        for one in library:
            kinds = [cel.Type(kind) for kind in _kinds(one.operands, opaque=opaque)]
            result = cel.Type(_kinds((one.result,), opaque=opaque)[0])
            name = f"{one.function}({','.join(one.operands)})"
            made = cel.Overload(name, result, kinds, one.member, one.work)
            functions.setdefault(one.function, []).append(made)
        types = {name: _kinds((one.type,), opaque=opaque) for name, one in self._variables.items()}
        return cel.NewEnv(
            variables={name: cel.Type(kind) for name, (kind,) in types.items()},
            functions=[cel.FunctionDecl(name, forms) for name, forms in functions.items()],
            extensions=[
                ext_strings.ExtStrings(2), ext_bindings.ExtBindings(), ext_optional.ExtOptional(),
            ],
        )  # fmt: skip


def _kinds(types: Iterable[str], *, opaque: bool) -> tuple[str, ...]:
    if opaque:
        return tuple(types)
    found = []
    for one in types:
        for name in _OPAQUE:
            one = one.replace(name, _AS_MAP)
        found.append(one)
    return tuple(found)


def _plain(message: str) -> str:
    """The library's message without the names of its own codes."""
    for code in _CODES:
        message = message.removesuffix(code)
    for code in _CODES:
        message = message.removeprefix(f"{code.strip(' []')}: ")
    return message
