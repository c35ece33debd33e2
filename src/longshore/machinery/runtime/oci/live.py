"""A container that a runtime looks after."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from longshore.machinery.runtime.oci.records import ContainerRecord
from longshore.machinery.runtime.protocol import Container


@dataclass(slots=True)
class Live:
    """A container this process looks after, in that control group. pidfd is its init's, -1 once it has
    ended."""

    record: ContainerRecord
    directory: Path
    group: str
    pidfd: int = -1
    conmon_fd: int = -1
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def container(self) -> Container:
        return self.record.container
