"""The PersistentVolumeClaims of a StatefulSet's pods: how they are made, and who owns them.

Pure. With persistentVolumeClaimRetentionPolicy (KEP-1847) a claim goes with its owner: the set, if it
is to be deleted with it, or the pod, once that is to be scaled away.
"""

from __future__ import annotations

from collections.abc import Sequence

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common.owners import is_deleting, owners, reference
from longshore.machinery.controllers.statefulset.identity import (
    claim_name,
    claim_templates,
    ordinals,
    pod_name,
)


def names(stateful: Doc, ordinal: int) -> list[str]:
    return [claim_name(stateful, one, ordinal) for one in claim_templates(stateful)]


def made(stateful: Doc, ordinal: int) -> list[Doc]:
    """The claims of a pod, as they are to be made."""
    return [_made(stateful, template, ordinal) for template in claim_templates(stateful)]


def _made(stateful: Doc, template: Doc, ordinal: int) -> Doc:
    given = template["metadata"]
    selected = stateful["spec"]["selector"].get("matchLabels") or {}
    metadata: Doc = {
        "name": claim_name(stateful, template, ordinal),
        "namespace": stateful["metadata"]["namespace"],
        "labels": {**(given.get("labels") or {}), **selected},
    }
    for field in ("annotations", "finalizers"):
        if given.get(field):
            metadata[field] = given[field]
    if _policy(stateful, "whenDeleted") == "Delete":
        metadata["ownerReferences"] = [reference(kinds.STATEFUL_SET, stateful)]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": template["spec"],
    }


def is_stale(stateful: Doc, ordinal: int, claim: Doc) -> bool:
    """A claim that is about to go, with the pod of that ordinal that is gone already: the next pod
    must not start with it."""
    name = pod_name(stateful, ordinal)
    return is_deleting(claim) or any(_is(ref, "Pod", name) for ref in owners(claim))


def right_owners(stateful: Doc, ordinal: int, pod: Doc, claim: Doc) -> list[Doc]:
    """The claim's owner references as the retention policy has them; others' are left alone. Where
    somebody else is its controller, the policy does not count."""
    kept = _others(stateful, pod, owners(claim))
    if any(ref.get("controller") for ref in kept):
        return kept
    scaled_away = ordinal not in ordinals(stateful)
    if scaled_away and _policy(stateful, "whenScaled") == "Delete":
        return [*kept, reference(kinds.POD, pod)]
    if _policy(stateful, "whenDeleted") == "Delete":
        return [*kept, reference(kinds.STATEFUL_SET, stateful)]
    return kept


def _others(stateful: Doc, pod: Doc, refs: Sequence[Doc]) -> list[Doc]:
    set_name, name = stateful["metadata"]["name"], pod["metadata"]["name"]
    return [ref for ref in refs if not (_is(ref, "StatefulSet", set_name) or _is(ref, "Pod", name))]


def _is(ref: Doc, kind: str, name: str) -> bool:
    return bool(ref["kind"] == kind and ref["name"] == name)


def _policy(stateful: Doc, when: str) -> str:
    policy = stateful["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return str(policy.get(when, "Retain"))
