"""What changes in the kernel when some services' rules change. Pure state: rules in, a Delta out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from longshore.machinery.network.services.plan import Front, Rule
from longshore.machinery.network.table import Key


@dataclass(frozen=True, slots=True)
class Swap:
    """A rule's chain as it was and as it is to be; at least one of them is there."""

    old: Rule | None
    new: Rule | None

    @property
    def name(self) -> str:
        rule = self.new or self.old
        assert rule is not None
        return rule.name


@dataclass(frozen=True, slots=True)
class Delta:
    """One transaction: map entries that go, chains that change, map entries that come. A front
    that changes hands is in both lists. Each entry is a front with its rule's name."""

    unlink: tuple[tuple[Front, str], ...] = ()
    swaps: tuple[Swap, ...] = ()
    link: tuple[tuple[Front, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.unlink or self.swaps or self.link)


class Book:
    """The rules that the kernel has.

    Two services may claim one front (an externalIP). The first name in order has it, so that all
    nodes agree, and the other gets it once the first is gone.
    """

    def __init__(self) -> None:
        self._rules: dict[Key, dict[str, Rule]] = {}
        self._claims: dict[Front, set[str]] = {}

    def rules(self) -> list[Rule]:
        return [rule for rules in self._rules.values() for rule in rules.values()]

    def whole(self) -> Delta:
        """Everything, for an empty kernel."""
        links = tuple((front, min(names)) for front, names in sorted(self._claims.items()))
        return Delta(swaps=tuple(Swap(None, rule) for rule in self.rules()), link=links)

    def change(self, updates: Mapping[Key, Iterable[Rule]]) -> Delta:
        """Take these services' rules as they are now (none for a service that is gone)."""
        before = {key: self._rules.get(key, {}) for key in updates}
        after = {key: {rule.name: rule for rule in rules} for key, rules in updates.items()}
        old = {name: rule for rules in before.values() for name, rule in rules.items()}
        new = {name: rule for rules in after.values() for name, rule in rules.items()}
        fronts = sorted({f for rule in (*old.values(), *new.values()) for f in rule.fronts})
        had = {front: self._owner(front) for front in fronts}
        self._store(after, old, new)
        have = {front: self._owner(front) for front in fronts}
        changed = {
            name for name in old.keys() | new.keys() if _differ(old.get(name), new.get(name))
        }
        return Delta(
            unlink=tuple((f, had[f]) for f in fronts if had[f] and had[f] != have[f]),
            swaps=tuple(Swap(old.get(name), new.get(name)) for name in sorted(changed)),
            link=tuple((f, have[f]) for f in fronts if have[f] and had[f] != have[f]),
        )

    def _owner(self, front: Front) -> str:
        return min(self._claims.get(front, ()), default="")

    def _store(
        self, after: Mapping[Key, dict[str, Rule]], old: dict[str, Rule], new: dict[str, Rule]
    ) -> None:
        for name, rule in old.items():
            for front in rule.fronts:
                self._claims[front].discard(name)
                if not self._claims[front]:
                    del self._claims[front]
        for name, rule in new.items():
            for front in rule.fronts:
                self._claims.setdefault(front, set()).add(name)
        for key, rules in after.items():
            if rules:
                self._rules[key] = rules
            else:
                self._rules.pop(key, None)


def _differ(old: Rule | None, new: Rule | None) -> bool:
    """Must the kernel's chain change? Fronts lie in maps, outside of it."""
    if old is None or new is None:
        return True
    return (old.protocol, old.targets, old.affinity_s) != (
        new.protocol,
        new.targets,
        new.affinity_s,
    )
