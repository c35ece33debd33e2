"""What one object uses, by kind (pkg/quota/v1/evaluator/core). An object of any other kind counts
for one of count/RESOURCE."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.quota.amounts import ONE, UNIT, ZERO, Amount, Amounts, read, whole
from longshore.core.objects.quota.pods import is_over, total
from longshore.core.objects.resizing import accounted

CLASS_SUFFIX = ".storageclass.storage.k8s.io/"
# Counted by what their requests turn out to be on a node, which nothing here knows.
DEVICES_SUFFIX = ".deviceclass.resource.k8s.io/devices"
_CLAIMS, _STORAGE = "persistentvolumeclaims", "requests.storage"
_MEASURED = ("cpu", "memory", "ephemeral-storage")
# Names without count/ that these kinds have been counted under for longer.
_ALIASES = {
    kinds.CONFIG_MAP: "configmaps", kinds.RESOURCE_QUOTA: "resourcequotas",
    kinds.REPLICATION_CONTROLLER: "replicationcontrollers", kinds.SECRET: "secrets",
}  # fmt: skip
_IGNORED = (kinds.EVENT,)


def count_name(kind: Kind) -> str:
    return f"count/{kind.resource}"


def is_counted(kind: Kind) -> bool:
    return kind.namespaced and kind.is_stored and kind not in _IGNORED


def usage_of(kind: Kind, doc: Doc) -> Amounts:
    """All that the object uses, whatever a quota may limit."""
    used = {count_name(kind): ONE}
    if kind in _ALIASES:
        used[_ALIASES[kind]] = ONE
    measure = _MEASURES.get(kind)
    if measure is not None:
        used |= measure(doc)
    return used


def concerns(kind: Kind, names: Iterable[str]) -> bool:
    """Whether objects of the kind could use any of these resources."""
    own = {count_name(kind), _ALIASES.get(kind, "")}
    test = _TESTS.get(kind)
    return any(name in own or (test is not None and test(name)) for name in names)


# ---- pods


def of_amounts(requests: Amounts, limits: Amounts) -> Amounts:
    """The names that quotas have for what is requested and limited."""
    used: Amounts = {}
    for name, amount in requests.items():
        if name in _MEASURED or name.startswith("hugepages-"):
            used[name] = used[f"requests.{name}"] = amount
        elif is_devices(name):
            used[f"requests.{name}"] = amount
    used |= {f"limits.{name}": amount for name, amount in limits.items() if name in _MEASURED}
    return used


def is_devices(name: str) -> bool:
    """Whether a resource is somebody's own (pkg/apis/core/helper: IsExtendedResourceName)."""
    return "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.")


def _of_pod(pod: Doc) -> Amounts:
    if is_over(pod):
        return {}
    spec = accounted(pod)
    return {"pods": ONE, **of_amounts(total(spec, "requests"), total(spec, "limits"))}


def _is_pods(name: str) -> bool:
    bare = name.removeprefix("requests.")
    return (
        name == "pods"
        or bare in _MEASURED
        or name.removeprefix("limits.") in _MEASURED
        or bare.startswith("hugepages-")
        or (bare != name and is_devices(bare))
    )


# ---- services


def _of_service(service: Doc) -> Amounts:
    spec = service["spec"]
    kind, ports = spec.get("type"), spec.get("ports") or ()
    numbered = 0
    if kind == "NodePort" or (
        kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)
    ):
        numbered = len(ports)
    elif kind == "LoadBalancer":
        numbered = sum(1 for port in ports if port.get("nodePort"))
    return {
        "services": ONE,
        "services.nodeports": Amount(numbered * UNIT),
        "services.loadbalancers": ONE if kind == "LoadBalancer" else ZERO,
    }


def _is_services(name: str) -> bool:
    return name in ("services", "services.nodeports", "services.loadbalancers")


# ---- claims


def _of_claim(claim: Doc) -> Amounts:
    spec = claim["spec"]
    used = {_CLAIMS: ONE}
    asked = read((spec.get("resources") or {}).get("requests")).get("storage")
    given = read((claim.get("status") or {}).get("allocatedResources")).get("storage")
    if asked is not None:
        most = given if given is not None and given.value > asked.value else asked
        used[_STORAGE] = whole(most)
    name = spec.get("storageClassName")
    if name:
        used |= {f"{name}{CLASS_SUFFIX}{part}": amount for part, amount in used.items()}
    return used


def _is_claims(name: str) -> bool:
    bare = name.partition(CLASS_SUFFIX)[2] or name
    return bare in (_CLAIMS, _STORAGE)


_MEASURES: dict[Kind, Callable[[Doc], Amounts]] = {
    kinds.POD: _of_pod, kinds.SERVICE: _of_service, kinds.PVC: _of_claim,
}  # fmt: skip
_TESTS: dict[Kind, Callable[[str], bool]] = {
    kinds.POD: _is_pods, kinds.SERVICE: _is_services, kinds.PVC: _is_claims,
}  # fmt: skip
