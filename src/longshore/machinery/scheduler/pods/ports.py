"""Ports of the host that a pod asks for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from longshore.core.objects.dynamic_ports import ASKED, BadPorts, Wanted, given, names_in, wanted
from longshore.core.objects.kinds import Doc

Port = tuple[str, str, int]
"""(protocol, address, port) on the host; the address means all if it is ANY_ADDRESS."""

ANY_ADDRESS = "0.0.0.0"


def host_ports(spec: Doc, asked: str = "") -> Iterator[Port]:
    """Those with a number. asked: the annotation by which ports are to be chosen: they have none."""
    free = names_in(asked) if asked else ()
    for container in [*spec["containers"], *_sidecars(spec)]:
        for port in container.get("ports") or ():
            if port.get("hostPort") and port.get("name") not in free:
                address = port.get("hostIP") or ANY_ADDRESS
                yield port.get("protocol") or "TCP", address, int(port["hostPort"])


def ports_to_choose(spec: Doc, asked: str, given: str) -> tuple[tuple[Wanted, ...], str]:
    """The ports of the host that are still to be chosen, and why they cannot be ("" if they can)."""
    if not asked or given:
        return (), ""
    try:
        return wanted(spec, asked), ""
    except BadPorts as error:
        return (), f"metadata.annotations[{ASKED}]: {error}"


def ports_chosen(spec: Doc, text: str) -> Iterator[Port]:
    """Those that were, with the binding."""
    for protocol, port in given(spec, text) if text else ():
        yield protocol, ANY_ADDRESS, port


def _sidecars(spec: Doc) -> Iterable[Doc]:
    return (c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always")
