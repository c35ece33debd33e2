"""Ports of a node that lead to its pods: the hostPort of a container, and the ports that the scheduler
chose for a pod. Pure.

A port without hostIP is one of every address of the node, loopback too; a node's port is one pod's,
which the scheduler sees to. Kubernetes has this of the CNI plug-in portmap, which it is like.
"""

from __future__ import annotations

from collections.abc import Iterator

from longshore.core.objects.dynamic_ports import chosen
from longshore.core.objects.kinds import Doc
from longshore.machinery.network.services.plan import Front, Rule
from longshore.machinery.network.table import is_ip

CARRIED = ("TCP", "UDP")


def published(pod: Doc, ip: str) -> tuple[Rule, ...]:
    """The rules of a pod that has this address. Who uses the node's own network needs none."""
    if pod["spec"].get("hostNetwork"):
        return ()
    uid, rules = pod["metadata"]["uid"], []
    for port, number in (*_named(pod["spec"]), *chosen(pod)):
        if (protocol := port.get("protocol") or "TCP") in CARRIED:
            front = _front(port.get("hostIP") or "", protocol.lower(), number)
            name = f"pod/{uid}/{front.element.replace(' . ', '/')}"
            rules.append(Rule(name, protocol.lower(), (front,), ((ip, port["containerPort"]),)))
    return tuple(rules)


def _named(spec: Doc) -> Iterator[tuple[Doc, int]]:
    """Containers' ports with their hostPort."""
    for container in (*spec["containers"], *(spec.get("initContainers") or ())):
        yield from ((p, p["hostPort"]) for p in container.get("ports") or () if p.get("hostPort"))


def _front(host_ip: str, protocol: str, number: int) -> Front:
    if is_ip(host_ip) and host_ip != "0.0.0.0":
        return Front("services", f"{host_ip} . {protocol} . {number}")
    return Front("hostports", f"{protocol} . {number}")
