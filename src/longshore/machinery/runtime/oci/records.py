"""What is kept in files of each container and sandbox, so that an agent that starts again finds them.

    root/run                          a tmpfs: gone with the machine, as the containers are
    root/run/sandboxes/UID/sandbox.json   and shm: the pod's shared memory
                       pause.pid, pause   the process that holds shared processes, if there is one
    root/run/containers/ID/state.json     what it is
                       started        when it was let run (seconds since the epoch), written just before:
                                      from here on it counts
                       ID             conmon's exit file: the code; its time is the finish
                       lost           when it was found that there will be no such file
                       oom            there if the kernel killed it for want of memory
                       pid, conmon.pid, config.json, rootfs
    root/written/ID                   upper, work: what the container writes, on disk

A directory without `started` is what a dying agent left half made: it is thrown away.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from longshore.machinery.runtime.protocol import Container, Pids, Sandbox, SandboxSpec, State

_OOM_EXIT = 137
_LOST_EXIT_CODE = 255


@dataclass(frozen=True, slots=True)
class ContainerRecord:
    """A container and what only its driver needs to know of it. shares_pids: its end does not take
    along its children."""

    container: Container
    shares_pids: bool = False


@dataclass(frozen=True, slots=True)
class SandboxRecord:
    """A sandbox and what its driver needs to make its namespaces and to find its control group.
    cpu_shares: its weight, 0 for none of its own."""

    sandbox: Sandbox
    hostname: str
    host_ipc: bool = False
    pids: Pids = Pids.CONTAINER
    sysctls: Mapping[str, str] = field(default_factory=dict)
    qos: str = "Guaranteed"
    cpu_shares: int = 0
    handler: str = ""


def sandbox_record(spec: SandboxSpec) -> SandboxRecord:
    return SandboxRecord(
        Sandbox(spec.id, spec.namespace, spec.name, spec.netns, dict(spec.labels)),
        spec.hostname,
        spec.host_ipc,
        spec.pids,
        dict(spec.sysctls),
        spec.qos,
        spec.resources.cpu_shares,
        spec.handler,
    )


def write_sandbox(directory: Path, record: SandboxRecord) -> None:
    """Whole or not at all: a directory without it is of a sandbox that was never finished."""
    fields = {slot: getattr(record.sandbox, slot) for slot in Sandbox.__slots__}
    own = {slot: getattr(record, slot) for slot in SandboxRecord.__slots__ if slot != "sandbox"}
    new = directory / "sandbox.new"
    new.write_bytes(orjson.dumps({"sandbox": fields, **own}))
    new.rename(directory / "sandbox.json")


def read_sandboxes(directory: Path) -> Iterator[tuple[Path, SandboxRecord | None]]:
    """Each sandbox's directory, with None for one that was never finished."""
    for path in sorted(directory.iterdir()):
        fields = _read(path / "sandbox.json")
        if fields is None:
            yield path, None
            continue
        sandbox, pids = Sandbox(**fields.pop("sandbox")), Pids(fields.pop("pids"))
        yield path, SandboxRecord(sandbox, pids=pids, **fields)


def write_container(directory: Path, record: ContainerRecord) -> None:
    fields = {slot: getattr(record.container, slot) for slot in Container.__slots__}
    fields |= {"state": "", "shares_pids": record.shares_pids}
    (directory / "state.json").write_bytes(orjson.dumps(fields))


def write_started(directory: Path, at: float) -> None:
    (directory / "started").write_text(repr(at))


def read_containers(directory: Path) -> Iterator[tuple[Path, ContainerRecord | None]]:
    """Each container's directory; started ones as running, with None for one that never was."""
    for path in sorted(directory.iterdir()):
        fields, started = _read(path / "state.json"), _text(path / "started")
        if fields is None or not started:
            yield path, None
            continue
        shares_pids, user = bool(fields.pop("shares_pids")), tuple(fields.pop("user"))
        fields |= {"state": State.RUNNING, "started_at": float(started), "user": user}
        yield path, ContainerRecord(Container(**fields), shares_pids)


def exited(record: ContainerRecord, directory: Path) -> ContainerRecord | None:
    """The record with what its exit file says, or that it was lost; None if there is neither yet."""
    path = directory / record.container.id
    text = _text(path)
    if not text:
        at = _text(directory / "lost")
        return ended(record, _LOST_EXIT_CODE, "Unknown", float(at)) if at else None
    code = int(text) & 0xFF
    killed = code == _OOM_EXIT and (directory / "oom").exists()
    reason = "OOMKilled" if killed else ("Completed" if code == 0 else "Error")
    return ended(record, code, reason, path.stat().st_mtime)


def lost(record: ContainerRecord, directory: Path, at: float) -> ContainerRecord:
    """The record of one of whose end nobody knows: so it ended once, whoever asks later."""
    (directory / "lost").write_text(repr(at))
    return ended(record, _LOST_EXIT_CODE, "Unknown", at)


def ended(record: ContainerRecord, code: int, reason: str, at: float) -> ContainerRecord:
    done = replace(
        record.container,
        state=State.EXITED,
        exit_code=code,
        reason=reason,
        finished_at=max(at, record.container.started_at),
    )
    return replace(record, container=done)


def pid_in(path: Path) -> int:
    """The number in a pid file; 0 if there is none."""
    text = _text(path)
    return int(text) if text.isdecimal() else 0


def _text(path: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return path.read_text().strip()
    return ""


def _read(path: Path) -> dict[str, Any] | None:
    with contextlib.suppress(FileNotFoundError, orjson.JSONDecodeError):
        fields: dict[str, Any] = orjson.loads(path.read_bytes())
        return fields
    return None
