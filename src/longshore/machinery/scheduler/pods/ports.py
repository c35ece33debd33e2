"""Ports of the host that a pod asks for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from longshore.core.objects.kinds import Doc

Port = tuple[str, str, int]
"""(protocol, address, port) on the host; the address means all if it is ANY_ADDRESS."""

ANY_ADDRESS = "0.0.0.0"


def host_ports(spec: Doc) -> Iterator[Port]:
    for container in [*spec["containers"], *_sidecars(spec)]:
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                address = port.get("hostIP") or ANY_ADDRESS
                yield port.get("protocol") or "TCP", address, int(port["hostPort"])


def _sidecars(spec: Doc) -> Iterable[Doc]:
    return (c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always")
