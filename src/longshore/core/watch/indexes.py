"""What objects are found by besides their key: one function from a document to index terms."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind

Term = tuple[str, str]


def terms_of(kind: Kind, doc: Doc) -> tuple[Term, ...]:
    """The terms of an object: ("namespace", its namespace), ("owner", each owner's uid), for pods
    ("node", the node's name or "" while they have none) and ("claim", namespace/name of each claim),
    for claims and volumes ("attributes", their VolumeAttributesClass), for Events ("about", the uid of what
    they are about), for EndpointSlices ("service", namespace/name of theirs), for the
    classes of what names none (PriorityClass, StorageClass, IngressClass) ("default", "")."""
    metadata = doc["metadata"]
    terms = [("owner", owner["uid"]) for owner in metadata.get("ownerReferences") or ()]
    if kind.namespaced:
        terms.append(("namespace", metadata.get("namespace", "")))
    if kind is kinds.POD:
        spec = doc.get("spec") or {}
        terms.append(("node", spec.get("nodeName") or ""))
        if "volumes" in spec:
            namespace = metadata.get("namespace", "")
            terms += [("claim", f"{namespace}/{name}") for name in claims_of(doc)]
    elif kind is kinds.EVENT:
        terms.append(("about", (doc.get("involvedObject") or {}).get("uid") or ""))
    elif kind is kinds.ENDPOINT_SLICE:
        service = (metadata.get("labels") or {}).get("kubernetes.io/service-name") or ""
        terms.append(("service", f"{metadata.get('namespace', '')}/{service}"))
    elif kind in (kinds.PVC, kinds.PV):
        terms += [("attributes", name) for name in attributes_classes(doc)]
    elif kind in _WITH_DEFAULT and _is_default(kind, doc):
        terms.append(("default", ""))
    return tuple(terms)


# Annotations that make a class the one of what names none (pkg/volume/util/storageclass.go,
# k8s.io/api/networking/v1).
_WITH_DEFAULT: dict[Kind, tuple[str, ...]] = {
    kinds.PRIORITY_CLASS: (),
    kinds.STORAGE_CLASS: (
        "storageclass.kubernetes.io/is-default-class",
        "storageclass.beta.kubernetes.io/is-default-class",
    ),
    kinds.INGRESS_CLASS: ("ingressclass.kubernetes.io/is-default-class",),
}


def claims_of(pod: Doc) -> list[str]:
    """Names of the claims that a pod's volumes are; those of ephemeral volumes bear its name."""
    names: list[str] = []
    for volume in pod["spec"].get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            names.append(volume["persistentVolumeClaim"].get("claimName", ""))
        elif "ephemeral" in volume:
            names.append(f"{pod['metadata']['name']}-{volume['name']}")
    return names


def attributes_classes(doc: Doc) -> set[str]:
    """The VolumeAttributesClasses that a claim or a volume names."""
    spec, status = doc.get("spec") or {}, doc.get("status") or {}
    named = spec.get("volumeAttributesClassName"), status.get("currentVolumeAttributesClassName")
    return {name for name in named if name}


def _is_default(kind: Kind, doc: Doc) -> bool:
    if kind is kinds.PRIORITY_CLASS:
        return bool(doc.get("globalDefault"))
    annotations = doc["metadata"].get("annotations") or {}
    return any(annotations.get(name) == "true" for name in _WITH_DEFAULT[kind])
