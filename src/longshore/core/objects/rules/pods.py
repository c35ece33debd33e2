"""Rules for pods and pod templates (pkg/apis/core/validation: ValidatePodSpec)."""

from __future__ import annotations

import re
from typing import Any

from longshore.core.objects import names
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules import gangs, placement, resources
from longshore.core.objects.rules.containers import container
from longshore.core.objects.rules.mirrors import mirror
from longshore.core.objects.rules.pod_claims import pod_claims
from longshore.core.objects.rules.problems import METADATA, SPEC, Path, Problems, Rule
from longshore.core.objects.rules.restarts import restarts
from longshore.core.objects.rules.scheduling import constraints, ports, ports_update
from longshore.core.objects.rules.security import pod_security, together
from longshore.core.objects.rules.volumes import volumes

_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_RESTARTS = frozenset(("resizePolicy", "restartPolicy", "restartPolicyRules"))
_DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_PREEMPTION = ("Never", "PreemptLowerPriority")
_DEADLINE_MAX = 2**31 - 1
_NAMESERVERS_MAX = 3
_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_COST = re.compile(r"0|[1-9][0-9]*|-[0-9]+")
_COST_MAX = 2**31


def pod(doc: Doc, problems: Problems) -> None:
    """A new pod."""
    spec = doc["spec"]
    if "annotations" in doc["metadata"]:
        _deletion_cost(doc["metadata"], problems)
        mirror(doc, problems)
        constraints(doc["metadata"], METADATA, problems)
        ports(doc["metadata"], spec, METADATA, problems)
    if spec.get("ephemeralContainers"):
        problems.forbidden((SPEC, "ephemeralContainers"), "cannot be set on create")
    pod_spec(spec, SPEC, problems)


def pod_metadata_update(new: Doc, old: Doc, problems: Problems) -> None:
    """What was let in once may stay."""
    constraints(new["metadata"], METADATA, problems)
    ports_update(new["metadata"], old["metadata"], METADATA, problems)
    if not _is_cost(_cost(old["metadata"])):
        return
    _deletion_cost(new["metadata"], problems)


def _deletion_cost(metadata: Doc, problems: Problems) -> None:
    """(pkg/apis/core/helper: GetDeletionCostFromPodAnnotations)"""
    if not _is_cost(cost := _cost(metadata)):
        at = ((METADATA, "annotations"), f"[{_DELETION_COST}]")
        problems.invalid(at, cost, "must be a 32bit integer")


def _cost(metadata: Doc) -> str:
    return str((metadata.get("annotations") or {}).get(_DELETION_COST, "0"))


def _is_cost(text: str) -> bool:
    return bool(_COST.fullmatch(text)) and -_COST_MAX <= int(text) < _COST_MAX


def pod_spec(spec: Doc, path: Path, problems: Problems) -> None:
    """The spec of a pod or of a template."""
    named = volumes(spec["volumes"], (path, "volumes"), problems) if "volumes" in spec else set()
    _containers(spec, path, named, problems)
    together(spec, path, problems)
    pod_claims(spec, path, problems)
    if spec.get("restartPolicy") not in _RESTART_POLICIES:
        problems.one_of((path, "restartPolicy"), spec.get("restartPolicy", ""), _RESTART_POLICIES)
    if spec.get("dnsPolicy") not in _DNS_POLICIES:
        problems.one_of((path, "dnsPolicy"), spec.get("dnsPolicy", ""), _DNS_POLICIES)
    if spec.get("preemptionPolicy", "Never") not in _PREEMPTION:
        problems.unsupported((path, "preemptionPolicy"), spec["preemptionPolicy"], _PREEMPTION)
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        at = (path, "terminationGracePeriodSeconds")
        problems.not_negative(at, spec["terminationGracePeriodSeconds"])
    _deadline(spec.get("activeDeadlineSeconds"), (path, "activeDeadlineSeconds"), problems)
    for field, rule in _PARTS.items():
        if field in spec:
            rule(spec[field], (path, field), problems)
    if spec.get("dnsPolicy") == "None" and not spec.get("dnsConfig", {}).get("nameservers"):
        problems.required(((path, "dnsConfig"), "nameservers"),
                          "must provide at least one DNS nameserver when `dnsPolicy` is None")  # fmt: skip


