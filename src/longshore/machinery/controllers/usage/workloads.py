"""What workloads use: the samples of their pods' containers, by whose pods they are. Reads the cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from longshore.base import quantities
from longshore.base.clock import parse_rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.usage import containers
from longshore.core.objects.usage.containers import Container, Seen
from longshore.core.registry.client import Create, Operation, Patch
from longshore.core.streams.samples import PodSample
from longshore.core.watch.cache import Cache
from longshore.machinery.controllers.common.owners import controller

CONTAINERS_MAX = 20_000
"""So many containers of workloads are remembered, of each some 2 KB."""

# Whose pods are made by what: the workload is what a person wrote.
_ABOVE: Mapping[str, tuple[Kind, str]] = {
    "ReplicaSet": (kinds.REPLICA_SET, "Deployment"),
    "Job": (kinds.JOB, "CronJob"),
}
_WORKLOADS = frozenset(
    kind.name
    for kind in (
        kinds.DEPLOYMENT, kinds.REPLICA_SET, kinds.STATEFUL_SET, kinds.DAEMON_SET, kinds.JOB,
        kinds.CRON_JOB, kinds.REPLICATION_CONTROLLER,
    )
)  # fmt: skip


class Key(NamedTuple):
    """Which workload."""

    namespace: str
    kind: str
    name: str

    @property
    def record(self) -> str:
        """The name of its WorkloadUsage: kinds have no dash, so it is unambiguous."""
        return f"{self.kind.lower()}-{self.name}"


@dataclass(slots=True, eq=False)
class Workload:
    """owner is the reference to it. running are its pods' containers, by the pod's uid. told_until is
    when what is read of it was measured: kills until then are in it."""

    key: Key
    owner: Doc
    seen: dict[str, Seen] = field(default_factory=dict)
    running: dict[str, dict[str, Container]] = field(default_factory=dict)
    told_until: float = 0.0
    changed: bool = False


class Workloads:
    """All of them that have pods, or that are not written yet."""

    def __init__(self, cache: Cache, containers_max: int = CONTAINERS_MAX) -> None:
        self._cache = cache
        self._room = containers_max
        self._known: dict[Key, Workload] = {}
        self._of_pod: dict[str, Workload] = {}

    def __len__(self) -> int:
        return len(self._known)

    def put_pod(self, pod: Doc) -> None:
        """A placed pod is there, or changed."""
        uid = pod["metadata"]["uid"]
        workload = self._of_pod.get(uid) or self._joined(pod)
        if workload is not None:
            for name, request, at in _kills(pod):
                self._ran_out(workload, uid, name, request, at)

    def drop_pod(self, uid: str) -> None:
        workload = self._of_pod.pop(uid, None)
        if workload is not None:
            del workload.running[uid]
            self._let_go(workload)

    def take(self, sample: PodSample) -> None:
        workload = self._of_pod.get(sample.uid)
        if workload is None:
            return
        for name, use in sample.containers.items():
            container = self._container(workload, sample.uid, name)
            if container is not None and sample.at > container.measured:
                container.sample(use.cpu_ns / 1e9, use.memory_bytes, sample.at)
                workload.changed = True

    def changed(self) -> list[Workload]:
        return [one for one in self._known.values() if one.changed]

    def draft(self, workload: Workload) -> Operation:
        """What its WorkloadUsage is to say; written() is told what came of it."""
        key = workload.key
        workload.changed = False
        listed = [containers.written(*one) for one in sorted(workload.seen.items())]
        doc = {
            "metadata": {
                "name": key.record, "namespace": key.namespace, "ownerReferences": [_owned(workload.owner)],
            },
            "spec": {"targetRef": {
                "apiVersion": workload.owner["apiVersion"], "kind": key.kind, "name": key.name,
            }},
            "status": {"containers": listed},
        }  # fmt: skip
        if self._cache.get(kinds.WORKLOAD_USAGE, key.namespace, key.record) is None:
            typed = {
                "apiVersion": kinds.WORKLOAD_USAGE.api_version,
                "kind": kinds.WORKLOAD_USAGE.name,
            }
            return Create(kinds.WORKLOAD_USAGE, {**typed, **doc})
        return Patch(kinds.WORKLOAD_USAGE, key.namespace, key.record, doc)

    def written(self, workload: Workload, *, fine: bool) -> None:
        """What was not written is tried again, unless the workload's pods are gone: so is it, then, or
        its namespace."""
        workload.changed |= not fine and bool(workload.running)
        self._let_go(workload)

    def _joined(self, pod: Doc) -> Workload | None:
        owner = self._owner(pod)
        if owner is None:
            return None
        metadata = pod["metadata"]
        key = Key(metadata["namespace"], owner["kind"], owner["name"])
        workload = self._known.get(key)
        if workload is None or workload.owner["uid"] != owner["uid"]:
            workload = self._known[key] = self._begun(key, owner)
        self._of_pod[metadata["uid"]] = workload
        workload.running[metadata["uid"]] = {}
        return workload

    def _begun(self, key: Key, owner: Doc) -> Workload:
        """Going on where the WorkloadUsage of this very workload ends, if there is one."""
        workload = Workload(key, owner)
        doc = self._cache.get(kinds.WORKLOAD_USAGE, key.namespace, key.record) or {}
        owners = (doc.get("metadata") or {}).get("ownerReferences") or ()
        if any(one["uid"] == owner["uid"] for one in owners):
            for one in (doc.get("status") or {}).get("containers") or ():
                workload.seen[one["name"]] = containers.read(one)
        workload.told_until = max((one.last for one in workload.seen.values()), default=0.0)
        self._room -= len(workload.seen)
        return workload

    def _owner(self, pod: Doc) -> Doc | None:
        """The reference to the workload; None for pods that are nobody's, or of what is not known here."""
        owner = controller(pod)
        if owner is not None and owner["kind"] in _ABOVE:
            kind, above = _ABOVE[owner["kind"]]
            between = self._cache.get(kind, pod["metadata"]["namespace"], owner["name"])
            higher = controller(between) if between is not None else None
            if higher is not None and higher["kind"] == above:
                owner = higher
        return owner if owner is not None and owner["kind"] in _WORKLOADS else None

    def _container(self, workload: Workload, uid: str, name: str) -> Container | None:
        """None if there is no room for another one."""
        running = workload.running[uid]
        container = running.get(name)
        if container is None:
            seen = workload.seen.get(name)
            if seen is None:
                if self._room <= 0:
                    return None
                self._room -= 1
                seen = workload.seen[name] = Seen()
            container = running[name] = Container(seen)
        return container

    def _ran_out(self, workload: Workload, uid: str, name: str, request: int, at: float) -> None:
        container = self._container(workload, uid, name)
        if container is not None and at > max(container.killed, workload.told_until):
            container.ran_out(request, at)
            workload.changed = True

    def _let_go(self, workload: Workload) -> None:
        """What has no pods and is written needs no memory."""
        if (
            not workload.running
            and not workload.changed
            and self._known.get(workload.key) is workload
        ):
            del self._known[workload.key]
            self._room += len(workload.seen)


def _owned(owner: Doc) -> Doc:
    """So that it goes with the workload; it is no object of the workload's controller."""
    return {field: owner[field] for field in ("apiVersion", "kind", "name", "uid")}


def _kills(pod: Doc) -> Iterator[tuple[str, int, float]]:
    """Which containers were killed for want of memory the last time that they ended, what each requests
    of it, and when it was."""
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        for state in (status.get("state"), status.get("lastState")):
            ended = (state or {}).get("terminated")
            if ended and ended.get("reason") == "OOMKilled" and ended.get("finishedAt"):
                yield (
                    status["name"],
                    _memory(pod, status["name"]),
                    parse_rfc3339(ended["finishedAt"]),
                )


def _memory(pod: Doc, name: str) -> int:
    for one in pod["spec"]["containers"]:
        if one["name"] == name:
            return quantities.whole(
                ((one.get("resources") or {}).get("requests") or {}).get("memory", 0)
            )
    return 0
