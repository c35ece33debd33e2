"""What objects are found by besides their key: one function from a document to index terms."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind

Term = tuple[str, str]


def terms_of(kind: Kind, doc: Doc) -> tuple[Term, ...]:
    """The terms of an object: ("namespace", its namespace), ("owner", each owner's uid), for pods
    ("node", the node's name or "" while they have none), for Events ("about", the uid of what
    they are about), for EndpointSlices ("service", namespace/name of theirs), for the
    PriorityClass of pods that name none ("default", "")."""
    metadata = doc["metadata"]
    terms = [("owner", owner["uid"]) for owner in metadata.get("ownerReferences") or ()]
    if kind.namespaced:
        terms.append(("namespace", metadata.get("namespace", "")))
    if kind is kinds.POD:
        terms.append(("node", (doc.get("spec") or {}).get("nodeName") or ""))
    elif kind is kinds.EVENT:
        terms.append(("about", (doc.get("involvedObject") or {}).get("uid") or ""))
    elif kind is kinds.ENDPOINT_SLICE:
        service = (metadata.get("labels") or {}).get("kubernetes.io/service-name") or ""
        terms.append(("service", f"{metadata.get('namespace', '')}/{service}"))
    elif kind is kinds.PRIORITY_CLASS and doc.get("globalDefault"):
        terms.append(("default", ""))
    return tuple(terms)
