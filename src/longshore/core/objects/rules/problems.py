"""The words of a refusal, and where it points. Source: apimachinery/pkg/util/validation/field.

Nearly every document is good, so a path is a chain of tuples that costs next to nothing to extend
and becomes text only when there is something to say:

    ports = (spec, "ports")      spec.ports
    (ports, 0)                   spec.ports[0]
    (labels, "[app]")            metadata.labels[app]
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeAlias

import orjson

from longshore.core.objects import names
from longshore.core.objects.errors import Cause
from longshore.core.objects.kinds import Doc

Path: TypeAlias = "tuple[Path, str | int] | None"
ROOT: Path = None
METADATA: Path = (ROOT, "metadata")
SPEC: Path = (ROOT, "spec")
STATUS: Path = (ROOT, "status")

IMMUTABLE = "field is immutable"
NOT_NEGATIVE = "must be greater than or equal to 0"
# What is shown in place of a Secret's values (pkg/apis/core/validation).
REDACTED = "<secret contents redacted>"


def render(path: Path) -> str:
    """The path as error messages write it."""
    if path is None:
        return ""
    parent, last = path
    before = render(parent)
    if isinstance(last, int):
        return f"{before}[{last}]"
    return f"{before}.{last}" if before and not last.startswith("[") else f"{before}{last}"


def repeats(values: Iterable[Hashable]) -> set[int]:
    """The places of what came before already."""
    seen: set[Hashable] = set()
    found: set[int] = set()
    for index, one in enumerate(values):
        if one in seen:
            found.add(index)
        seen.add(one)
    return found


def shown(value: Any) -> str:
    """A value as error messages quote it: JSON."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


class Problems:
    """Collects the causes of a refusal."""

    __slots__ = ("causes",)

    def __init__(self) -> None:
        self.causes: list[Cause] = []

    def required(self, path: Path, why: str = "") -> None:
        self._add("FieldValueRequired", "Required value" + (f": {why}" if why else ""), path)

    def invalid(self, path: Path, value: Any, why: str) -> None:
        self._add("FieldValueInvalid", f"Invalid value: {shown(value)}: {why}", path)

    def unfit(self, path: Path, why: str) -> None:
        """Invalid as a whole; the value is not quoted."""
        self._add("FieldValueInvalid", f"Invalid value: {why}", path)

    def all_invalid(self, path: Path, value: Any, reasons: Iterable[str]) -> None:
        for why in reasons:
            self.invalid(path, value, why)

    def unsupported(self, path: Path, value: Any, supported: Iterable[str]) -> None:
        known = ", ".join(f'"{one}"' for one in sorted(supported))
        message = f"Unsupported value: {shown(value)}: supported values: {known}"
        self._add("FieldValueNotSupported", message, path)

    def forbidden(self, path: Path, why: str) -> None:
        self._add("FieldValueForbidden", f"Forbidden: {why}", path)

    def duplicate(self, path: Path, value: Any) -> None:
        self._add("FieldValueDuplicate", f"Duplicate value: {shown(value)}", path)

    def not_found(self, path: Path, value: Any, why: str = "") -> None:
        detail = f": {why}" if why else ""
        self._add("FieldValueNotFound", f"Not found: {shown(value)}{detail}", path)

    def too_long(self, path: Path, limit_bytes: int) -> None:
        self._add("FieldValueTooLong", f"Too long: may not be more than {limit_bytes} bytes", path)

    def too_many(self, path: Path, count: int, limit: int) -> None:
        self._add("FieldValueTooMany", f"Too many: {count}: must have at most {limit} items", path)

    def not_negative(self, path: Path, value: int | None) -> None:
        if value is not None and value < 0:
            self.invalid(path, value, NOT_NEGATIVE)

    def one_of(self, path: Path, value: str, supported: Iterable[str]) -> None:
        """The value must be one of a few; an empty one is missing."""
        if not value:
            self.required(path)
        elif value not in supported:
            self.unsupported(path, value, supported)

    def label(self, path: Path, value: str) -> None:
        """A name that must be there and be a DNS label."""
        if not value:
            self.required(path)
        else:
            self.all_invalid(path, value, names.label_problems(value))

    def unchanged(self, path: Path, new: Any, old: Any) -> None:
        if new != old:
            self.invalid(path, new, IMMUTABLE)

    def _add(self, reason: str, message: str, path: Path) -> None:
        self.causes.append(Cause(reason, message, render(path)))


Rule: TypeAlias = Callable[[Doc, Problems], None]
"""What an object of a kind must be."""
UpdateRule: TypeAlias = Callable[[Doc, Doc, Problems], None]
"""What may change: the new object, the old one."""
StatusRule: TypeAlias = Callable[[Doc, Doc, str, Problems], None]
"""What may change of a status: the new object, the old one, through which subresource."""
