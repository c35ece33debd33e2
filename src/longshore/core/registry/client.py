"""The Client protocol: what every loop and agent may ask of a cluster, near or far.

InProcess (registry/inprocess.py) calls the registry directly; the HTTP client
(doors/kubernetes/client.py) speaks to a server. Loops cannot tell them apart.
All documents are plain decoded JSON (Doc). Errors are those of core/objects/errors.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, TypeAlias

from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc, Kind

ChangeType: TypeAlias = Literal["ADDED", "MODIFIED", "DELETED"]


class Change(NamedTuple):
    """One event. doc is the object after the change, or its last state if type is DELETED."""

    type: ChangeType
    doc: Doc


@dataclass(frozen=True, slots=True)
class Listing:
    """A snapshot of one kind at one revision, sorted by namespace and name. Each look at an item
    may decode it anew."""

    items: Sequence[Doc]
    revision: int


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """What a delete may say. grace_s None leaves it to the object; propagation is
    Background, Foreground or Orphan (empty: what its finalizers say, or its kind); uid and revision are preconditions (Conflict)."""

    grace_s: int | None = None
    propagation: str = "Background"
    uid: str = ""
    revision: str = ""


class Feed(Protocol):
    """Changes after a snapshot: none is missed, none comes twice."""

    async def next_batch(self) -> list[Change]:
        """Wait for changes and return all that are there (never an empty list).

        Raises Expired when this feed fell too far behind or the connection broke for good:
        take a new snapshot then.
        """

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Create:
    kind: Kind
    doc: Doc


@dataclass(frozen=True, slots=True)
class Update:
    """Replace an object, or one subresource of it ("status"). Stale revision: Conflict."""

    kind: Kind
    doc: Doc
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Patch:
    """JSON merge patch (RFC 7396) to the newest state of an object or its subresource."""

    kind: Kind
    namespace: str
    name: str
    patch: Doc
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Delete:
    kind: Kind
    namespace: str
    name: str
    options: DeleteOptions = field(default_factory=DeleteOptions)


@dataclass(frozen=True, slots=True)
class Bind:
    """Give a pod its node: sets spec.nodeName and the PodScheduled condition; Conflict if bound.
    uid and revision, if given, are preconditions; labels and annotations are added to the pod's."""

    namespace: str
    name: str
    node: str
    uid: str = ""
    revision: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


Operation: TypeAlias = Create | Update | Patch | Delete | Bind
Answers: TypeAlias = list[Doc | ApiError]


class Client(Protocol):
    """A cluster, as one user of it sees it."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Doc:
        """One object, newest state. Raises NotFound."""

    async def list(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> Listing:
        """All that match; labels and fields are selectors in query-string form."""

    async def list_and_watch(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = ""
    ) -> tuple[Listing, Feed]:
        """A snapshot and the feed that continues it."""

    async def submit(self, operations: Sequence[Operation]) -> Answers:
        """Many writes at once (one durable transaction where it can be); an answer for each,
        in order. Each stands alone: one that fails does not undo the others."""

    async def write(self, operation: Operation) -> Doc:
        """One write; raises its ApiError."""
