"""StatefulSets and DaemonSets: one of a name runs at a time, and in the end all are as they should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from longshore.core.objects.kinds import Doc
from longshore.testing.simulator.checkers.scheduling import waits
from longshore.testing.simulator.record import Record, Violation

_PODS, _NODES = "/core/pods/", "/core/nodes/"
_STATEFUL, _DAEMONS = "/apps/statefulsets/", "/apps/daemonsets/"


def unique(record: Record) -> Iterator[Violation]:
    """No two pods of one ordinal of a StatefulSet run at once, wherever that is, whatever the cluster
    knows of it."""
    members = _members(record)
    for at, uids in record.running:
        found: dict[str, str] = {}
        for uid in sorted(uids & members.keys()):
            other = found.setdefault(members[uid], uid)
            if other != uid:
                key = members[uid]
                sentence = f"{key} ran twice {at:.0f} s after the beginning, as {other} and {uid}"
                yield Violation("unique", sentence, (key,))


def _members(record: Record) -> dict[str, str]:
    """The keys of pods of StatefulSets by uid."""
    found: dict[str, str] = {}
    for entry, doc in record.decoded():
        if doc is not None and entry.key.startswith(_PODS):
            metadata = doc["metadata"]
            if any(ref["kind"] == "StatefulSet" for ref in metadata.get("ownerReferences") or ()):
                found[metadata["uid"]] = entry.key
    return found


def settled(record: Record) -> Iterator[Violation]:
    """In the end StatefulSets have pods of all their ordinals and no others, DaemonSets one on each
    node, ready and of their newest template, and their statuses say so, unless a pod waits for
    room (scheduling.scheduled judges whether it has to)."""
    there = record.objects()
    for key, doc in there.items():
        why = ""
        if key.startswith(_STATEFUL):
            why = _of_stateful_set(doc, there)
        elif key.startswith(_DAEMONS):
            why = _of_daemon_set(doc, there)
        if why:
            yield Violation("settled", f"{key}: {why}", (key,))


def _of_stateful_set(stateful: Doc, there: Mapping[str, Doc]) -> str:
    wanted, pods = stateful["spec"]["replicas"], _pods(stateful, there)
    if any(map(waits, pods)):
        return ""
    names = sorted(pod["metadata"]["name"] for pod in pods)
    right = sorted(f"{stateful['metadata']['name']}-{number}" for number in range(wanted))
    if names != right:
        return f"there are {names}, wanted are {right}"
    fields = (
        "replicas",
        "readyReplicas",
        "updatedReplicas",
        "currentReplicas",
        "availableReplicas",
    )
    return _unlike(stateful, pods, dict.fromkeys(fields, wanted))


def _of_daemon_set(daemon_set: Doc, there: Mapping[str, Doc]) -> str:
    pods = _pods(daemon_set, there)
    if any(map(waits, pods)):
        return ""
    nodes = sorted(key.removeprefix(_NODES) for key in there if key.startswith(_NODES))
    places = sorted(pod["spec"]["nodeName"] for pod in pods)
    if places != nodes:
        return f"there are pods on {places}, there are nodes {nodes}"
    fields = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady",
              "updatedNumberScheduled", "numberAvailable")  # fmt: skip
    return _unlike(daemon_set, pods, dict.fromkeys(fields, len(nodes)))


def _pods(owner: Doc, there: Mapping[str, Doc]) -> list[Doc]:
    uid = owner["metadata"]["uid"]
    return [
        doc
        for key, doc in there.items()
        if key.startswith(_PODS)
        and any(ref["uid"] == uid for ref in doc["metadata"].get("ownerReferences") or ())
    ]


def _unlike(owner: Doc, pods: list[Doc], right: Mapping[str, int]) -> str:
    """How a status, or a pod's image, is not as it should be."""
    metadata, status = owner["metadata"], owner.get("status") or {}
    if status.get("observedGeneration") != metadata["generation"]:
        return f"generation {metadata['generation']} was not looked at"
    for field, wanted in right.items():
        if status.get(field, 0) != wanted:
            return f"{field} is {status.get(field, 0)}, wanted are {wanted}"
    image = owner["spec"]["template"]["spec"]["containers"][0]["image"]
    if any(pod["spec"]["containers"][0]["image"] != image for pod in pods):
        return f"not all pods are of {image}"
    return ""
