"""What an admission plug-in is told of a request, and how it answers.

A plug-in is a pair of lists of hooks: changes complete the object in place, checks refuse it. All
changes of all plug-ins come before all checks, so that checks see what will be stored. Hooks are
pure: what they look up is in the cache that they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from longshore.base.users import User
from longshore.core.objects.errors import Cause, Forbidden
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.watch.cache import Cache

# Where plug-ins leave notes on the request that the task at hand answers, if somebody keeps an audit
# log of it (apiserver/pkg/audit/context.go: AddAuditAnnotation).
NOTES: ContextVar[dict[str, str] | None] = ContextVar("notes", default=None)
POD_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


def _notes() -> dict[str, str]:
    kept = NOTES.get()
    return {} if kept is None else kept


def note(notes: Mapping[str, str]) -> None:
    """Leave notes on the request that the task at hand answers, if somebody keeps them."""
    _notes().update(notes)


@contextmanager
def noting() -> Iterator[dict[str, str]]:
    """What notes are left meanwhile, which are kept as ever."""
    notes: dict[str, str] = {}
    before = NOTES.set(notes)
    try:
        yield notes
    finally:
        NOTES.reset(before)
        note(notes)


@dataclass(slots=True)
class Attributes:
    """One write. verb is create, update or delete; doc is the new object, the plug-in's to change
    (of a delete: the old one, read-only); old is what is stored, or None. who is None for a writer
    that has no name. home is the namespace of a new object, once it is known to live. warnings go to the caller, annotations into the audit log."""

    verb: str
    kind: Kind
    namespace: str
    doc: Doc
    old: Doc | None
    who: User | None
    cache: Cache
    subresource: str = ""
    dry_run: bool = False
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=_notes)
    home: Doc | None = None

    @property
    def name(self) -> str:
        """The object's name, as far as it has one yet, as refusals say it."""
        metadata = self.doc["metadata"]
        return metadata.get("name") or metadata.get("generateName") or "Unknown"

    def forbidden(self, why: str, *causes: Cause) -> Forbidden:
        """The refusal in upstream's form (apiserver/pkg/admission/errors.go)."""
        name = self.name
        message = f'{self.kind.resource} "{name}" is forbidden: {why}'
        return Forbidden(message, kind=self.kind, name=name, causes=causes)


Function: TypeAlias = Callable[[Attributes], None]
"""Changes the document of a request in place, or raises what speaks against it."""


class Hook(NamedTuple):
    """A function for writes of some kinds (none named: of every kind) through one subresource.
    looks_up are the kinds of objects on which the outcome of a create depends besides the request;
    None: on more than that."""

    run: Function
    kinds: tuple[Kind, ...]
    verbs: tuple[str, ...] = ("create",)
    subresource: str = ""
    looks_up: tuple[Kind, ...] | None = None

    def concerns(self, verb: str, kind: Kind, subresource: str) -> bool:
        return (
            verb in self.verbs
            and subresource == self.subresource
            and (not self.kinds or kind in self.kinds)
        )


class Hooks(NamedTuple):
    """What a plug-in does."""

    changes: tuple[Hook, ...] = ()
    checks: tuple[Hook, ...] = ()


def containers(spec: Doc) -> Iterator[Doc]:
    """Every container of a pod, of all three kinds."""
    for field_name in POD_CONTAINERS:
        yield from spec.get(field_name) or ()
