"""The columns that kubectl get shows of each kind. Pure: how long ago something was is made text
when a table is shown, so that cells can be kept.

A kind's row in the table names its columns. Name stands before them all, Age and whatever has a
path is found here, and the cells of the others come from the kind's function, in their order:

    Status,Age|Node            Node is shown with -o wide only
    Data:integer               a column's type, if it is not a string
    Holder=.spec.holderIdentity  where the value stands, if it need not be calculated

Source: pkg/printers/internalversion/printers.go; what an operator reads off them must be the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from longshore.core.objects import kinds
from longshore.core.objects.columns import (
    access,
    claims,
    cluster,
    measured,
    network,
    platform,
    storage,
    workloads,
)
from longshore.core.objects.columns.form import Calculated, Column, Printer
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.pod_status import pod_cells


@cache
def printer(kind: Kind) -> Printer:
    """The form of a kind's table."""
    shown = tuple(_columns(kind.columns))
    if all(column.name != "Name" for column in shown):  # events tell their name last
        shown = (Column("Name", format="name"), *shown)
    return Printer(shown, _CALCULATED.get((kind.hub or kind).schema, _nothing))


def _columns(text: str) -> Iterator[Column]:
    for priority, half in enumerate(text.split("|")):
        for word in filter(None, half.split(",")):
            head, _, path = word.strip().partition("=")
            name, *marks = head.split(":")
            wide = "wide" in marks
            typed = [mark for mark in marks if mark != "wide"]
            steps = tuple(path.lstrip(".").split(".")) if path else ()
            yield Column(name, typed[0] if typed else "string", priority or int(wide), path=steps)


def _nothing(doc: Doc) -> list[Any]:
    return []


_CALCULATED: dict[str, Calculated] = {
    kinds.POD.schema: pod_cells,
    **workloads.CALCULATED,
    **network.CALCULATED,
    **cluster.CALCULATED,
    **claims.CALCULATED,
    **storage.CALCULATED,
    **access.CALCULATED,
    **platform.CALCULATED,
    **measured.CALCULATED,
}
