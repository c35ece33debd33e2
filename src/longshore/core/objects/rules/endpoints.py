"""Rules for EndpointSlices (pkg/apis/discovery/validation) and Endpoints (pkg/apis/core/validation)."""

from __future__ import annotations

import ipaddress

from longshore.core.objects import names
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.containers import PROTOCOLS, port_number
from longshore.core.objects.rules.problems import ROOT, Path, Problems, Rule, UpdateRule

_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_ENDPOINTS_MAX, _ADDRESSES_MAX, _PORTS_MAX = 1000, 100, 20_000


def endpoint_slice(doc: Doc, problems: Problems) -> None:
    kind = doc.get("addressType", "")
    problems.one_of((ROOT, "addressType"), kind, _ADDRESS_TYPES)
    given, path = doc.get("endpoints", []), (ROOT, "endpoints")
    if len(given) > _ENDPOINTS_MAX:
        problems.too_many(path, len(given), _ENDPOINTS_MAX)
    for index, one in enumerate(given):
        _endpoint(one, kind, (path, index), problems)
    _ports(doc.get("ports", []), (ROOT, "ports"), problems)


def endpoint_slice_update(new: Doc, old: Doc, problems: Problems) -> None:
    problems.unchanged((ROOT, "addressType"), new.get("addressType"), old.get("addressType"))


def _endpoint(one: Doc, kind: str, path: Path, problems: Problems) -> None:
    given, at = one.get("addresses", []), (path, "addresses")
    if not given:
        problems.required(at, "must contain at least 1 address")
    elif len(given) > _ADDRESSES_MAX:
        problems.too_many(at, len(given), _ADDRESSES_MAX)
    for index, address in enumerate(given):
        if kind == "FQDN":
            wrong = names.subdomain_problems(address.removesuffix("."))
        else:
            wrong = _address_of(kind, address)
        problems.all_invalid((at, index), address, wrong)
    name = one.get("hostname")
    if name is not None:
        problems.all_invalid((path, "hostname"), name, names.label_problems(name))


def _address_of(kind: str, address: str) -> tuple[str, ...]:
    wrong = names.address_problems(address)
    if wrong:
        return wrong
    if kind not in ("IPv4", "IPv6") or (":" in address) == (kind == "IPv6"):
        return ()
    return (f"must be an {kind} address",)


def _ports(ports: list[Doc], path: Path, problems: Problems) -> None:
    if len(ports) > _PORTS_MAX:
        problems.too_many(path, len(ports), _PORTS_MAX)
    seen = set()
    for index, port in enumerate(ports):
        at, name = (path, index), port.get("name", "")
        if name in seen:
            problems.duplicate((at, "name"), name)
        seen.add(name)
        if name:
            problems.all_invalid((at, "name"), name, names.label_problems(name))
        problems.one_of((at, "protocol"), port.get("protocol", ""), PROTOCOLS)
        if "port" in port:
            port_number(port["port"], (at, "port"), problems)


def endpoints(doc: Doc, problems: Problems) -> None:
    for index, subset in enumerate(doc.get("subsets", ())):
        path = ((ROOT, "subsets"), index)
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            problems.required(path, "must specify `addresses` or `notReadyAddresses`")
        for field in ("addresses", "notReadyAddresses"):
            for position, one in enumerate(subset.get(field, ())):
                _endpoint_address(one.get("ip", ""), (((path, field), position), "ip"), problems)
        for position, port in enumerate(subset.get("ports", ())):
            at, name = ((path, "ports"), position), port.get("name", "")
            if name:
                problems.all_invalid((at, "name"), name, names.label_problems(name))
            elif len(subset["ports"]) > 1:
                problems.required((at, "name"))
            port_number(port.get("port", 0), (at, "port"), problems)
            problems.one_of((at, "protocol"), port.get("protocol", ""), PROTOCOLS)


def _endpoint_address(text: str, path: Path, problems: Problems) -> None:
    wrong = names.address_problems(text)
    if wrong:
        problems.all_invalid(path, text, wrong)
        return
    address = ipaddress.ip_address(text)
    for what, bad in (
        ("unspecified", address.is_unspecified),
        ("in the loopback range (127.0.0.0/8, ::1/128)", address.is_loopback),
        ("in the link-local range (169.254.0.0/16, fe80::/10)", address.is_link_local),
        ("in the link-local multicast range (224.0.0.0/24, ff02::/10)", address.is_multicast),
    ):
        if bad:
            problems.invalid(path, text, f"may not be {what}")


RULES: dict[str, Rule] = {
    "io.k8s.api.core.v1.Endpoints": endpoints,
    "io.k8s.api.discovery.v1.EndpointSlice": endpoint_slice,
}
UPDATE_RULES: dict[str, UpdateRule] = {
    "io.k8s.api.discovery.v1.EndpointSlice": endpoint_slice_update,
}
