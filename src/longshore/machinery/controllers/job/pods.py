"""The pods that a Job makes. Pure."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.job.facts import (
    FAILURES,
    IGNORED_FAILURES,
    INDEX,
    NO_INDEX,
    TRACKING,
)
from longshore.machinery.controllers.job.plan import Wanted

_VARIABLE = "JOB_COMPLETION_INDEX"
# What is left of a generated name of 63 characters before its random ones.
_PREFIX_MAX = 58


def pod_from(job: Doc, owner: Doc, wanted: Wanted) -> Doc:
    """A pod as the Job's template says, with the finalizer by which its end is counted; owner is the
    Job's controller reference. Parts are shared with the Job's document."""
    template, name = job["spec"]["template"], job["metadata"]["name"]
    given = template.get("metadata") or {}
    metadata: Doc = {
        "generateName": f"{name}-",
        "namespace": job["metadata"]["namespace"],
        "ownerReferences": [owner],
        "finalizers": [*(f for f in given.get("finalizers") or () if f != TRACKING), TRACKING],
    }
    for field in ("labels", "annotations"):
        if value := given.get(field):
            metadata[field] = value
    spec = template["spec"]
    if wanted.index != NO_INDEX:
        _put_index(metadata, name, wanted)
        spec = _with_index(spec, f"{name}-{wanted.index}")
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _put_index(metadata: Doc, job: str, wanted: Wanted) -> None:
    ending = f"-{wanted.index}-"
    metadata["generateName"] = job[: _PREFIX_MAX - len(ending)] + ending
    metadata["labels"] = {**metadata.get("labels", {}), INDEX: str(wanted.index)}
    notes = {INDEX: str(wanted.index)}
    if wanted.failures is not None:
        notes[FAILURES] = str(wanted.failures)
    if wanted.ignored:
        notes[IGNORED_FAILURES] = str(wanted.ignored)
    metadata["annotations"] = {**metadata.get("annotations", {}), **notes}


def _with_index(spec: Doc, hostname: str) -> Doc:
    """The pod's name in its network, and its index in each container's environment."""
    told = {**spec, "hostname": hostname}
    for field in ("initContainers", "containers"):
        if field in spec:
            told[field] = [_with_variable(container) for container in spec[field]]
    return told


def _with_variable(container: Doc) -> Doc:
    known = container.get("env") or []
    if any(one["name"] == _VARIABLE for one in known):
        return container
    source = {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}}
    return {**container, "env": [*known, {"name": _VARIABLE, "valueFrom": source}]}
