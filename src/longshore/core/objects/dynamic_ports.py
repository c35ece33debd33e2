"""Ports of the host that the scheduler chooses: what a pod asks for, and what it was given. Pure.

A pod names ports of its containers in one annotation (ASKED, with commas between). Its binding adds
another (GIVEN): a JSON object from those names to ports that nobody else has on that node.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from longshore.core.objects.kinds import Doc

ASKED = "scheduling.longshore.io/dynamic-ports"
GIVEN = "scheduling.longshore.io/host-ports"
# Below the ports that Services of type NodePort have, and those that Linux gives to clients.
FIRST, LAST = 20000, 29999
ASKED_MAX = 100

Wanted = tuple[str, str]
"""(name, protocol)"""


class BadPorts(ValueError):
    """The annotation cannot be understood; the message says why."""


def wanted(spec: Doc, text: str) -> tuple[Wanted, ...]:
    """The ports that an annotation names, in its order. Raises BadPorts."""
    names = names_in(text)
    known = dict(_named(spec))
    if len(names) > ASKED_MAX:
        raise BadPorts(f"must name at most {ASKED_MAX} ports")
    for name in names:
        if name not in known:
            raise BadPorts(f'no container has a port with the name "{name}"')
        if _is_fixed(spec, known[name]):
            raise BadPorts(f'port "{name}" has a hostPort already')
        if names.count(name) > 1:
            raise BadPorts(f'port "{name}" is named twice')
    return tuple((name, known[name].get("protocol") or "TCP") for name in names)


def names_in(text: str) -> list[str]:
    return [one.strip() for one in text.split(",")]


def _is_fixed(spec: Doc, port: Doc) -> bool:
    """Whether it has a port of the host that somebody chose. In the host's network every port is
    given its own number by default, which says nothing."""
    chosen = port.get("hostPort")
    return bool(chosen) and not (spec.get("hostNetwork") and chosen == port["containerPort"])


def given(spec: Doc, text: str) -> tuple[tuple[str, int], ...]:
    """(protocol, port) of what was given; what makes no sense there gives nothing."""
    return tuple((port.get("protocol") or "TCP", number) for port, number in _given(spec, text))


def chosen(pod: Doc) -> tuple[tuple[Doc, int], ...]:
    """The ports of a pod's containers to which ports of the host were given, with those."""
    text = (pod["metadata"].get("annotations") or {}).get(GIVEN)
    return tuple(_given(pod["spec"], text)) if text else ()


def _given(spec: Doc, text: str) -> Iterator[tuple[Doc, int]]:
    try:
        numbers = orjson.loads(text)
    except orjson.JSONDecodeError:
        return
    if isinstance(numbers, dict):
        for name, port in _named(spec):
            if isinstance(numbers.get(name), int):
                yield port, numbers[name]


def given_to(pod: Doc, more: dict[str, str] | None = None) -> dict[str, int]:
    """The same as amounts of the node, one of each, for a pod with perhaps more annotations."""
    text = {**(pod["metadata"].get("annotations") or {}), **(more or {})}.get(GIVEN)
    if not text:
        return {}
    return {f"{PORTS}{protocol}/{port}": 1 for protocol, port in given(pod["spec"], text)}


PORTS = "ports/"
"""How amounts of ports begin; no resource is called so."""


def _named(spec: Doc) -> Iterator[tuple[str, Doc]]:
    for container in spec.get("containers") or ():
        for port in container.get("ports") or ():
            if port.get("name"):
                yield port["name"], port
