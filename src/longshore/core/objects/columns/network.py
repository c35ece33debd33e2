"""Columns of services, endpoints and what leads to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from longshore.core.objects import kinds
from longshore.core.objects.columns.form import Calculated, selector_text
from longshore.core.objects.kinds import Doc
from longshore.core.objects.spans import NONE


def _service(doc: Doc) -> list[Any]:
    spec = doc.get("spec") or {}
    kind = spec.get("type", "ClusterIP")
    selector = ",".join(f"{k}={v}" for k, v in sorted((spec.get("selector") or {}).items()))
    address = NONE if kind == "ExternalName" else spec.get("clusterIP") or NONE
    return [
        kind, address, _external(doc, spec, kind), _ports(spec.get("ports")),
        selector or NONE,
    ]  # fmt: skip


def _external(doc: Doc, spec: Doc, kind: str) -> str:
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    outside = list(spec.get("externalIPs") or ())
    if kind == "LoadBalancer":
        balancer = (doc.get("status") or {}).get("loadBalancer") or {}
        outside += [i.get("ip") or i.get("hostname", "") for i in balancer.get("ingress") or ()]
        return ",".join(outside) or "<pending>"
    return ",".join(outside) or NONE


def _ports(ports: Iterable[Doc] | None) -> str:
    shown = []
    for port in ports or ():
        number = str(port.get("port", ""))
        if port.get("nodePort"):
            number += f":{port['nodePort']}"
        shown.append(f"{number}/{port.get('protocol', 'TCP')}")
    return ",".join(shown) or NONE


def _endpoints(doc: Doc) -> list[Any]:
    found = []
    for subset in doc.get("subsets") or ():
        ports = subset.get("ports") or ()
        for address in subset.get("addresses") or ():
            found += [f"{address.get('ip', '')}:{port.get('port', '')}" for port in ports]
            if not ports:
                found.append(address.get("ip", ""))
    return [_some(found, 3)]


def _endpoint_slice(doc: Doc) -> list[Any]:
    # A port without a number is any number, and may have a name.
    ports = [str(port.get("port", port.get("name", "*"))) for port in doc.get("ports") or ()]
    addresses = [a for e in doc.get("endpoints") or () for a in e.get("addresses") or ()]
    kind = doc.get("addressType", "")
    shown_ports = _some(ports, 3, "<unset>")
    return [kind, shown_ports, _some(addresses, 3, "<unset>")]


def _ingress(doc: Doc) -> list[Any]:
    spec = doc.get("spec") or {}
    rules = spec.get("rules") or ()
    hosts = [rule["host"] for rule in rules if rule.get("host")]
    balancer = (doc.get("status") or {}).get("loadBalancer") or {}
    places = {i.get("ip") or i.get("hostname", "") for i in balancer.get("ingress") or ()}
    return [
        spec.get("ingressClassName", NONE), _some(hosts, 3, "*"), ",".join(sorted(places)),
        "80, 443" if spec.get("tls") else "80",
    ]  # fmt: skip


def _ingress_class(doc: Doc) -> list[Any]:
    spec = doc.get("spec") or {}
    given = spec.get("parameters")
    shown = NONE
    if given:
        group = f".{given['apiGroup']}" if "apiGroup" in given else ""
        shown = f"{given.get('kind', '')}{group}/{given.get('name', '')}"
    return [spec.get("controller", ""), shown]


def _ip_address(doc: Doc) -> list[Any]:
    parent = (doc.get("spec") or {}).get("parentRef")
    if not parent:
        return [NONE]
    group = f".{parent['group']}" if parent.get("group") else ""
    resource = f"{parent.get('resource', '')}{group}".lower()
    return ["/".join(filter(None, (resource, parent.get("namespace"), parent.get("name"))))]


def _network_policy(doc: Doc) -> list[Any]:
    return [selector_text((doc.get("spec") or {}).get("podSelector"))]


def _service_cidr(doc: Doc) -> list[Any]:
    return [",".join((doc.get("spec") or {}).get("cidrs") or ())]


def _some(found: list[str], most: int, none: str = NONE) -> str:
    if not found:
        return none
    more = f" + {len(found) - most} more..." if len(found) > most else ""
    return ",".join(found[:most]) + more


CALCULATED: dict[str, Calculated] = {
    kinds.SERVICE.schema: _service,
    kinds.ENDPOINTS.schema: _endpoints,
    kinds.ENDPOINT_SLICE.schema: _endpoint_slice,
    kinds.INGRESS.schema: _ingress,
    kinds.INGRESS_CLASS.schema: _ingress_class,
    kinds.NETWORK_POLICY.schema: _network_policy,
    kinds.IP_ADDRESS.schema: _ip_address,
    kinds.SERVICE_CIDR.schema: _service_cidr,
}
