"""What the fixture needs of a cluster, be it simulated or real."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from longshore.core.objects.kinds import Doc, Ref
from longshore.testing.kube.faults import Failure
from longshore.testing.kube.requests import Asked

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """warnings are the texts of the Warning headers."""

    status: int
    doc: Doc
    warnings: Sequence[str] = ()


class Backend(Protocol):
    """Every method blocks its caller until it is done; none may be called by a cluster itself."""

    is_real: bool

    @property
    def namespace(self) -> str:
        """Where objects are whose namespace nobody says."""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, mode 0600."""

    def ask(
        self, method: str, path: str, body: Any = None, media: str = JSON, **query: str
    ) -> Answer:
        """One request."""

    def until(
        self, ref: Ref, holds: Callable[[Doc | None], bool], seconds: float
    ) -> tuple[bool, Doc | None]:
        """Whether that came to hold within the time, and the object as it was then."""

    def settle(self, namespace: str) -> None:
        """Return when a new namespace has what pods in it need."""

    def advance(self, seconds: float) -> None: ...

    def now(self) -> float:
        """The cluster's time, in seconds since the epoch."""

    def fail_next(self, pattern: str, failure: Failure, times: int) -> None: ...

    def requests(self) -> list[Asked]: ...

    def forget_requests(self) -> None: ...

    def snapshot(self) -> Any: ...

    def restore(self, snapshot: Any) -> None: ...

    def add_node(self, name: str, capacity: Mapping[str, str], labels: Mapping[str, str]) -> None:
        """Return when it has joined."""

    def expect(self, others: int) -> None:
        """So many more (or fewer) take part from now on who have no connection yet."""

    def hang_up(self) -> None:
        """Break all connections from outside; no more are taken."""

    def nudge(self) -> None:
        """Let a wait look again now. From any thread."""

    def broken(self) -> None:
        """Raise what broke the cluster, if something did."""
