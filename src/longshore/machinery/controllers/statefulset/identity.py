"""Who is who in a StatefulSet: ordinals, names, and the pods made from its template.

Pure. Rules: upstream's pkg/controller/statefulset/stateful_set_utils.go.
"""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common.owners import reference
from longshore.machinery.controllers.history.plan import HASH_LABEL, template_in

POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
INDEX_LABEL = "apps.kubernetes.io/pod-index"


def ordinal_of(stateful: Doc, name: str) -> int | None:
    """The ordinal in the name of a member, from 0; None in a stranger's."""
    stem, _, digits = name.rpartition("-")
    if stem != stateful["metadata"]["name"] or not (digits.isascii() and digits.isdigit()):
        return None
    return int(digits) if digits == str(int(digits)) else None


def is_member(stateful: Doc, pod: Doc) -> bool:
    return ordinal_of(stateful, pod["metadata"]["name"]) is not None


def ordinals(stateful: Doc) -> range:
    """Those that the set is to have."""
    start = int((stateful["spec"].get("ordinals") or {}).get("start", 0))
    return range(start, start + int(stateful["spec"].get("replicas", 1)))


def pod_name(stateful: Doc, ordinal: int) -> str:
    return f"{stateful['metadata']['name']}-{ordinal}"


def claim_name(stateful: Doc, template: Doc, ordinal: int) -> str:
    return f"{template['metadata']['name']}-{pod_name(stateful, ordinal)}"


def sets_of_claim(name: str) -> list[str]:
    """The names of all StatefulSets that could have a claim of that name: TEMPLATE-SET-ORDINAL, where
    both names may have hyphens."""
    parts = name.split("-")[:-1]
    return ["-".join(parts[place:]) for place in range(1, len(parts))]


def claim_templates(stateful: Doc) -> list[Doc]:
    return stateful["spec"].get("volumeClaimTemplates") or []


def revision_of(pod: Doc) -> str:
    """The name of the revision that a pod was made of; empty if it does not say."""
    return str((pod["metadata"].get("labels") or {}).get(HASH_LABEL, ""))


def labels_of(stateful: Doc, ordinal: int) -> dict[str, str]:
    """What a pod is told apart by."""
    return {POD_NAME_LABEL: pod_name(stateful, ordinal), INDEX_LABEL: str(ordinal)}


def pod_from(stateful: Doc, revision: Doc, ordinal: int) -> Doc:
    """The pod of an ordinal as a revision has it. Parts are shared with the revision's document."""
    template, name = template_in(revision), pod_name(stateful, ordinal)
    given = template.get("metadata") or {}
    mark = {HASH_LABEL: revision["metadata"]["name"]}
    made: Doc = {
        "name": name,
        "namespace": stateful["metadata"]["namespace"],
        "labels": {**(given.get("labels") or {}), **mark, **labels_of(stateful, ordinal)},
        "ownerReferences": [reference(kinds.STATEFUL_SET, stateful)],
    }
    for field in ("annotations", "finalizers"):
        if value := given.get(field):
            made[field] = value
    spec = {**template["spec"], "hostname": name}
    if service := stateful["spec"].get("serviceName"):
        spec["subdomain"] = service
    if volumes := _volumes(stateful, template, ordinal):
        spec["volumes"] = volumes
    return {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": spec}


def _volumes(stateful: Doc, template: Doc, ordinal: int) -> list[Doc]:
    """The claims' volumes, and those of the template that no claim takes the place of."""
    claimed = {
        one["metadata"]["name"]: {"claimName": claim_name(stateful, one, ordinal)}
        for one in claim_templates(stateful)
    }
    volumes: list[Doc] = [
        {"name": name, "persistentVolumeClaim": claim} for name, claim in claimed.items()
    ]
    given = template["spec"].get("volumes") or ()
    return [*volumes, *(one for one in given if one["name"] not in claimed)]
