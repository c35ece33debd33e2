"""What the kubelet tells people about pods: Kubernetes Events, through a recorder."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from longshore.core.objects.kinds import Doc

EventType: TypeAlias = Literal["Normal", "Warning"]


class Recorder(Protocol):
    """Records Events without waiting; repeats are counted, floods are dropped."""

    def event(
        self, about: Doc, type_: EventType, reason: str, message: str, field: str = ""
    ) -> None: ...


class NoRecorder:
    """Says nothing (simulations of thousands of nodes)."""

    def event(
        self, about: Doc, type_: EventType, reason: str, message: str, field: str = ""
    ) -> None:
        return None
