"""Selectors of devices: expressions over one device, true or false
(k8s.io/dynamic-resource-allocation/cel/compile.go).

An expression sees device.driver, device.attributes[DOMAIN].NAME, device.capacity[DOMAIN].NAME and
device.allowMultipleAllocations; a domain that a device has nothing of is an empty map.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from longshore.core.objects.cel.cost import SCALAR, Extent
from longshore.core.objects.cel.library import quantity, semver
from longshore.core.objects.cel.program import (
    Environment,
    NotCompiled,
    NotEvaluated,
    Program,
    Variable,
)
from longshore.core.objects.cel.syntax import Call, Constant, Name, Node, Select, walk
from longshore.core.objects.kinds import Doc

LENGTH_MAX, COST_MAX = 10 * 1024, 1_000_000
_DOMAIN_MAX, _VALUE_MAX, _PER_DEVICE = 63, 64, 32
_MAPS = ("device.attributes", "device.capacity")
_PLAIN = ("device.driver", "device.allowMultipleAllocations")
_REMEMBERED = 1024
# What even the simplest takes, mostly for handing the device over (measured: 20 to 40 us).
_OVERHEAD = 1000


def _nested(innermost: int) -> Extent:
    names = Extent(_PER_DEVICE, Extent(innermost))
    return Extent(_PER_DEVICE, names)


ENVIRONMENT = Environment(
    {
        "device.driver": Variable("string", Extent(_DOMAIN_MAX)),
        "device.attributes": Variable("map<string, map<string, dyn>>", _nested(_VALUE_MAX)),
        "device.capacity": Variable(
            "map<string, map<string, kubernetes.Quantity>>", _nested(_VALUE_MAX)
        ),
        "device.allowMultipleAllocations": Variable("bool", SCALAR),
    }
)


class Exhausted(Exception):
    """No more is to be evaluated for now."""


@dataclass(slots=True)
class Meter:
    """What may still be spent on evaluations, in their unit of cost."""

    left: int

    def charge(self, cost: int) -> None:
        """Exhausted if it is more than there is left."""
        if self.left <= 0:
            raise Exhausted
        self.left -= cost + _OVERHEAD


_Property = tuple[str, str, str]
"""A variable; of a map also a domain, and a name in it."""


@dataclass(frozen=True, slots=True, eq=False)
class Selector:
    """domains: by map, those that are asked for what they have without asking whether they are there.
    footprint: all that it looks at, if that can be told: devices alike in that are judged once."""

    program: Program
    domains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    footprint: tuple[_Property, ...] | None = None
    _judged: dict[Hashable, bool] = field(default_factory=dict)

    def matches(self, variables: Mapping[str, Any], meter: Meter | None = None) -> bool:
        """variables: of variables_of(). NotEvaluated if it cannot be told; Exhausted if it is not known
        yet and the meter has nothing left for it."""
        if self.footprint is None:
            return self._evaluate(variables, meter)
        seen = tuple(_seen(variables, *one) for one in self.footprint)
        found = self._judged.get(seen)
        if found is None:
            found = self._evaluate(variables, meter)
            if len(self._judged) >= _REMEMBERED:
                self._judged.clear()
            self._judged[seen] = found
        return found

    def _evaluate(self, variables: Mapping[str, Any], meter: Meter | None) -> bool:
        if meter is not None:
            meter.charge(self.program.cost)
        found = self.program.value(self._with_domains(variables))
        if not isinstance(found, bool):
            raise NotEvaluated("the result is neither true nor false")
        return found

    def _with_domains(self, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        missing: dict[str, dict[str, Doc]] = {
            name: {domain: {} for domain in domains if domain not in variables[name]}
            for name, domains in self.domains.items()
        }
        if not any(missing.values()):
            return variables
        return {**variables, **{name: {**variables[name], **missing[name]} for name in missing}}


@lru_cache(maxsize=_REMEMBERED)
def selector(expression: str) -> Selector:
    """NotCompiled if it is none, or is neither true nor false."""
    program = ENVIRONMENT.compile(expression)
    if program.type not in ("bool", "dyn"):
        raise NotCompiled(f"must evaluate to bool or the unknown type, not {program.type}")
    return Selector(program, _domains(program.tree), _footprint(program.tree))


def _domains(tree: Node) -> dict[str, tuple[str, ...]]:
    indexed: dict[str, set[str]] = {name: set() for name in _MAPS}
    tested: dict[str, set[str]] = {name: set() for name in _MAPS}
    for node in walk(tree):
        if isinstance(node, Call) and len(node.args) == 2:
            first, second = node.args
            if node.function == "_[_]":
                _note(indexed, first, second)
            elif node.function == "@in":
                _note(tested, second, first)
    return {name: tuple(indexed[name] - tested[name]) for name in _MAPS}


def _footprint(tree: Node) -> tuple[_Property, ...] | None:
    """None where a map is used otherwise than by DOMAIN and NAME."""
    named = {id(node): found for node in walk(tree) if (found := _property(node)) is not None}
    within = {id(node.operand.args[0]) for node in walk(tree)
              if id(node) in named and isinstance(node, Select) and isinstance(node.operand, Call)}  # fmt: skip
    for node in walk(tree):
        if isinstance(node, Name) and node.name in _MAPS and id(node) not in within:
            return None
    return tuple(dict.fromkeys(named.values()))


def _property(node: Node) -> _Property | None:
    if isinstance(node, Name) and node.name in _PLAIN:
        return node.name, "", ""
    if not (isinstance(node, Select) and isinstance(node.operand, Call)):
        return None
    call = node.operand
    if call.function != "_[_]" or len(call.args) != 2:
        return None
    of, key = call.args
    if isinstance(of, Name) and of.name in _MAPS and isinstance(key, Constant) and key.value:
        return of.name, key.value, node.field
    return None


def _seen(variables: Mapping[str, Any], name: str, domain: str, own: str) -> Hashable:
    """A value, told apart from those of other types that are equal to it."""
    value = variables[name]
    if domain:
        value = value.get(domain, {}).get(own)
    return type(value), tuple(value.items()) if isinstance(value, dict) else value


def _note(found: dict[str, set[str]], of: Node, key: Node) -> None:
    if isinstance(of, Name) and of.name in found and isinstance(key, Constant) and key.value:
        found[of.name].add(key.value)


def variables_of(driver: str, device: Doc) -> dict[str, Any]:
    """A device of a slice as expressions see it; names without a domain are the driver's."""
    attributes: dict[str, dict[str, Any]] = {}
    for name, told in (device.get("attributes") or {}).items():
        domain, own = qualified(name, driver)
        attributes.setdefault(domain, {})[own] = _attribute(told)
    capacity: dict[str, dict[str, Any]] = {}
    for name, told in (device.get("capacity") or {}).items():
        domain, own = qualified(name, driver)
        capacity.setdefault(domain, {})[own] = quantity(str(told["value"]))
    return {
        "device.driver": driver,
        "device.attributes": attributes,
        "device.capacity": capacity,
        "device.allowMultipleAllocations": bool(device.get("allowMultipleAllocations")),
    }


def qualified(name: str, driver: str) -> tuple[str, str]:
    """The domain and the name in it of an attribute or a capacity."""
    domain, slash, own = name.partition("/")
    return (domain, own) if slash else (driver, name)


def _attribute(told: Doc) -> Any:
    for kind in ("int", "bool", "string"):
        if kind in told:
            return told[kind]
    return semver(told["version"]) if "version" in told else None
