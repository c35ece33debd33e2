"""The cluster in columns: one row a node, kept up to date change by change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from longshore.core.objects.constraints import ATTRIBUTES
from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import Requirement
from longshore.core.objects.taints import Taint, taints_of
from longshore.machinery.scheduler.pods.demand import NODE_NAME
from longshore.machinery.scheduler.pods.kin import Query
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.pods.ports import Port
from longshore.machinery.scheduler.view.columns import PODS, Amounts, Mask, Scores
from longshore.machinery.scheduler.view.devices import DeviceView
from longshore.machinery.scheduler.view.images import ImageIndex
from longshore.machinery.scheduler.view.labels import LabelIndex
from longshore.machinery.scheduler.view.loads import SCORED, Loads
from longshore.machinery.scheduler.view.ports import HostPorts
from longshore.machinery.scheduler.view.services import ServiceIndex
from longshore.machinery.scheduler.view.tallies import Counts, Tallies
from longshore.machinery.scheduler.view.topologies import Topologies, Topology
from longshore.machinery.scheduler.view.volumes import VolumeView

T = TypeVar("T")

_FIRST_ROOM = 64
# Bytes of answers about the nodes' shape that are remembered, if each were a column of numbers.
_ANSWERS_BYTES = 2**27
# Fewer pods than that are changed one by one.
_FEW = 16


class ClusterView:
    """All nodes and what is on them. shape counts changes of what nodes are (labels, taints,
    cordons, amounts, coming and going), so that answers about a demand can be kept while it stands."""

    def __init__(self) -> None:
        self.shape = 0
        self.names: list[str] = []
        self.rows: dict[str, int] = {}
        self.loads = Loads(_FIRST_ROOM)
        self.tallies = Tallies()
        self.taint_sets: list[tuple[Taint, ...]] = [()]
        self._taint_ids: dict[tuple[Taint, ...], int] = {(): 0}
        self._alive: Mask = np.zeros(_FIRST_ROOM, np.bool_)
        self._cordoned: Mask = np.zeros(_FIRST_ROOM, np.bool_)
        self._taints: Amounts = np.zeros(_FIRST_ROOM, np.int64)
        self._free_rows: list[int] = []
        self._docs: dict[int, tuple[Any, ...]] = {}
        self._labels = LabelIndex()
        self._topologies = Topologies()
        self.ports = HostPorts()
        self.images = ImageIndex()
        self.volumes = VolumeView(self)
        self.devices = DeviceView(self)
        self.services = ServiceIndex()
        self._answers: dict[Hashable, Any] = {}
        self._pods: dict[str, tuple[str, PodClass]] = {}
        self._on_node: dict[str, set[str]] = {}

    # --- columns, one entry a row (rows that stand empty have alive False) ---

    @property
    def size(self) -> int:
        return len(self.names)

    @property
    def resources(self) -> Mapping[str, int]:
        """The column of each resource."""
        return self.loads.resources

    @property
    def allocatable(self) -> Amounts:
        return self.loads.allocatable[:, : self.size]

    @property
    def used(self) -> Scores:
        return self.loads.taken[SCORED:, : self.size]

    @property
    def free(self) -> Amounts:
        """What is not used; negative where nodes shrank."""
        return self.loads.free[:, : self.size]

    @property
    def scored(self) -> Scores:
        """cpu and memory in use as scores count them."""
        return self.loads.taken[:SCORED, : self.size]

    @property
    def parts(self) -> Scores:
        """The reciprocal of allocatable, 0 where there is none."""
        return self.loads.parts[SCORED:, : self.size]

    @property
    def alive(self) -> Mask:
        return self._alive[: self.size]

    @property
    def cordoned(self) -> Mask:
        return self._cordoned[: self.size]

    @property
    def taints(self) -> Amounts:
        """Which of taint_sets each node has."""
        return self._taints[: self.size]

    # --- nodes and namespaces ---

    def put_node(self, node: Doc) -> int | None:
        """Note a node as it is now; its row, or None if nothing changed that placement sees."""
        name = node["metadata"]["name"]
        seen = (_traits(node), node.get("spec"), _allocatable(node))
        row = self.rows.get(name)
        if row is None:
            row = self._new_row(name)
        self.images.put(row, (node.get("status") or {}).get("images") or ())
        before = self._docs.get(row)
        if before == seen:
            return None
        self._docs[row] = seen
        self.loads.set_allocatable(row, seen[2])
        if before is None or before[:2] != seen[:2]:
            self._set_shape(row, node, before)
        self._reshape()
        return row

    def drop_node(self, name: str) -> None:
        """Forget a node. Its pods stay noted under its name, should it come back."""
        row = self.rows.pop(name, None)
        if row is None:
            return
        for uid in self._on_node.get(name, ()):
            self.hold(row, self._pods[uid][1], -1)
        self._labels.remove(row, _named(self._docs.pop(row)[0], name))
        self.images.drop(row)
        self._alive[row] = False
        self.loads.set_allocatable(row, {})
        self.names[row] = ""
        self._free_rows.append(row)
        self._reshape()

    def put_namespace(self, name: str, labels: Mapping[str, str]) -> bool:
        """Note the labels of a namespace; whether that is news."""
        return self.tallies.put_namespace(name, labels)

    def drop_namespace(self, name: str) -> None:
        self.tallies.drop_namespace(name)

    # --- pods ---

    def put_pod(self, uid: str, node: str, pod_class: PodClass) -> int | None:
        """Note a pod on its node. The row that it left, if it was noted elsewhere or otherwise."""
        known = self._pods.get(uid)
        if known == (node, pod_class):
            return None
        left = self.drop_pod(uid) if known is not None else None
        self._pods[uid] = (node, pod_class)
        self._on_node.setdefault(node, set()).add(uid)
        row = self.rows.get(node)
        if row is not None:
            self.hold(row, pod_class, 1)
        return left

    def drop_pod(self, uid: str) -> int | None:
        """Forget a pod; the row that has room again, if it was on one."""
        known = self._pods.pop(uid, None)
        if known is None:
            return None
        node, pod_class = known
        there = self._on_node[node]
        there.discard(uid)
        if not there:
            del self._on_node[node]
        row = self.rows.get(node)
        if row is not None:
            self.hold(row, pod_class, -1)
        return row

    def put_pods(self, uids: Sequence[str], rows: Sequence[int], pod_class: PodClass) -> None:
        """Note many new pods of one class at once."""
        for uid, row in zip(uids, rows, strict=True):
            assert uid not in self._pods, uid
            node = self.names[row]
            self._pods[uid] = (node, pod_class)
            self._on_node.setdefault(node, set()).add(uid)
        self.hold_all(rows, pod_class, 1)

    def hold(self, row: int, pod_class: PodClass, count: int) -> None:
        """Count so many more (or with a negative count fewer) pods of a class on a row, without
        noting which: what is held is to be released."""
        self.loads.add(row, pod_class, count)
        self.tallies.add(pod_class, {row: count})
        if pod_class.claims:
            self.volumes.use(row, pod_class.claims, count)
        if pod_class.ports:
            self.ports.add(row, pod_class.ports, count)

    def hold_all(self, rows: Sequence[int], pod_class: PodClass, count: int) -> None:
        """hold() for each entry of rows."""
        if len(rows) < _FEW or pod_class.ports or pod_class.claims:
            for row in rows:
                self.hold(row, pod_class, count)
            return
        changes = {row: number * count for row, number in Counter(rows).items()}
        counts = np.fromiter(changes.values(), np.int64)
        self.loads.add_many(np.fromiter(changes, np.intp), counts, pod_class)
        self.tallies.add(pod_class, changes)

    # --- questions ---

    def node_of(self, uid: str) -> str:
        """Where a pod is noted; empty if it is not."""
        known = self._pods.get(uid)
        return "" if known is None else known[0]

    def class_of(self, uid: str) -> PodClass | None:
        """What a pod is that is noted; None if it is not."""
        known = self._pods.get(uid)
        return None if known is None else known[1]

    def pods_on(self, node: str) -> dict[str, PodClass]:
        """The pods that are noted on a node, by uid."""
        return {uid: self._pods[uid][1] for uid in self._on_node.get(node, ())}

    def labels_of(self, row: int) -> Mapping[str, str]:
        """The labels of a node, and its name under NODE_NAME."""
        return _named(self._docs[row][0], self.names[row])

    def request(self, pod_class: PodClass) -> list[tuple[int, int]] | None:
        """(column, amount) of what one pod takes; None if no node has ever offered such a thing."""
        wanted = [(PODS, 1)]
        for name, value in pod_class.requests.items():
            column = self.resources.get(name)
            if column is None:
                return None
            wanted.append((column, value))
        return wanted

    def matching(self, requirements: Sequence[Requirement]) -> Mask:
        """The rows whose labels meet all requirements."""
        return self._labels.meeting(requirements, self.alive)

    def having(self, key: str) -> Mapping[str, Iterable[int]]:
        """The rows that have a label or trait, by its value."""
        return self._labels.having(key)

    def topology(self, key: str) -> Topology:
        """The domains of a label's key."""
        return self._topologies.of(key, self._labels.having(key), self.size)

    def counts(self, query: Query) -> Counts:
        """The pods that a query means, by row."""
        return self.tallies.matching(query)

    def column(self, counts: Counts) -> Amounts:
        """Counts, one a row."""
        return self.tallies.column(counts, self.size)

    def ports_taken(self, ports: Sequence[Port]) -> Mask:
        """The rows where one of these host ports is in use."""
        return self.ports.taken(ports, self.size)

    def remembered(self, question: Hashable, answer: Callable[[], T]) -> T:
        """An answer that depends on the shape alone: found once for as long as that stands."""
        found: T | None = self._answers.get(question)
        if found is None:
            if len(self._answers) * 8 * self.size > _ANSWERS_BYTES:
                self._answers.clear()
            found = self._answers[question] = answer()
        return found

    # --- within ---

    def _new_row(self, name: str) -> int:
        if self._free_rows:
            row = self._free_rows.pop()
            self.names[row] = name
        else:
            row = len(self.names)
            self.names.append(name)
            if row == len(self._alive):
                self._grow()
        self.rows[name] = row
        self._alive[row] = True
        for uid in self._on_node.get(name, ()):
            self.hold(row, self._pods[uid][1], 1)
        return row

    def _grow(self) -> None:
        self.loads.grow()
        for name in ("_alive", "_cordoned", "_taints"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros_like(column)]))

    def _set_shape(self, row: int, node: Doc, before: tuple[Any, ...] | None) -> None:
        taints, name = taints_of(node), self.names[row]
        if before is not None:
            self._labels.remove(row, _named(before[0], name))
        self._labels.add(row, _named(self._docs[row][0], name))
        if taints not in self._taint_ids:
            self._taint_ids[taints] = len(self.taint_sets)
            self.taint_sets.append(taints)
        self._taints[row] = self._taint_ids[taints]
        self._cordoned[row] = bool((node.get("spec") or {}).get("unschedulable"))

    def _reshape(self) -> None:
        self.shape += 1
        self._answers.clear()
        self._topologies.forget()


def _named(labels: Mapping[str, str], name: str) -> Mapping[str, str]:
    return {**labels, NODE_NAME: name}


def _traits(node: Doc) -> Mapping[str, str]:
    """What constraints may ask of a node: its labels and, under names that no label can have, what
    its agent says of it."""
    info = (node.get("status") or {}).get("nodeInfo") or {}
    told = {name: info[field] for name, field in ATTRIBUTES.items() if info.get(field)}
    return {**(node["metadata"].get("labels") or {}), **told}


def _allocatable(node: Doc) -> Doc:
    status = node.get("status") or {}
    return status.get("allocatable") or status.get("capacity") or {}
