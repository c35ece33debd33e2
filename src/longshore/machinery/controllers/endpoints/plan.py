"""Work out who stands behind a Service, and how EndpointSlices and Endpoints should say it.

Pure. Rules: upstream's staging/src/k8s.io/endpointslice and pkg/controller/endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common import pods as pod_state
from longshore.machinery.controllers.common.owners import reference

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
ENDPOINTS_MANAGED_BY = "endpoints.kubernetes.io/managed-by"
ENDPOINTS_MANAGER = "endpoint-controller"
HEADLESS = "service.kubernetes.io/headless"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
ZONE = "topology.kubernetes.io/zone"
# As many endpoints in a slice as upstream puts there, and addresses in an Endpoints object.
SLICE_MAX, ADDRESSES_MAX = 100, 1000

Ports = tuple[tuple[tuple[str, str | int | None], ...], ...]
"""Ports of a slice, resolved for some pods; hashable, so that pods can be grouped by them."""


@dataclass(frozen=True, slots=True)
class SlicePlan:
    """Slices to make, to replace and to delete."""

    create: tuple[Doc, ...] = ()
    update: tuple[Doc, ...] = ()
    delete: tuple[Doc, ...] = ()


def counts(pod: Doc, *, leaving: bool) -> bool:
    """Whether a pod may stand behind a Service at all; leaving: also while it terminates."""
    if pod_state.is_terminal(pod) or not (pod.get("status") or {}).get("podIP"):
        return False
    return leaving or "deletionTimestamp" not in pod["metadata"]


def plan_slices(
    service: Doc, pods: Iterable[Doc], slices: Sequence[Doc], zones: Mapping[str, str]
) -> SlicePlan:
    """slices are the Service's own, as they are; zones give the zone of a node by its name.
    Endpoints stay in the slice where they are, so that a change touches few slices."""
    plan = SlicePlan()
    families = service["spec"].get("ipFamilies") or ["IPv4"]
    for family in families:
        wanted = _wanted(service, pods, zones, family)
        mine = [one for one in slices if one["addressType"] == family]
        plan = _joined(plan, _plan_family(service, family, wanted, mine))
    strange = tuple(one for one in slices if one["addressType"] not in families)
    return _joined(plan, SlicePlan(delete=strange))


def _joined(one: SlicePlan, other: SlicePlan) -> SlicePlan:
    return SlicePlan(
        one.create + other.create, one.update + other.update, one.delete + other.delete
    )


def _wanted(
    service: Doc, pods: Iterable[Doc], zones: Mapping[str, str], family: str
) -> dict[Ports, dict[str, Doc]]:
    """Endpoints by the uid of their pod, grouped by ports: a named port may differ from pod to
    pod."""
    wanted: dict[Ports, dict[str, Doc]] = {}
    for pod in pods:
        address = _address(pod, family)
        if address and counts(pod, leaving=True):
            endpoint = _endpoint(service, pod, address, zones)
            wanted.setdefault(_slice_ports(service, pod), {})[pod["metadata"]["uid"]] = endpoint
    return wanted


def _address(pod: Doc, family: str) -> str:
    status = pod.get("status") or {}
    addresses = [one["ip"] for one in status.get("podIPs") or ()] or [status.get("podIP", "")]
    return next((ip for ip in addresses if (":" in ip) == (family == "IPv6") and ip), "")


def _endpoint(service: Doc, pod: Doc, address: str, zones: Mapping[str, str]) -> Doc:
    serving, leaving = pod_state.is_ready(pod), "deletionTimestamp" in pod["metadata"]
    always = bool(service["spec"].get("publishNotReadyAddresses"))
    conditions = {
        "ready": always or (serving and not leaving),
        "serving": serving,
        "terminating": leaving,
    }
    endpoint: Doc = {
        "addresses": [address],
        "conditions": conditions,
        "targetRef": _target(pod),
    }
    if node := pod_state.node_name(pod):
        endpoint["nodeName"] = node
        if zone := zones.get(node):
            endpoint["zone"] = zone
    if hostname := _hostname(service, pod):
        endpoint["hostname"] = hostname
    return endpoint


def facts(pod: Doc) -> tuple[object, ...]:
    """All of a pod that can change and that its endpoints tell, or where they are told."""
    status = pod.get("status") or {}
    where = pod_state.node_name(pod), status.get("podIP"), status.get("podIPs")
    return *pod_state.standing(pod), *where


def _target(pod: Doc) -> Doc:
    metadata = pod["metadata"]
    return {
        "kind": "Pod",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }


def _hostname(service: Doc, pod: Doc) -> str:
    """A pod of a headless Service's domain answers to its own name there."""
    spec = pod["spec"]
    same = spec.get("subdomain") == service["metadata"]["name"]
    return str(spec.get("hostname") or "") if same else ""