def _containers(spec: Doc, path: Path, named: set[str], problems: Problems) -> None:
    if not spec.get("containers"):
        problems.required((path, "containers"))
    seen: set[str] = set()
    host_ports: set[str] = set()
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for index, one in enumerate(spec.get(field, ())):
            at = ((path, field), index)
            container(one, at, named, problems)
            if _RESTARTS & one.keys():
                restarts(one, field, spec.get("restartPolicy", ""), at, problems)
            name = one.get("name")
            if name in seen:
                problems.duplicate((at, "name"), name)
            seen.add(name)
            if field == "containers" and "ports" in one:
                _host_ports(
                    one["ports"], (at, "ports"), bool(spec.get("hostNetwork")), host_ports, problems
                )
            elif field == "initContainers" and one.get("restartPolicy") != "Always":
                _only_once(one, at, problems)


def _host_ports(
    ports: list[Doc], path: Path, in_host: bool, seen: set[str], problems: Problems
) -> None:
    for index, port in enumerate(ports):
        number = port.get("hostPort")
        if in_host and number != port.get("containerPort"):
            problems.invalid(((path, index), "hostPort"), number or 0,
                             "must match `containerPort` when `hostNetwork` is true")  # fmt: skip
        if not number:
            continue
        place = f"{port.get('protocol')}/{port.get('hostIP', '')}/{number}"
        if place in seen:
            problems.duplicate(((path, index), "hostPort"), place)
        seen.add(place)


def _only_once(one: Doc, path: Path, problems: Problems) -> None:
    """An init container that ends has no life to be probed."""
    for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
        if field in one:
            problems.forbidden(
                (path, field), "may not be set for init containers without restartPolicy=Always"
            )


def _deadline(value: int | None, path: Path, problems: Problems) -> None:
    if value is not None and not 1 <= value <= _DEADLINE_MAX:
        problems.invalid(path, value, f"must be between 1 and {_DEADLINE_MAX}, inclusive")


# ---- the rarer parts


def _label(value: str, path: Path, problems: Problems) -> None:
    if value:
        problems.all_invalid(path, value, names.label_problems(value))


def _subdomain(value: str, path: Path, problems: Problems) -> None:
    if value:
        problems.all_invalid(path, value, names.subdomain_problems(value))


def _dns_config(config: Doc, path: Path, problems: Problems) -> None:
    servers = config.get("nameservers", ())
    if len(servers) > _NAMESERVERS_MAX:
        problems.invalid((path, "nameservers"), servers,
                         f"must not have more than {_NAMESERVERS_MAX} nameservers")  # fmt: skip
    for index, one in enumerate(servers):
        wrong = names.address_problems(one)
        problems.all_invalid(((path, "nameservers"), index), one, wrong)


def _host_aliases(aliases: list[Doc], path: Path, problems: Problems) -> None:
    for index, one in enumerate(aliases):
        ip = one.get("ip", "")
        problems.all_invalid(((path, index), "ip"), ip, names.address_problems(ip))


def _gates(gates: list[Doc], path: Path, problems: Problems) -> None:
    seen = set()
    for index, one in enumerate(gates):
        name = one.get("name", "")
        problems.all_invalid((path, index), name, names.qualified_name_problems(name))
        if name in seen:
            problems.duplicate((path, index), name)
        seen.add(name)


def _readiness_gates(gates: list[Doc], path: Path, problems: Problems) -> None:
    for index, one in enumerate(gates):
        name = one.get("conditionType", "")
        at = ((path, index), "conditionType")
        problems.all_invalid(at, name, names.qualified_name_problems(name))


def _operating_system(system: Doc, path: Path, problems: Problems) -> None:
    problems.one_of((path, "name"), system.get("name", ""), ("linux", "windows"))


_PARTS: dict[str, Any] = {
    "hostname": _label,
    "subdomain": _label,
    "nodeName": _subdomain,
    "serviceAccountName": _subdomain,
    "priorityClassName": _subdomain,
    "runtimeClassName": _subdomain,
    "securityContext": pod_security,
    "dnsConfig": _dns_config,
    "hostAliases": _host_aliases,
    "schedulingGates": _gates,
    "schedulingGroup": gangs.scheduling_group,
    "readinessGates": _readiness_gates,
    "os": _operating_system,
    "resources": resources.requirements,
    "overhead": resources.amounts,
    "nodeSelector": placement.node_selector,
    "tolerations": placement.tolerations,
    "affinity": placement.affinity,
    "topologySpreadConstraints": placement.spread,
}


RULES: dict[str, Rule] = {
    "io.k8s.api.core.v1.Pod": pod,
}
