"""What the checks have in common: containers, security contexts, and the words of their findings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple, TypeAlias

from longshore.core.objects.kinds import Doc


class Finding(NamedTuple):
    """Why a pod is not allowed: in a few words, and with what it is that is not."""

    reason: str
    detail: str


Check: TypeAlias = Callable[[Doc, Doc], Finding | None]
"""From a pod's metadata and spec; None if there is nothing to find."""


def containers(spec: Doc) -> Iterator[Doc]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field) or ()


def context(holder: Doc) -> Doc:
    """The security context of a pod's spec or of a container."""
    found: Doc = holder.get("securityContext") or {}
    return found


def named(spec: Doc, test: Callable[[Doc], object]) -> list[str]:
    """Names of the containers of which something is so."""
    return [container.get("name", "") for container in containers(spec) if test(container)]


def quoted(items: Iterable[str]) -> str:
    return ", ".join(f'"{item}"' for item in items)


def plural(word: str, items: Collection[object], many: str = "") -> str:
    return word if len(items) == 1 else many or f"{word}s"


def these(names: Collection[str], word: str = "container") -> str:
    """container "a", or containers "a", "b"."""
    return f"{plural(word, names)} {quoted(names)}"


def setters(pod: bool, names: Collection[str]) -> str:
    """Who has set something: the pod, containers, or both. "" for nobody."""
    return " and ".join([*(["pod"] if pod else []), *([these(names)] if names else [])])
