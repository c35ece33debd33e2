"""What PodDisruptionBudgets still allow, as preemption respects it where it can. Pure.

Source: FilterVictimsWithPDBViolation of Kubernetes (pkg/scheduler/framework/preemption/util.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import Selector, from_doc
from longshore.machinery.scheduler.pods.kin import Kin
from longshore.machinery.scheduler.preemption.numbers import Classes
from longshore.machinery.scheduler.view.columns import Amounts, Rows

BudgetKey: TypeAlias = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True)
class Budget:
    """allowed: how many pods may still be disrupted. Neither an empty nor an absent selector (None)
    means any pod here, other than for evictions."""

    namespace: str
    selector: Selector | None
    allowed: int

    def covers(self, kin: Kin) -> bool:
        return (
            self.selector is not None
            and kin.namespace == self.namespace
            and self.selector.matches(kin.labels)
        )


@dataclass(frozen=True, slots=True)
class Covered:
    """Pods that budgets cover: which of those asked about, by which budget (one of two twice), and
    what each budget allows."""

    pod: Rows
    budget: Rows
    allowed: Amounts


class Budgets:
    """All budgets, by namespace and name."""

    def __init__(self) -> None:
        self._budgets: dict[BudgetKey, Budget] = {}

    def all(self) -> Mapping[BudgetKey, Budget]:
        """All as they are now."""
        return dict(self._budgets)

    def restore(self, budgets: Mapping[BudgetKey, Budget]) -> None:
        """Let them be as all() once told."""
        self._budgets = dict(budgets)

    def put(self, doc: Doc) -> Iterable[str]:
        """Note a budget as it is now; the keys of labels that its selector asks for."""
        metadata, status = doc["metadata"], doc.get("status") or {}
        selector = from_doc(doc["spec"].get("selector"))
        if selector is not None and selector.everything:
            selector = None
        key = (metadata["namespace"], metadata["name"])
        allowed = int(status.get("disruptionsAllowed", 0))
        self._budgets[key] = Budget(metadata["namespace"], selector, allowed)
        return [one.key for one in selector.requirements] if selector is not None else ()

    def drop(self, namespace: str, name: str) -> None:
        self._budgets.pop((namespace, name), None)

    def spend(self, kin: Kin) -> None:
        """A pod goes: until its budgets' next status they allow one less."""
        for key, budget in self._budgets.items():
            if budget.covers(kin):
                self._budgets[key] = replace(budget, allowed=budget.allowed - 1)

    def covering(self, classes: Classes, kind: Rows) -> Covered | None:
        """Of pods with the classes of some numbers, those that budgets cover; None if none are."""
        by_class = self._by_class(classes, set(kind.tolist())) if self._budgets else {}
        if not by_class:
            return None
        pairs = [
            (pod, budget) for pod, number in enumerate(kind.tolist())
            for budget in by_class.get(number, ())
        ]  # fmt: skip
        pod, budget = np.array(pairs, np.intp).T
        allowed = [one.allowed for one in self._budgets.values()]
        return Covered(pod, budget, np.array(allowed, np.int64))

    def _by_class(self, classes: Classes, numbers: set[int]) -> dict[int, tuple[int, ...]]:
        """The numbers of the budgets that cover a class, of those classes that any covers."""
        found = {}
        for number, one in classes:
            if number in numbers:
                mine = tuple(n for n, b in enumerate(self._budgets.values()) if b.covers(one.kin))
                if mine:
                    found[number] = mine
        return found
