"""Columns of services, endpoints and what leads to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from longshore.core.objects import kinds
from longshore.core.objects.columns.form import Calculated
from longshore.core.objects.kinds import Doc
from longshore.core.objects.spans import NONE


def _service(doc: Doc, now: float) -> list[Any]:
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


def _endpoints(doc: Doc, now: float) -> list[Any]:
    found = []
    for subset in doc.get("subsets") or ():
        ports = subset.get("ports") or ()
        for address in subset.get("addresses") or ():
            found += [f"{address.get('ip', '')}:{port.get('port', '')}" for port in ports]
            if not ports:
                found.append(address.get("ip", ""))
    return [_some(found, 3)]


def _endpoint_slice(doc: Doc, now: float) -> list[Any]:
    ports = [str(port.get("port", "*")) for port in doc.get("ports") or ()]
    addresses = [a for e in doc.get("endpoints") or () for a in e.get("addresses") or ()]
    kind = doc.get("addressType", "")
    shown_ports = _some(ports, 3, "<unset>")
    return [kind, shown_ports, _some(addresses, 3, "<unset>")]


def _some(found: list[str], most: int, none: str = NONE) -> str:
    if not found:
        return none
    more = f" + {len(found) - most} more..." if len(found) > most else ""
    return ",".join(found[:most]) + more


CALCULATED: dict[str, Calculated] = {
    kinds.SERVICE.schema: _service,
    kinds.ENDPOINTS.schema: _endpoints,
    kinds.ENDPOINT_SLICE.schema: _endpoint_slice,
}
