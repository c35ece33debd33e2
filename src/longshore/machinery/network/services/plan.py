"""Which routing rules a Service needs on a node. Pure: documents in, Rules and notes out.

What is not carried out is never silent: it is a note, one sentence that names the field.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal, TypeAlias

from longshore.core.objects.kinds import Doc
from longshore.machinery.network.table import Endpoint, endpoints, is_ip, usable

# core/v1 SessionAffinityConfig: what ClientIP affinity lasts if nothing else is said.
AFFINITY_DEFAULT_S = 10_800
_CARRIED = ("TCP", "UDP")


@dataclass(frozen=True, slots=True)
class Site:
    """What a plan depends on besides the documents: the node that it is for."""

    node: str
    node_ips: tuple[str, ...]
    pod_cidr: str
    pod_range: str
    service_range: str
    near_ranges: tuple[str, ...] = ()
    """Ranges to which pods speak under their own address (the LAN); pod_range is always one."""
    own_ips: tuple[str, ...] = ()
    """Service addresses that the node answers itself (the name server's)."""


@dataclass(frozen=True, order=True, slots=True)
class Front:
    """An entry to a service or pod: an address and port, or, in the other maps, a port of the node."""

    map: Literal["services", "hostports", "nodeports"]
    element: str


Target: TypeAlias = tuple[str, int]
"""Address and port of an endpoint."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What arrives at any of the fronts goes to one of the targets, or is refused if there are
    none. affinity_s > 0 keeps a client at its target until it was quiet for so long."""

    name: str
    protocol: str
    fronts: tuple[Front, ...]
    targets: tuple[Target, ...]
    affinity_s: int = 0


@dataclass(frozen=True, slots=True)
class ServicePlan:
    rules: tuple[Rule, ...] = ()
    notes: tuple[str, ...] = ()


def plan_service(service: Doc, slices: Iterable[Doc], site: Site) -> ServicePlan:
    """The rules of one service on one node. Headless and ExternalName services have none."""
    spec = service["spec"]
    if spec.get("type") == "ExternalName" or not is_ip(spec.get("clusterIP", "")):
        return ServicePlan()
    if spec["clusterIP"] in site.own_ips:
        return ServicePlan()
    found = endpoints(slices)
    rules: list[Rule] = []
    notes = _notes(spec)
    for port in spec.get("ports") or ():
        if port.get("protocol", "TCP") in _CARRIED:
            rules += _rules_of_port(service, port, found, site)
        else:
            notes.append(f"port {port['port']}/{port['protocol']} is not routed: only TCP and UDP")
    return ServicePlan(tuple(rules), tuple(notes))


def _notes(spec: Doc) -> list[str]:
    notes = []
    if spec.get("externalTrafficPolicy") == "Local":
        notes.append(
            "externalTrafficPolicy Local is treated as Cluster: "
            "traffic may cross nodes and the client's address is not kept"
        )
    if spec.get("loadBalancerSourceRanges"):
        notes.append("loadBalancerSourceRanges is not enforced: every source is let in")
    if spec.get("trafficDistribution"):
        notes.append("trafficDistribution is not followed: every endpoint is as near as another")
    return notes


def _rules_of_port(service: Doc, port: Doc, found: Sequence[Endpoint], site: Site) -> list[Rule]:
    spec, metadata = service["spec"], service["metadata"]
    protocol = port.get("protocol", "TCP").lower()
    name = f"{metadata['namespace']}/{metadata['name']}/{protocol}/{port['port']}"
    everywhere = _targets(found, port)
    affinity_s = _affinity_s(spec)
    inner, outer = _inner_fronts(spec, port), _outer_fronts(service, port)
    if spec.get("internalTrafficPolicy") != "Local":
        return [Rule(f"svc/{name}", protocol, inner + outer, everywhere, affinity_s)]
    here = _targets([endpoint for endpoint in found if endpoint.node == site.node], port)
    rules = [Rule(f"local/{name}", protocol, inner, here, affinity_s)]
    if outer:
        rules.append(Rule(f"svc/{name}", protocol, outer, everywhere, affinity_s))
    return rules


def _inner_fronts(spec: Doc, port: Doc) -> tuple[Front, ...]:
    return (_at(spec["clusterIP"], port),)


def _outer_fronts(service: Doc, port: Doc) -> tuple[Front, ...]:
    spec = service["spec"]
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
    ips = [*(spec.get("externalIPs") or ()), *(entry.get("ip", "") for entry in ingress)]
    fronts = {_at(ip, port) for ip in ips if is_ip(ip) and not IPv4Address(ip).is_loopback}
    if port.get("nodePort"):
        protocol = port.get("protocol", "TCP").lower()
        fronts.add(Front("nodeports", f"{protocol} . {port['nodePort']}"))
    return tuple(sorted(fronts))


def _at(ip: str, port: Doc) -> Front:
    return Front("services", f"{ip} . {port.get('protocol', 'TCP').lower()} . {port['port']}")


def _targets(found: Iterable[Endpoint], port: Doc) -> tuple[Target, ...]:
    """The usable endpoints that have this port, each once, in a fixed order."""
    wanted = (port.get("name") or "", port.get("protocol") or "TCP")
    having = [endpoint for endpoint in found if wanted in endpoint.ports]
    return tuple(sorted({(e.ip, e.ports[wanted]) for e in usable(having)}))


def _affinity_s(spec: Doc) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return int(config.get("timeoutSeconds") or AFFINITY_DEFAULT_S)
