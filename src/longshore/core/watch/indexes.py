"""What objects are found by besides their key: one function from a document to index terms."""

from __future__ import annotations

from collections.abc import Callable

from longshore.core.objects import kinds
from longshore.core.objects.device_claims import claim_names
from longshore.core.objects.exposure import exposes
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.volumes import claim_name, storage_class

Term = tuple[str, str]


def terms_of(kind: Kind, doc: Doc) -> tuple[Term, ...]:
    """The terms of an object: ("owner", each owner's uid), for pods and offers ("node", the node's
    name or "" while they have none), for pods ("claim", namespace/name of each claim)
    and ("devices", the same of each claim of devices, or "" while there is none yet), for slices
    and claims of devices ("pool", driver/pool of what they have),
    and, if they let themselves be asked for metrics, ("exposed", their namespace),
    for claims and volumes ("attributes", their VolumeAttributesClass), for claims ("volume", its name)
    or, until they have one, ("unbound", their class), for Events ("about", the uid of what
    they are about), for EndpointSlices ("service", namespace/name of theirs), for the
    classes of what names none (PriorityClass, StorageClass, IngressClass) ("default", "").

    What is read here of a pod or an Event is declared in glimpse.py too."""
    terms = [("owner", owner["uid"]) for owner in doc["metadata"].get("ownerReferences") or ()]
    more = MORE.get(kind)
    if more is not None:
        terms += more(doc)
    return tuple(terms)


def _of_pod(pod: Doc) -> list[Term]:
    spec = pod.get("spec") or {}
    terms = [("node", spec.get("nodeName") or "")]
    if "volumes" in spec:
        namespace = pod["metadata"].get("namespace", "")
        terms += [("claim", f"{namespace}/{name}") for name in claims_of(pod)]
    if "resourceClaims" in spec:
        namespace = pod["metadata"].get("namespace", "")
        terms += [("devices", f"{namespace}/{name}") for name in claim_names(pod)] or [
            ("devices", "")
        ]
    annotations = pod["metadata"].get("annotations")
    if annotations and exposes(annotations):
        terms.append(("exposed", pod["metadata"].get("namespace", "")))
    return terms


def _of_event(event: Doc) -> list[Term]:
    return [("about", (event.get("involvedObject") or {}).get("uid") or "")]


def _of_slice(endpoints: Doc) -> list[Term]:
    metadata = endpoints["metadata"]
    service = (metadata.get("labels") or {}).get("kubernetes.io/service-name") or ""
    return [("service", f"{metadata.get('namespace', '')}/{service}")]


def _of_storage(doc: Doc) -> list[Term]:
    return [("attributes", name) for name in attributes_classes(doc)]


def _of_claim(claim: Doc) -> list[Term]:
    name = claim["spec"].get("volumeName")
    bound = ("volume", name) if name else ("unbound", storage_class(claim))
    return [*_of_storage(claim), bound]


def _of_devices(claim: Doc) -> list[Term]:
    allocation = (claim.get("status") or {}).get("allocation") or {}
    results = (allocation.get("devices") or {}).get("results") or ()
    return [("pool", f"{one['driver']}/{one['pool']}") for one in results]


def _of_pool(part: Doc) -> list[Term]:
    spec = part["spec"]
    return [("pool", f"{spec['driver']}/{spec['pool']['name']}")]


def _of_offer(offer: Doc) -> list[Term]:
    return [("node", offer["spec"].get("nodeName") or "")]


def _of_priority(doc: Doc) -> list[Term]:
    return [("default", "")] if doc.get("globalDefault") else []


def _of_class(doc: Doc) -> list[Term]:
    annotations = doc["metadata"].get("annotations") or {}
    is_default = any(annotations.get(name) == "true" for name in _DEFAULT)
    return [("default", "")] if is_default else []


# What more than owners is indexed, by kind.
MORE: dict[Kind, Callable[[Doc], list[Term]]] = {
    kinds.POD: _of_pod,
    kinds.EVENT: _of_event,
    kinds.ENDPOINT_SLICE: _of_slice,
    kinds.PVC: _of_claim,
    kinds.PV: _of_storage,
    kinds.PRIORITY_CLASS: _of_priority,
    kinds.OFFER: _of_offer,
    kinds.RESOURCE_CLAIM: _of_devices,
    kinds.RESOURCE_SLICE: _of_pool,
    kinds.STORAGE_CLASS: _of_class,
    kinds.INGRESS_CLASS: _of_class,
}

# Annotations that make a class the one of what names none (pkg/volume/util/storageclass.go,
# k8s.io/api/networking/v1).
_DEFAULT = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
    "ingressclass.kubernetes.io/is-default-class",
)


def claims_of(pod: Doc) -> list[str]:
    """Names of the claims that a pod's volumes are."""
    volumes = pod["spec"].get("volumes") or ()
    # Most volumes are none: this is asked at every write of a pod.
    claims = [one for one in volumes if "persistentVolumeClaim" in one or "ephemeral" in one]
    return [name for one in claims if (name := claim_name(pod, one))]


def attributes_classes(doc: Doc) -> set[str]:
    """The VolumeAttributesClasses that a claim or a volume names."""
    spec, status = doc.get("spec") or {}, doc.get("status") or {}
    named = spec.get("volumeAttributesClassName"), status.get("currentVolumeAttributesClassName")
    return {name for name in named if name}
