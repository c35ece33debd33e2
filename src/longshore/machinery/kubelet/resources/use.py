"""What there is left of a node, and what its pods use of it. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from longshore.core.objects.kinds import Doc


@dataclass(frozen=True, slots=True)
class Reading:
    """Of one signal: bytes, inodes or processes."""

    available: int
    capacity: int


@dataclass(frozen=True, slots=True)
class ContainerUse:
    """Bytes: memory that cannot be taken away at once; what its root file system and its logs take."""

    memory: int = 0
    written: int = 0
    logs: int = 0


@dataclass(frozen=True, slots=True)
class PodUse:
    """What one pod uses. volumes: bytes of its emptyDirs by name (in_memory are not on disk)."""

    pod: Doc
    containers: Mapping[str, ContainerUse] = field(default_factory=dict)
    volumes: Mapping[str, int] = field(default_factory=dict)
    in_memory: frozenset[str] = frozenset()
    inodes: int = 0
    pids: int = 0

    def of(self, resource: str) -> int:
        match resource:
            case "memory":
                return sum(one.memory for one in self.containers.values())
            case "inodes":
                return self.inodes
            case "pids":
                return self.pids
        return self.disk

    @property
    def disk(self) -> int:
        """Ephemeral storage, as limits of it count."""
        kept = sum(one.written + one.logs for one in self.containers.values())
        return kept + sum(b for name, b in self.volumes.items() if name not in self.in_memory)
