"""Which nodes have which images, and how big those are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.view.columns import Scores


class ImageIndex:
    """Sizes in bytes by the name of an image and row. A pod asks only for its own images, so
    nothing grows with the images that nodes have but this index."""

    def __init__(self) -> None:
        self._sizes: dict[str, dict[int, int]] = {}
        self._names: dict[int, Mapping[str, int]] = {}

    @property
    def empty(self) -> bool:
        return not self._sizes

    def put(self, row: int, images: Iterable[Doc]) -> bool:
        """Note the images of a node (its status.images); whether that is news."""
        sizes = {
            name: int(one.get("sizeBytes") or 0)
            for one in images
            for name in one.get("names") or ()
        }
        if self._names.get(row, {}) == sizes:
            return False
        self.drop(row)
        self._names[row] = sizes
        for name, size in sizes.items():
            self._sizes.setdefault(name, {})[row] = size
        return True

    def drop(self, row: int) -> None:
        for name in self._names.pop(row, {}):
            rows = self._sizes[name]
            del rows[row]
            if not rows:
                del self._sizes[name]

    def spread_sizes(self, names: Iterable[str], size: int, nodes: int) -> Scores | None:
        """By row the bytes of these images that it has, each scaled by the share of nodes that have
        it, so that one node is not loved for what it alone has (scaledImageScore); None if no node
        has any."""
        total: Scores | None = None
        for name in names:
            if rows := self._sizes.get(name):
                total = np.zeros(size) if total is None else total
                share = len(rows) / nodes
                at = np.fromiter(rows, np.intp, len(rows))
                total[at] += np.fromiter(rows.values(), np.float64, len(rows)) * share
        return total
