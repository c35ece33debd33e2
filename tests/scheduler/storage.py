"""Small volumes, claims and classes for the scheduler's tests, and a view that has heard of them."""

from __future__ import annotations

from typing import Any

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.machinery.scheduler.view.view import ClusterView

from .placing import pod, view_of

HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
Heard = tuple[Kind, Doc]


def on(key: str, *values: str) -> Doc:
    """Node affinity of a volume."""
    expression = {"key": key, "operator": "In", "values": list(values)}
    return {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}


def volume(name: str, size: str = "1Gi", storage_class: str = "local", **more: Any) -> Heard:
    """more: of its spec; labels, phase and holder (uid of claim "shop/data") besides."""
    labels, phase = more.pop("labels", {}), more.pop("phase", "Available")
    if holder := more.pop("holder", ""):
        more["claimRef"] = {"namespace": "shop", "name": "data", "uid": holder}
    spec = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class, **more}  # fmt: skip
    return kinds.PV, {"metadata": {"name": name, "labels": labels}, "spec": spec,
                      "status": {"phase": phase}}  # fmt: skip


def claim(name: str = "data", size: str = "1Gi", volume: str = "", **more: Any) -> Heard:
    """With a volume's name it is bound. more: of its metadata, phase or storage_class, modes."""
    spec: Doc = {
        "accessModes": more.pop("modes", ["ReadWriteOnce"]),
        "storageClassName": more.pop("storage_class", "local"),
        "resources": {"requests": {"storage": size}},
    }
    phase = more.pop("phase", "Bound" if volume else "Pending")
    metadata: Doc = {"namespace": "shop", "name": name, "uid": f"uid-{name}", **more}
    if volume:
        spec["volumeName"] = volume
        metadata["annotations"] = {"pv.kubernetes.io/bind-completed": "yes"}
    return kinds.PVC, {"metadata": metadata, "spec": spec, "status": {"phase": phase}}


def storage_class(name: str = "local", provisioner: str = "kubernetes.io/no-provisioner", **more: Any) -> Heard:  # fmt: skip
    body = {"provisioner": provisioner, "volumeBindingMode": "WaitForFirstConsumer", **more}
    return kinds.STORAGE_CLASS, {"metadata": {"name": name}, **body}


def user(*claims: str, name: str = "p", **spec: Any) -> Doc:
    volumes = [{"name": one, "persistentVolumeClaim": {"claimName": one}} for one in claims]
    return pod(name, volumes=volumes, **spec)


def heard(nodes: list[Doc], *objects: Heard) -> ClusterView:
    view = view_of(*nodes)
    for kind, doc in objects:
        view.volumes.hear(kind, doc, gone=False)
    return view
