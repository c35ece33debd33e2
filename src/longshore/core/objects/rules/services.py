"""Rules for Services (pkg/apis/core/validation: ValidateService)."""

from __future__ import annotations

from longshore.core.objects import names
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.containers import PROTOCOLS, port_number, port_or_name
from longshore.core.objects.rules.metadata import labels
from longshore.core.objects.rules.problems import SPEC, Path, Problems, Rule, UpdateRule
from longshore.core.objects.services import WITH_ADDRESS, WITH_NODE_PORTS

NODE_PORTS = range(30_000, 32_768)
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_POLICIES = ("Cluster", "Local")
_AFFINITY_S_MAX = 86_400


def service(doc: Doc, problems: Problems) -> None:
    spec = doc["spec"]
    kind = spec.get("type", "")
    headless = spec.get("clusterIP") == "None"
    if kind not in _TYPES:
        problems.unsupported((SPEC, "type"), kind, _TYPES)
    if not spec.get("ports") and not headless and kind != "ExternalName":
        problems.required((SPEC, "ports"))
    _ports(spec.get("ports", []), kind, (SPEC, "ports"), problems)
    if "selector" in spec:
        labels(spec["selector"], (SPEC, "selector"), problems)
    if kind == "ExternalName":
        _external_name(spec, problems)
    else:
        _addresses(spec, kind, problems)
    _affinity(spec, problems)
    _policies(spec, kind, problems)


def service_update(new: Doc, old: Doc, problems: Problems) -> None:
    """An address, once given, is kept while the type needs one."""
    after, before = new["spec"], old["spec"]
    if after.get("type") in WITH_ADDRESS and before.get("type") in WITH_ADDRESS:
        had, has = before.get("clusterIPs", []), after.get("clusterIPs", [])
        if had and has[:1] != had[:1]:
            problems.invalid(((SPEC, "clusterIPs"), 0), has, "may not change once set")
        elif before.get("clusterIP"):
            problems.unchanged((SPEC, "clusterIP"), after.get("clusterIP"), before["clusterIP"])


def _ports(ports: list[Doc], kind: str, path: Path, problems: Problems) -> None:
    names_seen: set[str] = set()
    places: set[tuple[str, int]] = set()
    node_places: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        at, protocol = (path, index), port.get("protocol", "")
        _port_name(port.get("name", ""), len(ports) > 1, names_seen, (at, "name"), problems)
        port_number(port.get("port", 0), (at, "port"), problems)
        problems.one_of((at, "protocol"), protocol, PROTOCOLS)
        if "targetPort" in port:
            port_or_name(port["targetPort"], (at, "targetPort"), problems)
        place = (protocol, port.get("port", 0))
        if place in places:
            problems.duplicate(at, {"port": place[1], "protocol": protocol})
        places.add(place)
        if port.get("nodePort"):
            _node_port(port, kind, node_places, (at, "nodePort"), problems)


def _port_name(name: str, needed: bool, seen: set[str], path: Path, problems: Problems) -> None:
    if not name:
        if needed:
            problems.required(path)
        return
    problems.all_invalid(path, name, names.label_problems(name))
    if name in seen:
        problems.duplicate(path, name)
    seen.add(name)


def _node_port(
    port: Doc, kind: str, seen: set[tuple[str, int]], path: Path, problems: Problems
) -> None:
    number = port["nodePort"]
    if kind not in WITH_NODE_PORTS:
        problems.forbidden(path, f"may not be used when `type` is '{kind}'")
    elif number not in NODE_PORTS:
        problems.invalid(
            path, number,
            "provided port is not in the valid range. The range of valid ports is "
            f"{NODE_PORTS.start}-{NODE_PORTS.stop - 1}",
        )  # fmt: skip
    place = (port.get("protocol", ""), number)
    if place in seen:
        problems.duplicate(path, number)
    seen.add(place)


def _external_name(spec: Doc, problems: Problems) -> None:
    for field in ("clusterIPs", "clusterIP"):
        if spec.get(field):
            problems.forbidden((SPEC, field), "may not be set when `type` is 'ExternalName'")
    name = spec.get("externalName", "").removesuffix(".")
    if not name:
        problems.required((SPEC, "externalName"))
    else:
        problems.all_invalid((SPEC, "externalName"), name, names.subdomain_problems(name))


def _addresses(spec: Doc, kind: str, problems: Problems) -> None:
    single, several = spec.get("clusterIP", ""), spec.get("clusterIPs", [])
    if several and several[0] != single:
        why = "must match the first element of `clusterIPs`"
        problems.invalid((SPEC, "clusterIP"), single, why)
    for index, one in enumerate(several):
        at = ((SPEC, "clusterIPs"), index)
        if one != "None":
            problems.all_invalid(at, one, names.address_problems(one))
        elif kind in WITH_NODE_PORTS:
            problems.invalid(at, one, f"may not be set to 'None' for {kind} services")
    for index, one in enumerate(spec.get("externalIPs", ())):
        at = ((SPEC, "externalIPs"), index)
        problems.all_invalid(at, one, names.address_problems(one))


def _affinity(spec: Doc, problems: Problems) -> None:
    kind = spec.get("sessionAffinity", "")
    problems.one_of((SPEC, "sessionAffinity"), kind, ("ClientIP", "None"))
    config = spec.get("sessionAffinityConfig")
    path = (SPEC, "sessionAffinityConfig")
    if kind == "None" and config is not None:
        problems.forbidden(path, "must not be set when session affinity is None")
    if kind == "ClientIP":
        life_s = (config or {}).get("clientIP", {}).get("timeoutSeconds", 0)
        if not 0 < life_s <= _AFFINITY_S_MAX:
            at = ((path, "clientIP"), "timeoutSeconds")
            problems.invalid(at, life_s, f"must be greater than 0 and less than {_AFFINITY_S_MAX}")


def _policies(spec: Doc, kind: str, problems: Problems) -> None:
    for field in ("externalTrafficPolicy", "internalTrafficPolicy"):
        if field in spec:
            problems.one_of((SPEC, field), spec[field], _POLICIES)
    outside = kind in WITH_NODE_PORTS or (kind == "ClusterIP" and spec.get("externalIPs"))
    if "externalTrafficPolicy" in spec and not outside:
        why = "may only be set for externally-accessible services"
        problems.invalid((SPEC, "externalTrafficPolicy"), spec["externalTrafficPolicy"], why)
    if kind != "LoadBalancer":
        for field in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            if field in spec:
                why = "may only be used when `type` is 'LoadBalancer'"
                problems.forbidden((SPEC, field), why)


RULES: dict[str, Rule] = {
    "io.k8s.api.core.v1.Service": service,
}
UPDATE_RULES: dict[str, UpdateRule] = {
    "io.k8s.api.core.v1.Service": service_update,
}
