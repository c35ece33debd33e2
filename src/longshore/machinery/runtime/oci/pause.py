"""The process that holds and reaps the shared PID namespace of a pod: `catatonit -P`, made by runc.

It has a root of its own with nothing else in it, since those whose init it is can see that root, and
no rights at all. Pods that do not share processes have none.
"""

from __future__ import annotations

import asyncio
import select
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from longshore.base.clock import Clock
from longshore.machinery.runtime.oci import cgroups, host
from longshore.machinery.runtime.oci.destroy import remove_tree
from longshore.machinery.runtime.oci.programs import Programs
from longshore.machinery.runtime.oci.records import pid_in
from longshore.machinery.runtime.oci.seccomp import profile
from longshore.machinery.runtime.protocol import StartFailed
from longshore.machinery.runtime.words import last_complaint

_PROGRAM = "catatonit"
_OOM_SCORE = -998  # pkg/kubelet/qos/policy.go: PodInfraOOMAdj
_LOOK_AGAIN_S = 0.002
_PATIENCE_S = 120.0
_EXITING = 0x4  # PF_EXITING (include/linux/sched.h)


@dataclass(frozen=True, slots=True)
class Pause:
    """A running one; fd is its pidfd."""

    pid: int
    fd: int

    @property
    def namespace(self) -> str:
        return f"/proc/{self.pid}/ns/pid"

    def runs(self) -> bool:
        """Whether others may still join: not once it is ending, which takes until all of them have."""
        waiting = select.poll()
        waiting.register(self.fd, select.POLLIN)
        if waiting.poll(0):  # readable once it has ended (pidfd_open(2))
            return False
        # proc(5), stat: the seventh field after the command, which may hold any character.
        flags = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[6]
        return not int(flags) & _EXITING


def found(directory: Path, program: str = _PROGRAM) -> Pause | None:
    """The one of a sandbox's directory, if it runs."""
    pid = pid_in(directory / "pause.pid")
    fd = host.running(pid, program)
    return Pause(pid, fd) if fd >= 0 else None


async def start(
    programs: Programs, clock: Clock, directory: Path, group: str, namespaces: Mapping[str, str]
) -> Pause:
    """Make it, in that control group and those namespaces of the sandbox whose directory this is. What
    an attempt before has left is taken away first. Raises StartFailed."""
    await end(programs, clock, directory, group)
    await asyncio.to_thread(_lay_out, directory, _configuration(group, namespaces))
    runc = await asyncio.create_subprocess_exec(
        *programs.maker.command, programs.maker.root, f"--log={directory}/pause.log", "run", "--detach",
        "--bundle", f"{directory}/pause", "--pid-file", f"{directory}/pause.pid", _name(directory),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    await _ended(runc, clock)
    made = found(directory, "")  # it may not yet have become the program
    if made is None:
        words = _complaint(directory / "pause.log") or "it ended at once"
        raise StartFailed(f"the process that is to hold the pod's processes: {words}")
    return made


async def _ended(runc: asyncio.subprocess.Process, clock: Clock) -> None:
    """Wait for it, but not for ever; it is gone when this returns, however that is left."""
    try:
        async with asyncio.TaskGroup() as group:
            waits = (group.create_task(runc.wait()), group.create_task(clock.sleep(_PATIENCE_S)))
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
    finally:
        if runc.returncode is None:
            runc.kill()
            await runc.wait()


async def end(programs: Programs, clock: Clock, directory: Path, group: str) -> None:
    """Kill it, and with it whoever is left in its namespace, and take away what it stood on."""
    while cgroups.kill(group):
        await clock.sleep(_LOOK_AGAIN_S)
    await asyncio.to_thread(cgroups.remove, group)
    for state in programs.states(_name(directory)):
        remove_tree(state)
    for file in ("pause.pid", "pause.log"):
        (directory / file).unlink(missing_ok=True)


def _complaint(log: Path) -> str:
    return last_complaint(log.read_text(errors="replace")) if log.exists() else ""


def _name(directory: Path) -> str:
    return f"pause-{directory.name}"


def _lay_out(directory: Path, configuration: dict[str, Any]) -> None:
    """What runc needs. Raises StartFailed."""
    program = shutil.which(_PROGRAM)
    if program is None:
        raise StartFailed(f"{_PROGRAM} is not installed (Debian: apt install {_PROGRAM})")
    root = directory / "pause" / "rootfs"
    for path in (root, root / "proc", root / "dev"):
        path.mkdir(parents=True, exist_ok=True)
    shutil.copy(program, root / _PROGRAM)
    (directory / "pause" / "config.json").write_bytes(orjson.dumps(configuration))


def _configuration(group: str, namespaces: Mapping[str, str]) -> dict[str, Any]:
    shared = [{"type": kind, "path": path} for kind, path in namespaces.items()]
    nothing: dict[str, list[str]] = {kind: [] for kind in ("bounding", "effective", "permitted")}
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": [f"/{_PROGRAM}", "-P"],
            "cwd": "/",
            "capabilities": nothing,
            "noNewPrivileges": True,
            "oomScoreAdj": max(host.oom_floor(), _OOM_SCORE),
        },
        "root": {"path": "rootfs", "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]},
        ],
        "linux": {
            "namespaces": [{"type": "pid"}, {"type": "mount"}, *shared],
            "cgroupsPath": group,
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "seccomp": profile(frozenset()),
        },
    }
