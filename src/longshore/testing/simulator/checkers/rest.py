"""What must be true once nothing goes wrong any more and all had time to come to rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from longshore.core.objects.kinds import Doc
from longshore.testing.simulator.checkers.scheduling import is_ready, waits
from longshore.testing.simulator.record import Record, Violation

_PODS, _NODES = "/core/pods/", "/core/nodes/"
_DEPLOYMENTS, _NAMESPACES = "/apps/deployments/", "/core/namespaces/"
_SETS, _CLAIMS, _VOLUMES = (
    "/apps/replicasets/", "/core/persistentvolumeclaims/", "/core/persistentvolumes/",
)  # fmt: skip


def alive(record: Record) -> Iterator[Violation]:
    """Nothing ended by itself."""
    if record.died:
        yield Violation("alive", record.died)


def orphans(record: Record) -> Iterator[Violation]:
    """Nothing is left of what was deleted: no dependent without an owner, nothing in a namespace that
    is gone, nothing that waits for its deletion, no pod on a node that is not there."""
    there = record.objects()
    uids = {doc["metadata"]["uid"] for doc in there.values()}
    for key, doc in there.items():
        metadata = doc["metadata"]
        owners = metadata.get("ownerReferences") or ()
        if owners and not any(owner["uid"] in uids for owner in owners):
            yield _left(key, f"its owner {owners[0]['kind']} {owners[0]['name']} is gone")
        namespace = metadata.get("namespace")
        if namespace and _NAMESPACES + namespace not in there:
            yield _left(key, "its namespace is gone")
        claimed = (doc.get("spec") or {}).get("claimRef") or {}  # it waits for its claim to go
        if "deletionTimestamp" in metadata and claimed.get("uid") not in uids:
            yield _left(key, f"it was deleted at {metadata['deletionTimestamp']}")
        node = doc["spec"].get("nodeName") if key.startswith(_PODS) else None
        if node and _NODES + node not in there:
            yield _left(key, f"its node {node} is gone")


def _left(key: str, why: str) -> Violation:
    return Violation("orphans", f"{key} is still there, and {why}", (key,))


def converged(record: Record) -> Iterator[Violation]:
    """Nodes are Ready, Deployments and ReplicaSets have all their pods, those of Deployments of their
    newest template, unless one of them waits for room (scheduling.scheduled judges whether it has to);
    and claims have volumes that know them."""
    there = record.objects()
    for key, doc in there.items():
        if key.startswith(_NODES) and not is_ready(doc):
            yield Violation("converged", f"{key} is not Ready", (key,))
        if key.startswith(_DEPLOYMENTS) and (why := _unfinished(doc, there)):
            yield Violation("converged", f"{key}: {why}", (key,))
        if key.startswith(_SETS) and (why := _short(doc, there)):
            yield Violation("converged", f"{key}: {why}", (key,))
        if key.startswith(_CLAIMS) and (why := _untied(doc, there)):
            yield Violation("converged", f"{key}: {why}", (key,))


def _short(replica_set: Doc, there: Mapping[str, Doc]) -> str:
    uid, wanted = replica_set["metadata"]["uid"], replica_set["spec"]["replicas"]
    pods = [
        doc
        for key, doc in there.items()
        if key.startswith(_PODS)
        and any(ref["uid"] == uid for ref in doc["metadata"].get("ownerReferences") or ())
    ]
    told = (replica_set.get("status") or {}).get("replicas", 0)
    if len(pods) == told == wanted or any(map(waits, pods)):
        return ""
    return f"there are {len(pods)} pods, it tells of {told}, wanted are {wanted}"


def _untied(claim: Doc, there: Mapping[str, Doc]) -> str:
    if claim["status"]["phase"] != "Bound":
        return ""
    volume = there.get(_VOLUMES + claim["spec"]["volumeName"])
    if volume is None:
        return "it is bound, and its volume is gone"
    known = volume["spec"].get("claimRef") or {}
    return "" if known.get("uid") == claim["metadata"]["uid"] else "its volume is another's"


def _unfinished(deployment: Doc, there: Mapping[str, Doc]) -> str:
    metadata, spec, status = deployment["metadata"], deployment["spec"], deployment["status"]
    if status.get("observedGeneration") != metadata["generation"]:
        return f"generation {metadata['generation']} was not looked at"
    app, namespace = spec["selector"]["matchLabels"]["app"], metadata["namespace"]
    pods = [
        doc
        for key, doc in there.items()
        if key.startswith(f"{_PODS}{namespace}/")
        and doc["metadata"].get("labels", {}).get("app") == app
    ]
    if any(map(waits, pods)):
        return ""
    wanted = spec["replicas"]
    for field in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"):
        if status.get(field, 0) != wanted:
            return f"{field} is {status.get(field, 0)}, wanted are {wanted}"
    image = spec["template"]["spec"]["containers"][0]["image"]
    if len(pods) != wanted or any(pod["spec"]["containers"][0]["image"] != image for pod in pods):
        return f"there are {len(pods)} pods, wanted are {wanted} of {image}"
    return ""
