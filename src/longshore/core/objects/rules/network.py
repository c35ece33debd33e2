"""Rules for NetworkPolicies, IPAddresses and ServiceCIDRs (pkg/apis/networking/validation)."""

from __future__ import annotations

import ipaddress

from longshore.core.objects import kinds, names
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.containers import PROTOCOLS, port_number
from longshore.core.objects.rules.ingress import path_segment
from longshore.core.objects.rules.metadata import label_selector
from longshore.core.objects.rules.problems import (
    IMMUTABLE,
    SPEC,
    Path,
    Problems,
    Rule,
    UpdateRule,
)

_POLICY_TYPES = ("Egress", "Ingress")


def network_policy(doc: Doc, problems: Problems) -> None:
    spec = doc.get("spec", {})
    label_selector(spec.get("podSelector", {}), (SPEC, "podSelector"), problems)
    for field, peers in (("ingress", "from"), ("egress", "to")):
        for index, one in enumerate(spec.get(field, ())):
            _traffic(one, peers, ((SPEC, field), index), problems)
    types, at = spec.get("policyTypes", []), (SPEC, "policyTypes")
    if len(types) > len(_POLICY_TYPES):
        problems.invalid(at, types, "may not specify more than two policyTypes")
        return
    for index, kind in enumerate(types):
        if kind not in _POLICY_TYPES:
            problems.unsupported((at, index), kind, _POLICY_TYPES)


def _traffic(one: Doc, peers: str, path: Path, problems: Problems) -> None:
    for index, port in enumerate(one.get("ports", ())):
        _policy_port(port, ((path, "ports"), index), problems)
    for index, peer in enumerate(one.get(peers, ())):
        _peer(peer, ((path, peers), index), problems)


def _policy_port(one: Doc, path: Path, problems: Problems) -> None:
    if "protocol" in one and one["protocol"] not in PROTOCOLS:
        problems.unsupported((path, "protocol"), one["protocol"], PROTOCOLS)
    port, end = one.get("port"), one.get("endPort")
    if isinstance(port, int):
        port_number(port, (path, "port"), problems)
        if end is not None:
            if end < port:
                why = "must be greater than or equal to `port`"
                problems.invalid((path, "endPort"), end, why)
            port_number(end, (path, "endPort"), problems)
        return
    if end is not None:
        state = "not specified" if port is None else "non-numeric"
        problems.invalid((path, "endPort"), end, f"may not be specified when `port` is {state}")
    if port is not None:
        problems.all_invalid((path, "port"), port, names.port_name_problems(port))


def _peer(peer: Doc, path: Path, problems: Problems) -> None:
    selectors = [field for field in ("podSelector", "namespaceSelector") if field in peer]
    for field in selectors:
        label_selector(peer[field], (path, field), problems)
    block = peer.get("ipBlock")
    if block is not None:
        _block(block, (path, "ipBlock"), problems)
        if selectors:
            problems.forbidden(path, "may not specify both ipBlock and another peer")
    elif not selectors:
        problems.required(path, "must specify a peer")


def _block(block: Doc, path: Path, problems: Problems) -> None:
    cidr = block.get("cidr", "")
    if not cidr:
        problems.required((path, "cidr"))
        return
    wrong = names.cidr_problems(cidr)
    problems.all_invalid((path, "cidr"), cidr, wrong)
    for index, part in enumerate(block.get("except", ())):
        at = ((path, "except"), index)
        bad = names.cidr_problems(part)
        problems.all_invalid(at, part, bad)
        if not wrong and not bad and not _is_within(part, cidr):
            problems.invalid(at, part, "must be a strict subset of `cidr`")


def _is_within(part: str, whole: str) -> bool:
    inner, outer = ipaddress.ip_network(part), ipaddress.ip_network(whole)
    same_family = inner.version == outer.version
    longer = inner.prefixlen > outer.prefixlen
    return same_family and longer and inner.network_address in outer


# ---- addresses of services


def ip_address(doc: Doc, problems: Problems) -> None:
    parent, path = doc.get("spec", {}).get("parentRef"), (SPEC, "parentRef")
    if parent is None:
        problems.required(path)
        return
    group = parent.get("group")
    if group:
        problems.all_invalid((path, "group"), group, names.subdomain_problems(group))
    for field in ("resource", "name"):
        path_segment(parent.get(field, ""), (path, field), problems)
    namespace = parent.get("namespace", "")
    problems.all_invalid((path, "namespace"), namespace, names.path_segment_problems(namespace))


def ip_address_update(new: Doc, old: Doc, problems: Problems) -> None:
    given, had = (doc.get("spec", {}).get("parentRef") for doc in (new, old))
    problems.unchanged((SPEC, "parentRef"), given, had)


def service_cidr(doc: Doc, problems: Problems) -> None:
    cidrs, path = doc.get("spec", {}).get("cidrs", []), (SPEC, "cidrs")
    if not cidrs:
        problems.required(path, "at least one CIDR required")
    elif len(cidrs) > 2:
        problems.invalid(path, cidrs, "may only hold up to 2 values")
    else:
        for index, cidr in enumerate(cidrs):
            problems.all_invalid((path, index), cidr, names.cidr_problems(cidr))
        if len(cidrs) == 2 and (":" in cidrs[0]) == (":" in cidrs[1]):
            why = (
                "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and "
                "2001:db8::/64"
            )
            problems.invalid(path, cidrs, why)


def service_cidr_update(new: Doc, old: Doc, problems: Problems) -> None:
    """What is there stays; a second family may come."""
    path = (SPEC, "cidrs")
    given, had = (doc.get("spec", {}).get("cidrs", []) for doc in (new, old))
    if len(given) != len(had) and (len(had), len(given)) != (1, 2):
        problems.invalid(path, given, IMMUTABLE)
        return
    for index, (now, before) in enumerate(zip(given, had, strict=False)):
        problems.unchanged((path, index), now, before)


RULES: dict[str, Rule] = {
    kinds.NETWORK_POLICY.schema: network_policy,
    kinds.IP_ADDRESS.schema: ip_address,
    kinds.SERVICE_CIDR.schema: service_cidr,
}
UPDATE_RULES: dict[str, UpdateRule] = {
    kinds.IP_ADDRESS.schema: ip_address_update,
    kinds.SERVICE_CIDR.schema: service_cidr_update,
}
