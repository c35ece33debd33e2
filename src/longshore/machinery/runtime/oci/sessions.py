"""A command that runs in a container while somebody talks to it: `kubectl exec`.

Its maker (runc, crun) stays beside the command and is its parent, so its exit code is the command's. It gets
our pipes. With tty, runc gets the far side of a terminal of ours, which it couples to the one inside the
container, and SIGWINCH makes it take over our terminal's new size; crun does not, and hands over the
near side of the one inside instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import signal
import socket
import struct
import termios
import tty
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from longshore.base.clock import Clock
from longshore.core.streams.protocols import ExecOptions
from longshore.machinery.runtime.oci import cgroups
from longshore.machinery.runtime.oci.descriptors import Input, Outputs, close_all
from longshore.machinery.runtime.oci.destroy import remove_tree
from longshore.machinery.runtime.oci.programs import Maker
from longshore.machinery.runtime.oci.records import pid_in
from longshore.machinery.runtime.protocol import RuntimeFailure
from longshore.machinery.runtime.words import last_complaint

# It takes some 20 ms to start a command, and says by a file that it has.
_LOOK_AGAIN_S = 0.002
_numbers = count()


@dataclass(frozen=True, slots=True)
class _Ends:
    """Descriptors: theirs for the command's three streams (-1: /dev/null), ours to talk to it
    (-1: no input) and to hear it, by the stream's number. coupled: a terminal of ours, to whose size the
    maker must be called."""

    theirs: tuple[int, int, int]
    into: int
    out: dict[int, int]
    coupled: bool = False

    def close_theirs(self) -> None:
        close_all(*set(self.theirs))


class ExecSession:
    """streams.Session of a command; the whole tree of its processes ends with it."""

    def __init__(
        self, maker: asyncio.subprocess.Process, ends: _Ends, terminal: bool, group: str
    ) -> None:
        self.pid = 0
        """The command's, once it runs."""
        self._maker = maker
        self._coupled = ends.coupled
        self._group = group
        self._terminal = -1 if not terminal else os.dup(next(iter(ends.out)))
        self._input = Input(ends.into) if ends.into >= 0 else None
        self._outputs = Outputs(ends.out)

    async def write(self, data: bytes) -> None:
        if self._input is not None:
            await self._input.write(data)

    async def close_stdin(self) -> None:
        """Of a pipe. A terminal has no end of input that is not also its hang-up."""
        if self._input is not None and self._terminal < 0:
            self._input.close()

    async def resize(self, width: int, height: int) -> None:
        if self._terminal < 0 or self._maker.returncode is not None:
            return
        size = struct.pack("HHHH", height, width, 0, 0)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, size)
        if self._coupled:
            with contextlib.suppress(ProcessLookupError):
                self._maker.send_signal(signal.SIGWINCH)

    async def read(self) -> tuple[int, bytes]:
        return await self._outputs.read()

    async def exit_code(self) -> int:
        """As shells have it: 128 and the signal for one that was killed."""
        code = await self._maker.wait()
        return code if code >= 0 else 128 - code

    async def close(self) -> None:
        if self._maker.returncode is None:
            await asyncio.to_thread(_end_tree, self.pid, self._group)
            with contextlib.suppress(ProcessLookupError):
                self._maker.kill()
            await self._maker.wait()
        if self._input is not None:
            self._input.close()
        self._outputs.close()
        close_all(self._terminal)
        self._terminal = -1


async def start(
    maker: Maker, clock: Clock, bundle: Path, group: str, options: ExecOptions
) -> ExecSession:
    """Returns when the command runs. bundle is the container's directory, group its control group.
    Raises RuntimeFailure in the words of containerd if it cannot be started."""
    place = bundle / f"exec-{os.getpid()}-{next(_numbers)}"
    place.mkdir(mode=0o700)
    try:
        (place / "process.json").write_bytes(orjson.dumps(_process(bundle, options)))
        process, ends = await _begin(maker, bundle, place, options)
        session = ExecSession(process, ends, options.tty, group)
        try:
            session.pid = await _started(process, clock, place)
        except BaseException:
            session.pid = pid_in(place / "pid")
            await session.close()
            raise
        return session
    finally:
        remove_tree(place)


async def _begin(
    maker: Maker, bundle: Path, place: Path, options: ExecOptions
) -> tuple[asyncio.subprocess.Process, _Ends]:
    if options.tty and maker.reads_start:
        return await _with_console(maker, bundle, place, options)
    ends = _terminal_ends(options) if options.tty else _pipe_ends(options)
    try:
        return await _spawn(maker, bundle, place, ends.theirs), ends
    except BaseException:
        close_all(ends.into, *ends.out)
        raise
    finally:
        ends.close_theirs()