def target_port(port: Doc, pod: Doc) -> int | None:
    """The number that a Service's port means on a pod; None if the pod has no such port."""
    wanted = port.get("targetPort") or port["port"]
    if isinstance(wanted, int):
        return wanted
    for container in _serving_containers(pod):
        for one in container.get("ports") or ():
            same = one.get("protocol", "TCP") == port.get("protocol", "TCP")
            if one.get("name") == wanted and same:
                return int(one["containerPort"])
    return None


def _serving_containers(pod: Doc) -> list[Doc]:
    sidecars = pod["spec"].get("initContainers") or ()
    return [*pod["spec"]["containers"], *(c for c in sidecars if c.get("restartPolicy"))]


def _slice_ports(service: Doc, pod: Doc) -> Ports:
    ports = []
    for port in service["spec"].get("ports") or ():
        number = target_port(port, pod)
        if number is not None:
            ports.append((
                ("appProtocol", port.get("appProtocol")),
                ("name", port.get("name", "")),
                ("port", number),
                ("protocol", port.get("protocol", "TCP")),
            ))  # fmt: skip
    return tuple(ports)


def _port_docs(ports: Ports) -> list[Doc]:
    return [{key: value for key, value in port if value is not None} for port in ports]


def _plan_family(
    service: Doc, family: str, wanted: Mapping[Ports, dict[str, Doc]], slices: Sequence[Doc]
) -> SlicePlan:
    plan = SlicePlan()
    groups = dict(wanted)
    if not groups:
        # One empty slice stays: it says that there is a Service with nobody behind it.
        groups = {_ports_of(slices[0]) if slices else (): {}}
    for ports, endpoints in groups.items():
        mine = [one for one in slices if _ports_of(one) == ports]
        plan = _joined(plan, _plan_group(service, family, ports, endpoints, mine))
    left = tuple(one for one in slices if _ports_of(one) not in groups)
    return _joined(plan, SlicePlan(delete=left))


def _ports_of(one: Doc) -> Ports:
    return tuple(
        (
            ("appProtocol", port.get("appProtocol")),
            ("name", port.get("name", "")),
            ("port", port.get("port")),
            ("protocol", port.get("protocol", "TCP")),
        )
        for port in one.get("ports") or ()
    )


def _plan_group(
    service: Doc, family: str, ports: Ports, endpoints: Mapping[str, Doc], slices: Sequence[Doc]
) -> SlicePlan:
    """One group of endpoints with the same ports, over as many slices as it takes."""
    new = dict(endpoints)
    filled: list[tuple[Doc, list[Doc]]] = []
    for one in slices:
        uids = [(e.get("targetRef") or {}).get("uid", "") for e in one.get("endpoints") or ()]
        filled.append((one, [new.pop(uid) for uid in uids if uid in new]))
    for _, kept in sorted(filled, key=lambda pair: -len(pair[1])):
        while new and len(kept) < SLICE_MAX:
            kept.append(new.pop(next(iter(new))))
    filled = _without_empty(filled, spare=not endpoints)
    chosen = {one["metadata"]["name"] for one, _ in filled}
    rest = list(new.values())
    chunks = [rest[at : at + SLICE_MAX] for at in range(0, len(rest), SLICE_MAX)]
    if not filled and not chunks:
        chunks = [[]]
    return SlicePlan(
        create=tuple(_new_slice(service, family, ports, chunk) for chunk in chunks),
        update=tuple(
            changed
            for one, kept in filled
            if (changed := _with_endpoints(service, one, kept)) is not one
        ),
        delete=tuple(one for one in slices if one["metadata"]["name"] not in chosen),
    )


def _without_empty(
    filled: Sequence[tuple[Doc, list[Doc]]], *, spare: bool
) -> list[tuple[Doc, list[Doc]]]:
    kept = [pair for pair in filled if pair[1]]
    return kept or (list(filled[:1]) if spare else [])


def slice_labels(service: Doc) -> dict[str, str]:
    labels = {
        **_service_labels(service),
        SERVICE_NAME: service["metadata"]["name"],
        MANAGED_BY: MANAGER,
    }
    return labels


def _service_labels(service: Doc) -> dict[str, str]:
    labels = dict(service["metadata"].get("labels") or {})
    labels.pop(HEADLESS, None)
    if service["spec"].get("clusterIP") == "None":
        labels[HEADLESS] = ""
    return labels


