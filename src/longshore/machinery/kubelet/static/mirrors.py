"""Mirror pods: how the API server hears of a node's static pods. Pure.

Rules: pkg/kubelet/pod/mirror_client.go and kubelet.go (reconcileMirrorPod) of Kubernetes, and what
NodeRestriction asks of a pod that a node makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Delete, DeleteOptions
from longshore.core.registry.permission.references import MIRROR
from longshore.machinery.kubelet.static.pods import HASH, SOURCE

Name: TypeAlias = tuple[str, str]
"""Namespace and name."""


def name_of(doc: Doc) -> Name:
    return doc["metadata"]["namespace"], doc["metadata"]["name"]


def is_mirror(doc: Doc) -> bool:
    return MIRROR in (doc["metadata"].get("annotations") or {})


def of_the_api(doc: Doc) -> Doc:
    """A pod that the API server has told of: whatever its annotations claim, it is no static one, which
    nobody evicts (pkg/kubelet/config sets the source of every pod)."""
    metadata = doc["metadata"]
    annotations = metadata.get("annotations")
    if not annotations or SOURCE not in annotations:
        return doc
    return {**doc, "metadata": {**metadata, "annotations": {**annotations, SOURCE: "api"}}}


def mirrors_whom(mirror: Doc) -> str:
    """The uid of the static pod that a mirror pod shows."""
    uid: str = mirror["metadata"]["annotations"][MIRROR]
    return uid


class MirrorPlan(NamedTuple):
    """What to write: mirror pods to delete, and static pods that have none."""

    deletions: list[Delete]
    missing: list[Doc]


def plan_mirrors(static: Mapping[Name, Doc], mirrors: Mapping[Name, Doc]) -> MirrorPlan:
    """That each static pod is shown as it is, and nothing else is. A mirror pod that shows another, or
    that somebody deletes, goes at once; when it is gone it is made anew."""
    stale = [doc for name, doc in mirrors.items() if not _shows(doc, static.get(name))]
    missing = [doc for name, doc in static.items() if name not in mirrors]
    return MirrorPlan([_deletion(doc) for doc in stale], missing)


def _shows(mirror: Doc, static: Doc | None) -> bool:
    if static is None or "deletionTimestamp" in mirror["metadata"]:
        return False
    return mirrors_whom(mirror) == str(static["metadata"]["uid"])


def _deletion(mirror: Doc) -> Delete:
    options = DeleteOptions(grace_s=0, uid=mirror["metadata"]["uid"])
    return Delete(kinds.POD, *name_of(mirror), options)


def mirror_of(static: Doc, node: Doc) -> Doc:
    """The mirror pod of a static one, owned by its Node."""
    metadata = static["metadata"]
    owner = {
        "apiVersion": "v1", "kind": "Node", "name": node["metadata"]["name"],
        "uid": node["metadata"]["uid"], "controller": True,
    }  # fmt: skip
    own = {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "labels": metadata.get("labels") or {},
        "annotations": {**metadata["annotations"], MIRROR: metadata["annotations"][HASH]},
        "ownerReferences": [owner],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": own, "spec": static["spec"]}
