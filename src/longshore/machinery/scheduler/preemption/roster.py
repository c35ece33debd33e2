"""Who is on which node, in columns: one slot a pod, kept up to date change by change.

The view counts what nodes carry; this tells the pods of it apart, by what preemption goes by.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.preemption.numbers import Classes, Numbers
from longshore.machinery.scheduler.view.columns import Amounts, Mask, Rows

Times: TypeAlias = NDArray[np.float64]
# When a pod that has not started yet will have started: after all others.
NOT_STARTED = float("inf")
_FIRST_ROOM = 256


class Resident(NamedTuple):
    """A pod on a node, or one that a node is kept for. start is in seconds since the epoch.
    free: taking it away costs nothing, since it leaves anyhow, or is not there yet. generation:
    metadata.generation, which changes with the spec; None while the status counts too."""

    namespace: str
    name: str
    node: str
    pod_class: PodClass
    priority: int
    start: float = NOT_STARTED
    free: bool = False
    generation: int | None = 0


class Roster:
    """All residents. Noting one costs next to nothing: the columns are brought up to date by look(),
    when somebody wants to know. Slots of those who left have priority VACANT, above every pod's."""

    VACANT = np.iinfo(np.int64).max

    def __init__(self) -> None:
        self.nodes: Numbers[str] = Numbers()
        self.classes = Classes()
        self.uids: list[str] = []
        self._residents: dict[str, Resident] = {}
        self._changed: dict[str, None] = {}
        self._slots: dict[str, int] = {}
        self._unused: list[int] = []
        self._node: Rows = np.zeros(_FIRST_ROOM, np.intp)
        self._kind: Rows = np.zeros(_FIRST_ROOM, np.intp)
        self._priority: Amounts = np.full(_FIRST_ROOM, self.VACANT, np.int64)
        self._start: Times = np.zeros(_FIRST_ROOM, np.float64)
        self._free: Mask = np.zeros(_FIRST_ROOM, np.bool_)

    def __len__(self) -> int:
        return len(self._residents)

    def get(self, uid: str) -> Resident | None:
        return self._residents.get(uid)

    def put(self, uid: str, resident: Resident) -> None:
        """Note a pod as it is now."""
        if self._residents.get(uid) != resident:
            self._residents[uid] = resident
            self._changed[uid] = None

    def drop(self, uid: str) -> None:
        """Forget a pod, if it is known."""
        if self._residents.pop(uid, None) is not None:
            self._changed[uid] = None

    def look(self) -> None:
        """Bring the columns up to date."""
        for uid in self._changed:
            slot = self._slots.get(uid)
            if slot is not None:
                self._vacate(slot)
            resident = self._residents.get(uid)
            if resident is not None:
                self._fill(self._free_slot() if slot is None else slot, uid, resident)
            elif slot is not None:
                del self._slots[uid]
                self.uids[slot] = ""
                self._unused.append(slot)
        self._changed.clear()

    # --- columns, one entry a slot ---

    @property
    def node(self) -> Rows:
        """The number of its node, in nodes."""
        return self._node[: len(self.uids)]

    @property
    def kind(self) -> Rows:
        """The number of its class, in classes."""
        return self._kind[: len(self.uids)]

    @property
    def priority(self) -> Amounts:
        return self._priority[: len(self.uids)]

    @property
    def start(self) -> Times:
        return self._start[: len(self.uids)]

    @property
    def free(self) -> Mask:
        return self._free[: len(self.uids)]

    def _fill(self, slot: int, uid: str, resident: Resident) -> None:
        self._slots[uid], self.uids[slot] = slot, uid
        self._node[slot] = self.nodes.take(resident.node)
        self._kind[slot] = self.classes.take(resident.pod_class)
        self._priority[slot], self._start[slot] = resident.priority, resident.start
        self._free[slot] = resident.free

    def _vacate(self, slot: int) -> None:
        self.nodes.give_back(int(self._node[slot]))
        self.classes.give_back(int(self._kind[slot]))
        self._priority[slot] = self.VACANT

    def _free_slot(self) -> int:
        if self._unused:
            return self._unused.pop()
        slot = len(self.uids)
        self.uids.append("")
        if slot == len(self._node):
            self._grow()
        return slot

    def _grow(self) -> None:
        for name in ("_node", "_kind", "_priority", "_start", "_free"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros_like(column)]))
