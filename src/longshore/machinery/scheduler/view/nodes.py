"""What the parts of the view ask of its nodes."""

from __future__ import annotations

from typing import Protocol

from longshore.machinery.scheduler.pods.demand import Term
from longshore.machinery.scheduler.view.columns import Mask


class Nodes(Protocol):
    """The nodes by their labels. shape changes whenever an answer may. rows: by name;
    names: by row."""

    shape: int
    names: list[str]
    rows: dict[str, int]

    @property
    def size(self) -> int: ...

    @property
    def alive(self) -> Mask: ...

    def matching(self, requirements: Term) -> Mask: ...
