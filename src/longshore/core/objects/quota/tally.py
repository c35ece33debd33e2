"""One quota's book: what each object of its namespace uses of it, and the sums.

An object's entry is set, never added to, so that it does not matter how often it is heard of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from longshore.base.clock import parse_rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.quota.amounts import ZERO, Amount, Amounts, plus, read, said
from longshore.core.objects.quota.scopes import matches, selectors_of
from longshore.core.objects.quota.usage import concerns, usage_of

# What every container has to name if a quota limits it: a mistake of old that is kept
# (pkg/quota/v1/evaluator/core/pods.go: validationSet).
_REQUIRED = frozenset((
    "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory",
))  # fmt: skip


class Tally:
    """The book of one ResourceQuota, for as long as its spec stays as it is."""

    def __init__(self, quota: Doc) -> None:
        self.spec: Doc = quota.get("spec") or {}
        self.name: str = quota["metadata"]["name"]
        self.hard = read(self.spec.get("hard"))
        self.used: Amounts = dict.fromkeys(self.hard, ZERO)
        self._selectors = selectors_of(self.spec)
        self._entries: dict[str, Amounts] = {}
        # Pods that should be gone: they count until their time is up, and no longer.
        self._leaving: dict[str, float] = {}
        self._kinds: dict[Kind, bool] = {}
        self._required = [(name, *_side(name)) for name in sorted(self.hard.keys() & _REQUIRED)]

    def counts(self, kind: Kind) -> bool:
        """Whether objects of the kind may be in this book."""
        known = self._kinds.get(kind)
        if known is None:
            known = self._kinds[kind] = concerns(kind, self.hard)
        return known

    def usage(self, kind: Kind, doc: Doc) -> Amounts:
        """What the object uses of this quota."""
        if not matches(self._selectors, kind, doc):
            return {}
        return {
            name: amount
            for name, amount in usage_of(kind, doc).items()
            if name in self.hard and amount.value
        }

    def put(self, kind: Kind, key: str, doc: Doc) -> bool:
        """The object is like that; whether the sums changed."""
        if kind is kinds.POD and "deletionTimestamp" in doc["metadata"]:
            self._leaving[key] = _end_of(doc)
        return self.enter(key, self.usage(kind, doc))

    def drop(self, key: str) -> bool:
        """The object is gone; whether the sums changed."""
        self._leaving.pop(key, None)
        return self.enter(key, {})

    def expire(self, now: float) -> float | None:
        """Forget pods whose time to leave is over; when the next one's is (None: never)."""
        for key in [key for key, end in self._leaving.items() if end < now]:
            entry = self._entries.get(key, {})
            # It is still an object, and is counted as one.
            kept = {name: one for name, one in entry.items() if name.startswith("count/")}
            del self._leaving[key]
            self.enter(key, kept)
        return min(self._leaving.values(), default=None)

    def enter(self, key: str, entry: Amounts) -> bool:
        """The object uses that; whether the sums changed."""
        before = self._entries.get(key, {})
        if entry == before:
            return False
        for name in {*before, *entry}:
            without = plus(self.used[name], before.get(name, ZERO), -1)
            self.used[name] = plus(without, entry.get(name, ZERO))
        if entry:
            self._entries[key] = entry
        else:
            del self._entries[key]
        return True

    # --- what may be added ---

    def refusal(
        self, kind: Kind, key: str, doc: Doc, old: Doc | None, wanted: Amounts, now: float
    ) -> str:
        """Why the object may not be stored in place of the old one; "" if it may. wanted is its usage;
        now is in seconds since the epoch."""
        before = self._entries.get(key, {})
        if old is not None and self._is_same(kind, wanted, doc, old):
            return ""
        more = {
            name: Amount(amount.value - before.get(name, ZERO).value, amount.binary)
            for name, amount in wanted.items()
            if amount.value > before.get(name, ZERO).value
        }
        if not more and not matches(self._selectors, kind, doc):
            return ""
        if kind is kinds.POD and (unnamed := self._unnamed(doc)):
            return f"failed quota: {self.name}: must specify {unnamed}"
        if not self._exceeded(more):
            return ""
        self.expire(now)
        over = self._exceeded(more)
        if not over:
            return ""
        requested, used, limited = (
            said({name: amounts[name] for name in over}) for amounts in (more, self.used, self.hard)
        )
        return (
            f"exceeded quota: {self.name}, requested: {requested}, used: {used}, limited: {limited}"
        )

    def _is_same(self, kind: Kind, wanted: Amounts, doc: Doc, old: Doc) -> bool:
        """Whether the quota has nothing to say about a change."""
        judged = [matches(self._selectors, kind, one) for one in (doc, old)]
        return judged[0] == judged[1] and wanted == self.usage(kind, old)

    def _exceeded(self, more: Mapping[str, Amount]) -> list[str]:
        return [
            name
            for name, amount in more.items()
            if self.used[name].value + amount.value > self.hard[name].value
        ]

    def _unnamed(self, pod: Doc) -> str:
        """What containers have to name and do not: "limits.cpu for: a,b; memory for: a"."""
        spec = pod["spec"]
        if not self._required or any((spec.get("resources") or {}).values()):
            return ""
        missing: dict[str, list[str]] = {}
        for container in (*spec.get("containers", ()), *(spec.get("initContainers") or ())):
            resources = container.get("resources") or {}
            for name, side, bare in self._required:
                if bare not in (resources.get(side) or ()):
                    missing.setdefault(name, []).append(container["name"])
        return "; ".join(
            f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing)
        )


def fill(tally: Tally, kind: Kind, found: Iterable[tuple[str, Doc]]) -> None:
    """Take in all objects of a kind, by key."""
    if tally.counts(kind):
        for key, doc in found:
            tally.put(kind, key, doc)


def _side(name: str) -> tuple[str, str]:
    """requests or limits, and the resource there: "limits.cpu" is cpu of limits."""
    side, dot, bare = name.partition(".")
    return (side, bare) if dot else ("requests", name)


def _end_of(pod: Doc) -> float:
    metadata = pod["metadata"]
    grace = metadata.get("deletionGracePeriodSeconds") or 0
    return parse_rfc3339(metadata["deletionTimestamp"]) + grace
