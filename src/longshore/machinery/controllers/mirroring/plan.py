"""Work out the EndpointSlices that say what an Endpoints object says. Pure.

Rules: pkg/controller/endpointslicemirroring (KEP-752). There is one slice for each set of ports and
family of addresses. Unlike upstream nothing is said of addresses that are none: those are refused when
Endpoints are written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common.owners import reference

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
# Of a subset no more addresses are mirrored than these.
ADDRESSES_MAX = 1000
# Annotations that are about the Endpoints object itself.
_OWN_NOTES = frozenset({
    "endpoints.kubernetes.io/last-change-trigger-time",
    "kubectl.kubernetes.io/last-applied-configuration",
})  # fmt: skip

Port = tuple[str, int, str, str]
"""Name, number, protocol and application protocol."""
Group = tuple[str, tuple[Port, ...]]
"""What a slice has in common: the family of its addresses, and its ports."""


@dataclass(frozen=True, slots=True)
class MirrorPlan:
    """Slices to make, to replace and to delete; skipped: addresses that were too many."""

    create: tuple[Doc, ...] = ()
    update: tuple[Doc, ...] = ()
    delete: tuple[Doc, ...] = ()
    skipped: int = 0


def is_mirrored(service: Doc | None, endpoints: Doc | None) -> bool:
    """Whether there should be slices for them. Endpoints of a Service with a selector are made of the
    same pods as its slices; those that serve as a lock of an election lead nowhere."""
    if service is None or endpoints is None or service["spec"].get("selector"):
        return False
    metadata = endpoints["metadata"]
    skipped = (metadata.get("labels") or {}).get(SKIP) == "true"
    return not skipped and LEADER not in (metadata.get("annotations") or {})


def is_ours(one: Doc) -> bool:
    """Whether a slice was made here."""
    return (one["metadata"].get("labels") or {}).get(MANAGED_BY) == MANAGER


def plan(endpoints: Doc, slices: Sequence[Doc]) -> MirrorPlan:
    """slices are those that mirror these Endpoints already."""
    groups, skipped = _groups(endpoints)
    spare = {_group_of(one): one for one in reversed(slices)}
    keep = {group: spare.pop(group) for group in groups if group in spare}
    kept = {one["metadata"]["name"] for one in keep.values()}
    wanted = [(_slice(endpoints, *each), keep.get(each[0])) for each in groups.items()]
    return MirrorPlan(
        create=tuple(_unnamed(one) for one, there in wanted if there is None),
        update=tuple(
            changed
            for one, there in wanted
            if there is not None and (changed := _replaced(there, one)) is not there
        ),
        delete=tuple(one for one in slices if one["metadata"]["name"] not in kept),
        skipped=skipped,
    )


def _groups(endpoints: Doc) -> tuple[dict[Group, list[Doc]], int]:
    """Endpoints by what their slice has in common, each once; and how many were too many."""
    found: dict[Group, dict[tuple[str, str, str], Doc]] = {}
    skipped = 0
    for subset in endpoints.get("subsets") or ():
        ports = tuple(_port(one) for one in subset.get("ports") or ())
        fields = (("addresses", True), ("notReadyAddresses", False))
        told = [(one, ready) for field, ready in fields for one in subset.get(field) or ()]
        skipped += max(0, len(told) - ADDRESSES_MAX)
        for address, ready in told[:ADDRESSES_MAX]:
            family = "IPv6" if ":" in address["ip"] else "IPv4"
            target = (address.get("targetRef") or {}).get("uid", "")
            key = address["ip"], address.get("hostname", ""), target
            found.setdefault((family, ports), {})[key] = _endpoint(address, ready=ready)
    return {group: list(each.values()) for group, each in found.items()}, skipped


def _endpoint(address: Doc, *, ready: bool) -> Doc:
    endpoint: Doc = {"addresses": [address["ip"]], "conditions": {"ready": ready}}
    for field in ("hostname", "nodeName", "targetRef"):
        if address.get(field):
            endpoint[field] = address[field]
    return endpoint


def _port(port: Doc) -> Port:
    protocol = port.get("protocol", "TCP")
    return port.get("name", ""), port["port"], protocol, port.get("appProtocol", "")


def _group_of(one: Doc) -> Group:
    ports = one.get("ports") or ()
    return one["addressType"], tuple(_port(port) for port in ports if "port" in port)


def _slice(endpoints: Doc, group: Group, members: list[Doc]) -> Doc:
    family, ports = group
    metadata = endpoints["metadata"]
    name = metadata["name"]
    return {
        "apiVersion": kinds.ENDPOINT_SLICE.api_version,
        "kind": kinds.ENDPOINT_SLICE.name,
        "metadata": {
            "namespace": metadata["namespace"],
            "labels": {
                **(metadata.get("labels") or {}),
                SERVICE_NAME: name,
                MANAGED_BY: MANAGER,
            },
            "annotations": _notes(metadata),
            "ownerReferences": [reference(kinds.ENDPOINTS, endpoints)],
        },
        "addressType": family,
        "ports": [_port_doc(port) for port in ports],
        "endpoints": members,
    }


def _notes(metadata: Doc) -> dict[str, str]:
    notes: Mapping[str, str] = metadata.get("annotations") or {}
    return {key: value for key, value in notes.items() if key not in _OWN_NOTES}


def _port_doc(port: Port) -> Doc:
    name, number, protocol, application = port
    more = {"appProtocol": application} if application else {}
    return {"name": name, "port": number, "protocol": protocol, **more}


def _unnamed(one: Doc) -> Doc:
    """A slice as it is made: the server finds the rest of its name."""
    name = one["metadata"]["labels"][SERVICE_NAME]
    return {**one, "metadata": {**one["metadata"], "generateName": f"{name}-"}}


def _replaced(there: Doc, wanted: Doc) -> Doc:
    """The slice as it should be; the same object if it is."""
    before, after = there["metadata"], wanted["metadata"]
    fields = ("labels", "annotations", "ownerReferences")
    same = all((before.get(one) or type(after[one])()) == after[one] for one in fields)
    if same and (there.get("endpoints") or []) == wanted["endpoints"]:
        return there
    return {**wanted, "metadata": {**before, **{one: after[one] for one in fields}}}
