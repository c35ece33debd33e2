"""What a runtime looks after: containers, and the sandboxes (pods) that they are in."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from longshore.machinery.runtime.linux import (
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    mount,
    new_namespaces,
    unmount,
)
from longshore.machinery.runtime.oci import records
from longshore.machinery.runtime.oci.destroy import remove_tree
from longshore.machinery.runtime.oci.records import ContainerRecord, SandboxRecord
from longshore.machinery.runtime.protocol import Container

_SHM_OPTIONS = "mode=1777,size=65536k"


@dataclass(slots=True)
class Live:
    """A container this process looks after. pidfd is its init's, -1 once it has ended."""

    record: ContainerRecord
    directory: Path
    pidfd: int = -1
    conmon_fd: int = -1
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def container(self) -> Container:
        return self.record.container


@dataclass(slots=True)
class Pod:
    """A sandbox this process looks after: descriptors of its IPC and UTS namespaces (no bind mounts:
    every mount of ours makes every later container start slower), and who is in it."""

    record: SandboxRecord
    ipc: int
    uts: int
    members: set[str] = field(default_factory=set)

    def close(self) -> None:
        os.close(self.ipc)
        os.close(self.uts)


def make_sandbox(directory: Path, record: SandboxRecord) -> None:
    shm = directory / "shm"
    directory.mkdir(mode=0o700, exist_ok=True)
    shm.mkdir(exist_ok=True)
    mount("shm", shm, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, _SHM_OPTIONS)
    records.write_sandbox(directory, record)


def adopted_pod(record: SandboxRecord, members: Sequence[Live]) -> Pod:
    """The pod with the namespaces its running containers are in; with new ones if none runs."""
    for live in members:
        own = Path(f"/proc/{records.pid_in(live.directory / 'pid')}/ns")
        if live.pidfd >= 0:
            with contextlib.suppress(OSError):
                ipc = os.open(own / "ipc", os.O_RDONLY | os.O_CLOEXEC)
                return Pod(record, ipc, os.open(own / "uts", os.O_RDONLY | os.O_CLOEXEC))
    return Pod(record, *new_namespaces(record.hostname))


def discard_sandbox(directory: Path) -> None:
    unmount(directory / "shm")
    remove_tree(directory)
