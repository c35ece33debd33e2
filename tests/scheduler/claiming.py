"""Small slices, classes and claims of devices for tests, and a view that has heard of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.machinery.scheduler.view.view import ClusterView

from .placing import pod, view_of

DRIVER = "dra.example.com"
Heard = tuple[Kind, Doc]


def device(name: str, **more: Any) -> Doc:
    """attributes are given as values, by their names; memory is a capacity."""
    values = more.pop("attributes", {})
    made: Doc = {"name": name, **more}
    if values:
        made["attributes"] = {key: _attribute(value) for key, value in values.items()}
    if memory := made.pop("memory", ""):
        made["capacity"] = {"memory": {"value": memory}}
    return made


def _attribute(value: object) -> Doc:
    if isinstance(value, bool):
        return {"bool": value}
    return {"int" if isinstance(value, int) else "string": value}


def slice_on(node: str, *devices: Doc, name: str = "", pool: str = "", **more: Any) -> Heard:
    """A slice of one node, or (with an empty name) of those that more says; a pool by its name or its
    node's. more: of its spec; generation and total of its pool besides."""
    numbers = {"generation": more.pop("generation", 1), "resourceSliceCount": more.pop("total", 1)}
    spec = {"driver": more.pop("driver", DRIVER), "pool": {"name": pool or node, **numbers}, **more}
    if node:
        spec["nodeName"] = node
    if devices:
        spec["devices"] = list(devices)
    return kinds.RESOURCE_SLICE, {
        "metadata": {"name": name or f"slice-{pool or node}"},
        "spec": spec,
    }


def device_class(name: str = "gpu", *selectors: str, **more: Any) -> Heard:
    given = [{"cel": {"expression": one}} for one in selectors or (f'device.driver == "{DRIVER}"',)]
    return kinds.DEVICE_CLASS, {"metadata": {"name": name}, "spec": {"selectors": given, **more}}


def want(name: str = "a", device_class: str = "gpu", *selectors: str, **more: Any) -> Doc:
    """A request for exactly that; count is 1 if nothing else is said."""
    return {"name": name, "exactly": wish(device_class, *selectors, **more)}


def wish(device_class: str = "gpu", *selectors: str, **more: Any) -> Doc:
    if more.get("allocationMode") != "All":
        more = {"allocationMode": "ExactCount", "count": 1, **more}
    if selectors:
        more["selectors"] = [{"cel": {"expression": one}} for one in selectors]
    return {"deviceClassName": device_class, **more}


def claim(name: str = "one", *requests: Doc, **more: Any) -> Heard:
    """more: constraints and config of its devices; status; the rest is metadata."""
    devices: Doc = {"requests": list(requests or (want(),))}
    for field in ("constraints", "config"):
        if field in more:
            devices[field] = more.pop(field)
    status = more.pop("status", {})
    metadata = {"namespace": "shop", "name": name, "uid": f"uid-{name}", **more}
    return kinds.RESOURCE_CLAIM, {
        "metadata": metadata,
        "spec": {"devices": devices},
        "status": status,
    }


def allocated(node: str, *devices: str, users: Iterable[str] = (), **more: Any) -> Doc:
    """The status of a claim that has devices of a node."""
    results = [
        {"request": "a", "driver": DRIVER, "pool": node, "device": d, **more} for d in devices
    ]
    named = {"key": "metadata.name", "operator": "In", "values": [node]}
    return {
        "allocation": {
            "devices": {"results": results},
            "nodeSelector": {"nodeSelectorTerms": [{"matchFields": [named]}]},
        },
        "reservedFor": [{"resource": "pods", "name": one, "uid": one} for one in users],
    }


def claiming(*claims: str, name: str = "p", **spec: Any) -> Doc:
    given = [{"name": one, "resourceClaimName": one} for one in claims or ("one",)]
    return pod(name, resourceClaims=given, **spec)


def heard(nodes: list[Doc], *objects: Heard) -> ClusterView:
    view = view_of(*nodes)
    for kind, doc in objects:
        view.devices.hear(kind, doc, gone=False)
    return view
