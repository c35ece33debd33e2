"""What the driver remembers of sandboxes and containers: the runtime has it all, this is faster."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from longshore.machinery.runtime.cri.plan import Frame
from longshore.machinery.runtime.protocol import Container, Sandbox, State


@dataclass(slots=True)
class Pod:
    """A sandbox, and its id with the runtime. One that was lost (its own process ended) is made anew when a
    container is to start; former ones stay, with the containers that were in them."""

    sandbox: Sandbox
    frame: Frame
    id: str
    attempt: int = 0
    lost: bool = False
    former: list[str] = field(default_factory=list)
    making: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class Live:
    """A container. stop_signal is that of its specification, empty if it has none; doubted: its start had no
    answer."""

    container: Container
    stop_signal: str = ""
    doubted: bool = False

    @property
    def ended(self) -> bool:
        return self.container.state is State.EXITED


class Book:
    """Sandboxes by the pod's uid, containers by id. doubted are uids of which there may be more than is known
    here: the runtime did not answer when something was to be made."""

    def __init__(self) -> None:
        self.pods: dict[str, Pod] = {}
        self.live: dict[str, Live] = {}
        self.doubted: set[str] = set()

    def members(self, uid: str) -> list[Live]:
        return [one for one in self.live.values() if one.container.sandbox == uid]

    def find(self, uid: str, name: str, attempt: int) -> Live | None:
        """One attempt of a container."""
        for one in self.live.values():
            known = one.container
            if (known.sandbox, known.name, known.attempt) == (uid, name, attempt):
                return one
        return None

    def listed(self) -> Iterator[Container]:
        """Those that have been started."""
        known = (one.container for one in self.live.values())
        return (one for one in known if one.state is not State.CREATED)
