"""From what a store hands over to the objects of a cache."""

from __future__ import annotations

from longshore.core.objects.kinds import Kind, Kinds
from longshore.core.watch.stored import Stored


class Prefixes:
    """Which kind a key of the store belongs to."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = {kind.prefix: kind for kind in kinds.stored}

    def kind(self, key: str) -> Kind | None:
        """None for a kind that is not served any more."""
        return self._kinds.get(key[: key.index("/", key.index("/", 1) + 1) + 1])


class Loaded:
    """Takes what is in a store (see Take); found is all of it, by kind."""

    def __init__(self, kinds: Kinds) -> None:
        self._prefixes = Prefixes(kinds)
        self.found: dict[Kind, list[Stored]] = {kind: [] for kind in kinds.stored}

    def take(self, key: str, value: bytes, revision: int) -> None:
        kind = self._prefixes.kind(key)
        if kind is not None:
            self.found[kind].append(Stored.read(kind, key, value, revision))