async def _with_console(
    maker: Maker, bundle: Path, place: Path, options: ExecOptions
) -> tuple[asyncio.subprocess.Process, _Ends]:
    """Let the maker hand over the terminal that it makes inside (runc's docs/terminals.md)."""
    with socket.socket(socket.AF_UNIX) as listener, _opened(place) as here:
        # A socket's name is 108 bytes at most, the container's directory alone may be longer.
        path = f"/proc/{os.getpid()}/fd/{here}/console"
        listener.setblocking(False)
        listener.bind(path)
        listener.listen(1)
        process = await _spawn(maker, bundle, place, (-1, -1, -1), "--console-socket", path)
        terminal = await _handed(listener, process)
    if terminal < 0:  # it has ended: _started() says of what
        out, closed = os.pipe()
        os.close(closed)
        return process, _Ends((-1, -1, -1), -1, {out: 1})
    into = os.dup(terminal) if options.stdin else -1
    return process, _Ends((-1, -1, -1), into, {terminal: 1})


@contextlib.contextmanager
def _opened(directory: Path) -> Iterator[int]:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


async def _handed(listener: socket.socket, process: asyncio.subprocess.Process) -> int:
    """The descriptor that somebody sends; -1 if the process ends without."""
    loop = asyncio.get_running_loop()
    calling = asyncio.ensure_future(loop.sock_accept(listener))
    ending = asyncio.ensure_future(process.wait())
    try:
        await asyncio.wait((calling, ending), return_when=asyncio.FIRST_COMPLETED)
        if not calling.done():
            return -1
        caller, _ = calling.result()
    finally:
        calling.cancel()
        ending.cancel()
    with caller:
        # It is written before anything else happens: there is nothing to wait for.
        caller.setblocking(True)
        _, descriptors, _, _ = socket.recv_fds(caller, 256, 1)
    return descriptors[0] if descriptors else -1


def _process(bundle: Path, options: ExecOptions) -> dict[str, Any]:
    process: dict[str, Any] = orjson.loads((bundle / "config.json").read_bytes())["process"]
    env = list(process["env"])
    if options.tty and not any(entry.startswith("TERM=") for entry in env):
        env.append("TERM=xterm")
    return process | {"args": list(options.command), "terminal": options.tty, "env": env}


def _pipe_ends(options: ExecOptions) -> _Ends:
    stdin, into = os.pipe() if options.stdin else (-1, -1)
    out, stdout = os.pipe() if options.stdout else (-1, -1)
    err, stderr = os.pipe() if options.stderr else (-1, -1)
    heard = {fd: number for number, fd in ((1, out), (2, err)) if fd >= 0}
    return _Ends((stdin, stdout, stderr), into, heard)


def _terminal_ends(options: ExecOptions) -> _Ends:
    """A terminal carries input and both outputs as one. It is raw: the one inside the container
    echoes and edits."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    into = os.dup(ours) if options.stdin else -1
    return _Ends((theirs, theirs, theirs), into, {ours: 1}, coupled=True)


async def _spawn(
    maker: Maker, bundle: Path, place: Path, theirs: tuple[int, int, int], *more: str
) -> asyncio.subprocess.Process:
    null = asyncio.subprocess.DEVNULL
    stdin, stdout, stderr = (fd if fd >= 0 else null for fd in theirs)
    return await asyncio.create_subprocess_exec(
        *maker.command, maker.root, f"--log={place}/log", "exec",
        "--process", f"{place}/process.json", "--pid-file", f"{place}/pid", *more, bundle.name,
        stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True,
    )  # fmt: skip


async def _started(maker: asyncio.subprocess.Process, clock: Clock, place: Path) -> int:
    """The command's pid, once it has one."""
    while not (pid := pid_in(place / "pid")):
        if maker.returncode is not None:
            said = (place / "log").read_text(errors="replace")
            raise RuntimeFailure(
                "failed to exec in container: OCI runtime exec failed: "
                f"{last_complaint(said) or 'it ended without a word'}"
            )
        await clock.sleep(_LOOK_AGAIN_S)
    return pid


def _end_tree(root: int, group: str) -> None:
    """SIGKILL to a process of the group and all below it. They are stopped first, so that nobody
    is born while they are counted."""
    stopped: set[int] = set()
    while new := _tree(root, group) - stopped:
        for pid in new:
            _send(pid, signal.SIGSTOP)
        stopped |= new
    for pid in stopped:
        _send(pid, signal.SIGKILL)


def _tree(root: int, group: str) -> set[int]:
    parents = {pid: _parent(pid) for pid in cgroups.processes(group)}
    found = {root} & parents.keys()
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _parent(pid: int) -> int:
    """proc(5), stat: the second field after the command, which may hold any character."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
