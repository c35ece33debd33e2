"""What a test waits for, read from a word: "Available", "status.phase=Running", "exists"."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from longshore.core.objects.kinds import Doc
from longshore.testing.kube.documents import Document

Wanted: TypeAlias = str | Callable[[Document], bool]
_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Condition:
    """holds judges an object; None is one that is not there."""

    words: str
    holds: Callable[[Doc | None], bool]


def condition_of(wanted: Wanted) -> Condition:
    """A condition's type ("Available", "Ready=False"), a path with or without the value it shall
    have ("status.phase=Running", "{.status.podIP}"), "exists", or a function of the object.

    A condition's type or a number's text counts as kubectl wait reads it: values are compared as
    text, booleans as true and false, and case does not matter in a condition's status.
    """
    if callable(wanted):
        name = getattr(wanted, "__name__", "as the function says")
        return Condition(name, lambda doc: doc is not None and bool(wanted(Document(doc))))
    if wanted.lower() == "exists":
        return Condition("exist", lambda doc: doc is not None)
    left, equals, right = wanted.removeprefix("jsonpath=").partition("=")
    path = left.strip("{}'\"")
    if "." in path or "[" in path:
        return _of_path(wanted, path.lstrip("."), right if equals else None)
    return _of_status(wanted, path, right or "True")


def _of_path(words: str, path: str, value: str | None) -> Condition:
    def holds(doc: Doc | None) -> bool:
        found = looked_up(doc, path)
        if value is None:
            return found not in (None, "", [], {})
        return found is not None and _text(found) == value.strip("'\"")

    return Condition(f"have {words}", holds)


def _of_status(words: str, type_: str, status: str) -> Condition:
    def holds(doc: Doc | None) -> bool:
        conditions = looked_up(doc, "status.conditions") or ()
        return any(
            one.get("type", "").lower() == type_.lower()
            and one.get("status", "").lower() == status.lower()
            and not _is_stale(doc, one)
            for one in conditions
        )

    return Condition(f"become {words}", holds)


def _is_stale(doc: Doc | None, condition: Doc) -> bool:
    """Whether what it says is of an earlier generation of the object (as kubectl wait judges)."""
    generation = looked_up(doc, "metadata.generation") or 0
    seen = condition.get("observedGeneration") or looked_up(doc, "status.observedGeneration")
    return seen is not None and seen < generation


def looked_up(doc: Any, path: str) -> Any:
    """What is at a path such as status.containerStatuses[0].ready; None if there is nothing."""
    for name, index in _STEP.findall(path):
        if index:
            there = isinstance(doc, list) and int(index) < len(doc)
            doc = doc[int(index)] if there else None
        else:
            doc = doc.get(name) if isinstance(doc, dict) else None
        if doc is None:
            return None
    return doc


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
