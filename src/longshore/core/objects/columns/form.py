"""What a table is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from longshore.core.objects.kinds import Doc
from longshore.core.objects.spans import NONE, Since, since


@dataclass(frozen=True, slots=True)
class Column:
    """One column; priority above 0 is shown with -o wide only."""

    name: str
    type: str = "string"
    priority: int = 0
    format: str = ""
    path: tuple[str, ...] = ()

    def definition(self) -> Doc:
        """As metav1.TableColumnDefinition."""
        return {
            "name": self.name, "type": self.type, "format": self.format,
            "description": "", "priority": self.priority,
        }  # fmt: skip


Calculated: TypeAlias = Callable[[Doc], list[Any]]
"""The cells of the columns that are neither Name nor Age and have no path; Since for an age."""


@dataclass(frozen=True, slots=True)
class Printer:
    """A kind's columns, and the cells of one object under them."""

    columns: tuple[Column, ...]
    calculated: Calculated

    def cells(self, doc: Doc) -> list[Any]:
        """Good as long as the object does not change: ages are Since."""
        given = iter(self.calculated(doc))
        return [_cell(column, doc, given) for column in self.columns]


def told(cells: list[Any], now: float) -> list[Any]:
    """Cells as they are shown at a moment."""
    return [cell.text(now) if type(cell) is Since else cell for cell in cells]


def _cell(column: Column, doc: Doc, given: Iterator[Any]) -> Any:
    if column.format == "name":
        return doc["metadata"]["name"]
    if column.name == "Age":
        return since(doc["metadata"].get("creationTimestamp"))
    return _at(doc, column) if column.path else next(given)


def _at(doc: Doc, column: Column) -> Any:
    value: Any = doc
    for step in column.path:
        value = (value or {}).get(step)
    if column.type == "string":
        return NONE if value is None else str(value)
    return {"integer": 0, "boolean": False}[column.type] if value is None else value


def selector_text(selector: Doc | None) -> str:
    """A label selector as kubectl shows it (metav1.FormatLabelSelector)."""
    selector = selector or {}
    parts = [f"{k}={v}" for k, v in sorted((selector.get("matchLabels") or {}).items())]
    for one in selector.get("matchExpressions") or ():
        key, values = one.get("key", ""), ",".join(sorted(one.get("values") or ()))
        forms = {
            "In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})",
            "Exists": key, "DoesNotExist": f"!{key}",
        }  # fmt: skip
        parts.append(forms.get(one.get("operator", ""), key))
    return ",".join(parts) or NONE
