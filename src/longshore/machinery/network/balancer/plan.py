"""Which ports of 127.0.0.1 a Service wants, and what its status is to say. Pure.

A LoadBalancer's port 80 wants 127.0.0.1:80, or any free port if that is taken; a node port wants
itself and nothing else. Which port it became is written on the Service:

    status.loadBalancer.ingress      [{ip: 127.0.0.1, ports: [{port: 8080, protocol: TCP}]}]
    metadata.annotations             longshore.io/local-ports: "80=8080,443=443"

The ports of the status are the ones to connect to; the annotation says which port of the service
each one stands for, in `service port=local port` pairs, so http://127.0.0.1:8080 is port 80's URL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from longshore.core.objects.kinds import Doc

LOOPBACK_IP = "127.0.0.1"
LOCAL_PORTS = "longshore.io/local-ports"


@dataclass(frozen=True, order=True, slots=True)
class Listener:
    """A wanted port. node_port is where its connections go; tries are local ports in order of
    preference; any_free says whether another one will do. port is the service's own."""

    purpose: Literal["loadbalancer", "nodeport"]
    port: int
    node_port: int
    tries: tuple[int, ...]
    any_free: bool

    @property
    def identity(self) -> tuple[str, int, int]:
        """What stays the same while the listener is open, whatever its preferences become."""
        return self.purpose, self.port, self.node_port


@dataclass(frozen=True, slots=True)
class Wish:
    """What a service wants of this machine; notes are sentences on what it cannot have."""

    listeners: tuple[Listener, ...] = ()
    notes: tuple[str, ...] = ()


def wish(service: Doc) -> Wish:
    """The listeners of one service."""
    spec = service["spec"]
    balanced = is_ours(service)
    listeners: list[Listener] = []
    notes: list[str] = []
    before = local_ports(service)
    for port in spec.get("ports") or ():
        if spec.get("type") not in ("NodePort", "LoadBalancer"):
            break
        number, node_port = port["port"], port.get("nodePort")
        if port.get("protocol", "TCP") != "TCP":
            notes.append(
                f"port {number}/{port['protocol']} is not on 127.0.0.1: only TCP is carried"
            )
        elif not node_port:
            notes.append(f"port {number} is not on 127.0.0.1: it has no node port to lead to")
        else:
            listeners.append(Listener("nodeport", number, node_port, (node_port,), False))
            if balanced:
                tries = tuple(dict.fromkeys((before.get(number, number), number)))
                listeners.append(Listener("loadbalancer", number, node_port, tries, True))
    return Wish(tuple(sorted(listeners)), tuple(notes))


def is_ours(service: Doc) -> bool:
    """Is it a LoadBalancer that nobody else was asked to serve?"""
    spec = service["spec"]
    return spec.get("type") == "LoadBalancer" and not spec.get("loadBalancerClass")


def local_ports(service: Doc) -> dict[int, int]:
    """What the annotation says: local port by service port; empty if it is not readable."""
    text = (service["metadata"].get("annotations") or {}).get(LOCAL_PORTS, "")
    try:
        pairs = [pair.split("=") for pair in text.split(",") if pair]
        return {int(port): int(local) for port, local in pairs}
    except ValueError:
        return {}


@dataclass(frozen=True, slots=True)
class Told:
    """Merge patches that bring a Service's annotation and status up to date; None: it is."""

    annotation: Doc | None
    status: Doc | None


def tell(service: Doc, opened: Mapping[int, int]) -> Told:
    """What to write, given the local port of each service port. Nothing of it is left on a
    service that no longer is a LoadBalancer of ours."""
    ours = is_ours(service)
    text = ",".join(f"{port}={local}" for port, local in sorted(opened.items())) if ours else ""
    has = (service["metadata"].get("annotations") or {}).get(LOCAL_PORTS, "")
    annotation = {"metadata": {"annotations": {LOCAL_PORTS: text or None}}} if text != has else None
    ports = [{"port": local, "protocol": "TCP"} for _, local in sorted(opened.items())]
    ingress = [{"ip": LOOPBACK_IP, "ipMode": "Proxy", "ports": ports}] if ours and ports else []
    shown = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    mine = [entry for entry in shown if entry.get("ip") == LOOPBACK_IP]
    same = ingress == shown if ours else not mine
    status = None if same else {"status": {"loadBalancer": {"ingress": ingress or None}}}
    return Told(annotation, status)


def ready_addresses(nodes: Iterable[Doc]) -> list[str]:
    """The InternalIP of every Ready node, in order."""
    return sorted(
        address["address"]
        for node in nodes
        if _is_ready(node)
        for address in node.get("status", {}).get("addresses") or ()
        if address.get("type") == "InternalIP"
    )


def open_sentence(listener: Listener, local: int) -> str:
    """What an Event says of an opened port."""
    where = f"port {listener.port} is at {LOOPBACK_IP}:{local}"
    if local in listener.tries:
        return where
    return f"{where}, since {LOOPBACK_IP}:{listener.tries[0]} is taken"


def closed_sentence(listener: Listener, why: str) -> str:
    """What an Event says of a port that could not be opened."""
    return (
        f"port {listener.port} is not at {LOOPBACK_IP}:{listener.tries[0]}: {why}; "
        f"on the nodes' own addresses it is at port {listener.node_port}"
    )


def _is_ready(node: Doc) -> bool:
    conditions = node.get("status", {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