def _new_slice(service: Doc, family: str, ports: Ports, endpoints: list[Doc]) -> Doc:
    metadata = service["metadata"]
    return {
        "apiVersion": kinds.ENDPOINT_SLICE.api_version,
        "kind": kinds.ENDPOINT_SLICE.name,
        "metadata": {
            "generateName": f"{metadata['name']}-",
            "namespace": metadata["namespace"],
            "labels": slice_labels(service),
            "ownerReferences": [reference(kinds.SERVICE, service)],
        },
        "addressType": family,
        "ports": _port_docs(ports),
        "endpoints": endpoints,
    }


def _with_endpoints(service: Doc, one: Doc, endpoints: list[Doc]) -> Doc:
    """The slice with these endpoints and the Service's labels; the same object if it has them."""
    labels = slice_labels(service)
    same_labels = (one["metadata"].get("labels") or {}) == labels
    if same_labels and (one.get("endpoints") or []) == endpoints:
        return one
    return {**one, "metadata": {**one["metadata"], "labels": labels}, "endpoints": endpoints}


# --- Endpoints, for clients that do not know slices ---


def endpoints_for(service: Doc, pods: Iterable[Doc], existing: Doc | None) -> Doc | None:
    """The Service's Endpoints object as it should be; None if existing is that already."""
    always = bool(service["spec"].get("publishNotReadyAddresses"))
    groups: dict[Ports, tuple[list[Doc], list[Doc]]] = {}
    for pod in pods:
        if counts(pod, leaving=always):
            ready, unready = groups.setdefault(_endpoint_ports(service, pod), ([], []))
            fine = always or pod_state.is_ready(pod)
            (ready if fine else unready).append(_endpoint_address(service, pod))
    # Without ports of its own only a headless Service has addresses to give.
    headless = service["spec"].get("clusterIP") == "None"
    subsets = [
        _subset(ports, ready, unready)
        for ports, (ready, unready) in sorted(groups.items(), key=lambda item: repr(item[0]))
        if ports or (headless and not service["spec"].get("ports"))
    ]
    return _endpoints_doc(service, *_within_capacity(subsets), existing)


def _endpoint_ports(service: Doc, pod: Doc) -> Ports:
    return _slice_ports(service, pod)


def _endpoint_address(service: Doc, pod: Doc) -> Doc:
    address: Doc = {"ip": pod["status"]["podIP"], "targetRef": _target(pod)}
    if node := pod_state.node_name(pod):
        address["nodeName"] = node
    if hostname := _hostname(service, pod):
        address["hostname"] = hostname
    return address


def _subset(ports: Ports, ready: list[Doc], unready: list[Doc]) -> Doc:
    subset: Doc = {}
    for field, addresses in (("addresses", ready), ("notReadyAddresses", unready)):
        if addresses:
            subset[field] = sorted(addresses, key=lambda one: one["ip"])
    if ports:
        subset["ports"] = [
            {key: value for key, value in port.items() if value != ""} for port in _port_docs(ports)
        ]
    return subset


def _within_capacity(subsets: list[Doc]) -> tuple[list[Doc], bool]:
    """At most ADDRESSES_MAX addresses, the ready ones first; whether some had to be left out."""
    left, cut = ADDRESSES_MAX, False
    room: dict[tuple[int, str], int] = {}
    for field in ("addresses", "notReadyAddresses"):
        for number, subset in enumerate(subsets):
            count = len(subset.get(field, ()))
            room[number, field] = min(count, left)
            cut = cut or count > left
            left -= room[number, field]
    if not cut:
        return subsets, False
    return [
        {
            field: value[: room[number, field]] if field != "ports" else value
            for field, value in subset.items()
            if field == "ports" or room[number, field]
        }
        for number, subset in enumerate(subsets)
        if room.get((number, "addresses"), 0) or room.get((number, "notReadyAddresses"), 0)
    ], True


def _endpoints_doc(service: Doc, subsets: list[Doc], cut: bool, existing: Doc | None) -> Doc | None:
    metadata = service["metadata"]
    before = existing["metadata"] if existing is not None else {}
    labels = {**_service_labels(service), ENDPOINTS_MANAGED_BY: ENDPOINTS_MANAGER}
    notes = {k: v for k, v in (before.get("annotations") or {}).items() if k != OVER_CAPACITY}
    if cut:
        notes[OVER_CAPACITY] = "truncated"
    after = {**before, "name": metadata["name"], "namespace": metadata["namespace"]}
    after["labels"] = labels
    after.pop("annotations", None)
    if notes:
        after["annotations"] = notes
    wanted = {"apiVersion": "v1", "kind": "Endpoints", "metadata": after, "subsets": subsets}
    if existing is not None and after == before and (existing.get("subsets") or []) == subsets:
        return None
    return wanted
