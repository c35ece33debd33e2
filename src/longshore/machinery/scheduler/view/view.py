"""The cluster in columns: one row a node, kept up to date change by change.

Amounts are int64: cpu in millis, memory and storage in bytes, all else in whole units. A row's
load is exactly the sum of the pods that are noted on it, so that taking a pod away restores it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import Requirement
from longshore.machinery.scheduler.pods.demand import NODE_NAME
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.pods.ports import ANY_ADDRESS, Port
from longshore.machinery.scheduler.pods.requests import amount
from longshore.machinery.scheduler.taints import Taint, taints_of
from longshore.machinery.scheduler.view.columns import CPU, MEMORY, PODS, STORAGE, Amounts, Mask

ZONE = "topology.kubernetes.io/zone"
_FIRST_ROOM = 64


class ClusterView:
    """All nodes and what is on them. shape counts changes of what nodes are (labels, taints,
    cordons, coming and going), so that answers about a class can be kept while it stands."""

    def __init__(self) -> None:
        self.shape = 0
        self.names: list[str] = []
        self.rows: dict[str, int] = {}
        self.resources: dict[str, int] = {
            "cpu": CPU,
            "memory": MEMORY,
            "pods": PODS,
            "ephemeral-storage": STORAGE,
        }
        self._allocatable: Amounts = np.zeros((4, _FIRST_ROOM), np.int64)
        self._used: Amounts = np.zeros((4, _FIRST_ROOM), np.int64)
        self._scored: Amounts = np.zeros((2, _FIRST_ROOM), np.int64)
        self._alive: Mask = np.zeros(_FIRST_ROOM, np.bool_)
        self._cordoned: Mask = np.zeros(_FIRST_ROOM, np.bool_)
        self._taints: Amounts = np.zeros(_FIRST_ROOM, np.int64)
        self._zones: Amounts = np.zeros(_FIRST_ROOM, np.int64)
        self._free: list[int] = []
        self._docs: dict[int, tuple[Any, ...]] = {}
        self.taint_sets: list[tuple[Taint, ...]] = [()]
        self._taint_ids: dict[tuple[Taint, ...], int] = {(): 0}
        self._zone_ids: dict[str, int] = {"": 0}
        self._labels: dict[str, dict[str, set[int]]] = {}
        self._pods: dict[str, tuple[str, PodClass]] = {}
        self._on_node: dict[str, set[str]] = {}
        self._groups: dict[str, Counter[int]] = {}
        self._ports: dict[tuple[str, int], dict[int, Counter[str]]] = {}

    # --- columns, one entry a row (rows that stand empty have alive False) ---

    @property
    def size(self) -> int:
        return len(self.names)

    @property
    def allocatable(self) -> Amounts:
        return self._allocatable[:, : self.size]

    @property
    def used(self) -> Amounts:
        return self._used[:, : self.size]

    @property
    def scored(self) -> Amounts:
        """cpu and memory in use as scores count them."""
        return self._scored[:, : self.size]

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

    @property
    def zones(self) -> Amounts:
        """A number for each zone; 0 for nodes in none."""
        return self._zones[: self.size]

    # --- nodes ---

    def put_node(self, node: Doc) -> int | None:
        """Note a node as it is now; its row, or None if nothing changed that placement sees."""
        name = node["metadata"]["name"]
        seen = (node["metadata"].get("labels"), node["spec"], _allocatable(node))
        row = self.rows.get(name)
        if row is None:
            row = self._new_row(name)
        elif self._docs[row] == seen:
            return None
        before = self._docs.get(row)
        self._docs[row] = seen
        self._set_allocatable(row, seen[2])
        if before is None or before[:2] != seen[:2]:
            self._set_shape(row, node, before)
        return row

    def drop_node(self, name: str) -> None:
        """Forget a node. Its pods stay noted under its name, should it come back."""
        row = self.rows.pop(name, None)
        if row is None:
            return
        for uid in self._on_node.get(name, ()):
            self._load(row, self._pods[uid][1], -1)
        self._relabel(row, name, self._docs.pop(row)[0], None)
        self._alive[row] = False
        self._allocatable[:, row] = 0
        self.names[row] = ""
        self._free.append(row)
        self.shape += 1

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
            self._load(row, pod_class, 1)
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
            self._load(row, pod_class, -1)
        return row

    def put_pods(self, uids: Sequence[str], rows: Sequence[int], pod_class: PodClass) -> None:
        """Note many new pods of one class at once."""
        for uid, row in zip(uids, rows, strict=True):
            assert uid not in self._pods, uid
            node = self.names[row]
            self._pods[uid] = (node, pod_class)
            self._on_node.setdefault(node, set()).add(uid)
        for row, count in Counter(rows).items():
            self._load(row, pod_class, count)

    # --- questions ---

    def node_of(self, uid: str) -> str:
        """Where a pod is noted; empty if it is not."""
        known = self._pods.get(uid)
        return "" if known is None else known[0]

    def group_counts(self, group: str) -> Amounts:
        """How many pods of a group each row has."""
        counts = np.zeros(self.size, np.int64)
        known = self._groups.get(group)
        if known:
            counts[list(known)] = list(known.values())
        return counts

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
        mask = self.alive.copy()
        for one in requirements:
            mask &= self._meeting(one)
        return mask

    def ports_taken(self, ports: Sequence[Port]) -> Mask:
        """The rows where one of these host ports is in use."""
        taken = np.zeros(self.size, np.bool_)
        for protocol, address, port in ports:
            for row, addresses in self._ports.get((protocol, port), {}).items():
                everywhere = ANY_ADDRESS in (address, *addresses)
                taken[row] |= everywhere or address in addresses
        return taken

    # --- within ---

    def _meeting(self, one: Requirement) -> Mask:
        by_value = self._labels.get(one.key, {})
        if one.operator == "notin":
            values = [value for value in by_value if value in one.values]
        elif one.operator == "!":
            values = list(by_value)
        else:
            values = [value for value in by_value if one.matches({one.key: value})]
        mask = np.zeros(self.size, np.bool_)
        for value in values:
            mask[list(by_value[value])] = True
        return ~mask if one.operator in ("notin", "!") else mask

    def _new_row(self, name: str) -> int:
        if self._free:
            row = self._free.pop()
            self.names[row] = name
        else:
            row = len(self.names)
            self.names.append(name)
            if row == len(self._alive):
                self._grow()
        self.rows[name] = row
        self._alive[row] = True
        for uid in self._on_node.get(name, ()):
            self._load(row, self._pods[uid][1], 1)
        return row

    def _grow(self) -> None:
        for name in ("_allocatable", "_used", "_scored"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros_like(column)], axis=1))
        for name in ("_alive", "_cordoned", "_taints", "_zones"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros_like(column)]))

    def _set_allocatable(self, row: int, amounts: Doc) -> None:
        for name in amounts:
            self._column(name)
        self._allocatable[:, row] = 0
        for name, text in amounts.items():
            self._allocatable[self.resources[name], row] = amount(name, text)

    def _column(self, resource: str) -> int:
        """The column of a resource; a new one for an extended resource seen the first time."""
        column = self.resources.get(resource)
        if column is None:
            column = self.resources[resource] = len(self.resources)
            for name in ("_allocatable", "_used"):
                old = getattr(self, name)
                setattr(self, name, np.concatenate([old, np.zeros_like(old[:1])]))
        return column

    def _set_shape(self, row: int, node: Doc, before: tuple[Any, ...] | None) -> None:
        labels = node["metadata"].get("labels") or {}
        taints = taints_of(node)
        self._relabel(row, self.names[row], before[0] if before else None, labels)
        if taints not in self._taint_ids:
            self._taint_ids[taints] = len(self.taint_sets)
            self.taint_sets.append(taints)
        self._taints[row] = self._taint_ids[taints]
        self._cordoned[row] = bool(node["spec"].get("unschedulable"))
        self._zones[row] = self._zone_ids.setdefault(labels.get(ZONE, ""), len(self._zone_ids))
        self.shape += 1

    def _relabel(self, row: int, name: str, old: Doc | None, new: Doc | None) -> None:
        if old is not None or new is None:
            for key, value in {**(old or {}), NODE_NAME: name}.items():
                by_value = self._labels[key]
                by_value[value].discard(row)
                if not by_value[value]:
                    del by_value[value]
        if new is not None:
            for key, value in {**new, NODE_NAME: name}.items():
                self._labels.setdefault(key, {}).setdefault(value, set()).add(row)

    def _load(self, row: int, pod_class: PodClass, count: int) -> None:
        """Add (or with a negative count take away) pods of a class to a row."""
        self._used[PODS, row] += count
        for name, value in pod_class.requests.items():
            self._used[self._column(name), row] += count * value
        self._scored[0, row] += count * pod_class.scored[0]
        self._scored[1, row] += count * pod_class.scored[1]
        if pod_class.group:
            _count(self._groups.setdefault(pod_class.group, Counter()), row, count)
            if not self._groups[pod_class.group]:
                del self._groups[pod_class.group]
        for protocol, address, port in pod_class.ports:
            by_row = self._ports.setdefault((protocol, port), {})
            _count(by_row.setdefault(row, Counter()), address, count)
            if not by_row[row]:
                del by_row[row]


def _count(counter: Counter[Any], key: Any, count: int) -> None:
    counter[key] += count
    if not counter[key]:
        del counter[key]


def _allocatable(node: Doc) -> Doc:
    status = node.get("status") or {}
    return status.get("allocatable") or status.get("capacity") or {}
