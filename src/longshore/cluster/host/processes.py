"""The processes of a local cluster: forked from one warm parent, found again by their records.

A record is a file with a pid and the start time of its process, so that a pid that the kernel gave
to somebody else since is never taken for ours.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import orjson

from longshore.base.clock import Clock
from longshore.base.files import write_private
from longshore.cluster.config import ClusterError

POLL_S = 0.01
_DONE = "done"


@dataclass(frozen=True, slots=True)
class Process:
    """One of our processes: what it is (server, node-1, ...), its pid and kernel start time."""

    role: str
    pid: int
    started: str

    @property
    def alive(self) -> bool:
        return start_time(self.pid) == self.started

    def kill(self, number: int) -> None:
        if self.alive:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return


def start_time(pid: int) -> str:
    """Field 22 of /proc/PID/stat (proc(5)); empty if there is no such process, or only its zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return _start_time_elsewhere(pid)
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in ("Z", "X") else fields[19]


def _start_time_elsewhere(pid: int) -> str:
    """Without /proc (not Linux), being there has to do."""
    if Path("/proc/self").exists():
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    return "present"


def spawn(role: str, records: Path, log: Path, main: Callable[[], None]) -> Process:
    """Fork a daemon that runs main in a session of its own, its output going to log.

    The caller must have no other thread. The child never returns from here. Its first act is to
    record itself: if `down` has removed the directory meanwhile, the child ends there.
    """
    pid = os.fork()
    if pid:
        return Process(role, pid, start_time(pid))
    status = 1
    try:
        record(role, records)
        # Away from the caller's directory: it must not be kept busy, and conmon leaves a file
        # where it runs when a container is out of memory.
        os.chdir(records.parent)
        _detach(log)
        main()
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 1
    except BaseException:  # noqa: BLE001 - the rim of the process: say it in the log and end
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)


def aside(work: Callable[[], None]) -> None:
    """Do it in a child and wait: what it imports is not in the memory of those who are forked later. Raises
    ClusterError with what the child says of a failure.

    The caller must have no other thread.
    """
    hear, tell = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(hear)
        _do(work, tell)
    os.close(tell)
    with os.fdopen(hear, "rb") as pipe:
        said = pipe.read().decode()
    with contextlib.suppress(ChildProcessError):  # nobody's, where ended children are ignored
        os.waitpid(pid, 0)
    if said != _DONE:
        raise ClusterError(said or "a process that was to prepare the start was killed")


def _do(work: Callable[[], None], tell: int) -> NoReturn:
    said = "a process that was to prepare the start failed"
    try:
        work()
        said = _DONE
    except (ClusterError, OSError) as error:
        said = str(error)
    except BaseException:  # noqa: BLE001 - the rim of the process: whoever waits is told, here it is shown
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os.write(tell, said.encode())
        os._exit(0)


def record(role: str, records: Path) -> None:
    """Write down that this process is the one of that role."""
    content = {"role": role, "pid": os.getpid(), "started": start_time(os.getpid())}
    write_private(records / f"{role}.json", orjson.dumps(content))


def _detach(log: Path) -> None:
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)


def recorded(records: Path) -> Iterator[Process]:
    """The processes that were started, whether or not they still live."""
    for path in sorted(records.glob("*.json")):
        try:
            content = orjson.loads(path.read_bytes())
            yield Process(content["role"], content["pid"], content["started"])
        except (orjson.JSONDecodeError, KeyError):
            continue


async def end(processes: list[Process], clock: Clock, grace_s: float) -> None:
    """SIGTERM, then SIGKILL for those that are still there after the grace."""
    for number, patience in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
        for process in processes:
            process.kill(number)
        deadline = clock.monotonic() + patience
        while any(p.alive for p in processes) and clock.monotonic() < deadline:
            _reap(processes)
            await clock.sleep(POLL_S)


def _reap(processes: list[Process]) -> None:
    """Collect those that are our own children; the others have init for that."""
    for process in processes:
        try:
            os.waitpid(process.pid, os.WNOHANG)
        except ChildProcessError:
            continue
