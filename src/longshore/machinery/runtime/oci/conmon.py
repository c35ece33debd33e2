"""Starts conmon, which starts runc or crun, which makes the container; then lets the container go.

conmon outlives its agent: it has a session and a control group of its own, keeps the container's
log, and writes the exit code to a file before it ends itself. Both pipes are conmon's own protocol
(_OCI_STARTPIPE: it waits for a word before it forks; _OCI_SYNCPIPE: it reports the container's pid).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from longshore.base.clock import Clock
from longshore.machinery.runtime.oci import cgroups, host
from longshore.machinery.runtime.oci.programs import Maker, Programs
from longshore.machinery.runtime.protocol import ContainerSpec, StartFailed
from longshore.machinery.runtime.waiting import either, within
from longshore.machinery.runtime.words import last_complaint

_REPORT_MAX_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Order:
    """One container to be made from a bundle directory."""

    id: str
    bundle: Path
    spec: ContainerSpec
    log_max_bytes: int
    patience_s: float


class Keeper:
    """A conmon that has been started, and waits for the word to have its container made."""

    def __init__(self, order: Order, pid: int, say: int, hear: int) -> None:
        self._order = order
        self._pid = pid
        self._say = say
        self._hear = hear
        self._told = False

    async def create(self, clock: Clock) -> int:
        """Make the container, stopped before its first instruction; its pid in this namespace. Raises
        StartFailed with its maker's own words; whoever asked ends one that takes too long."""
        self._told = True
        with contextlib.suppress(BrokenPipeError):  # then it has left its complaint
            os.write(self._say, b"go\n")
        return _judge(await self._report(clock), self._order)

    async def _report(self, clock: Clock) -> bytes:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self._hear, ready.set)
        try:
            if not await within(clock, self._order.patience_s, ready):
                raise StartFailed(f"the container was not made within {self._order.patience_s:g} s")
        finally:
            loop.remove_reader(self._hear)
        return os.read(self._hear, _REPORT_MAX_BYTES)

    def close(self) -> None:
        """One that was told nothing is ended: it would take our silence for the word."""
        if not self._told:
            os.kill(self._pid, signal.SIGKILL)
        os.close(self._say)
        os.close(self._hear)
        # Its first process ends as soon as it has forked the one that stays.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


@contextlib.contextmanager
def started(programs: Programs, order: Order) -> Iterator[Keeper]:
    """Start one in a bundle directory that may still be empty: it gets up while that is filled. The directory
    of the log must be there. Raises StartFailed."""
    keeper = _start(programs, order)
    try:
        yield keeper
    finally:
        keeper.close()


def _start(programs: Programs, order: Order) -> Keeper:
    sync_out, sync_in = os.pipe()
    start_out, start_in = os.pipe()
    try:
        pid = _spawn(programs, order, sync_in, start_out)
    except OSError as error:
        os.close(start_in)
        os.close(sync_out)
        raise StartFailed(f"conmon cannot be started: {error.strerror}") from error
    finally:
        os.close(sync_in)
        os.close(start_out)
    return Keeper(order, pid, start_in, sync_out)


async def release(maker: Maker, container_id: str, ended: asyncio.Event) -> None:
    """Let a created container run; returns when its program does. This is all that `runc start` or
    `crun start` does, without another process. The pipe closes when init executes the program. ended is
    set if it ends before. Raises StartFailed."""
    fifo = maker.state / container_id / "exec.fifo"
    mode = os.O_WRONLY if maker.reads_start else os.O_RDONLY
    try:
        fd = os.open(fifo, mode | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            await (_tell(fd, ended) if maker.reads_start else _hear(fd, ended))
        finally:
            os.close(fd)
    except OSError:
        raise StartFailed("the container ended before it was started") from None
    fifo.unlink(missing_ok=True)


async def release_again(makers: Iterable[Maker], container_id: str) -> None:
    """Let a container run that somebody was about to let run, who may have done so before he died."""
    for maker in makers:
        fifo = maker.state / container_id / "exec.fifo"
        mode = os.O_WRONLY if maker.reads_start else os.O_RDONLY
        try:
            fd = os.open(fifo, mode | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:  # another maker's; or crun's init, which waits no more
            continue
        try:
            await (_write(fd) if maker.reads_start else _drain(fd))
        finally:
            os.close(fd)
        fifo.unlink(missing_ok=True)


async def _write(fd: int) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(fd, b"0")


async def _drain(fd: int) -> None:
    """Read until nobody writes any more: at once if nobody waits."""
    while True:
        try:
            if not os.read(fd, _REPORT_MAX_BYTES):
                return
        except BlockingIOError:
            await _readable(fd, None)


async def _hear(fd: int, ended: asyncio.Event) -> None:
    """Be the reader that runc's init waits for."""
    if not await _first_word(fd, ended):
        raise StartFailed("the container ended before it was started")
    while await _first_word(fd, ended):
        pass


async def _tell(fd: int, ended: asyncio.Event) -> None:
    """Write the byte that crun's init waits for, and wait until it has let go of its end."""
    os.write(fd, b"0")
    with select.epoll() as broken:  # a pipe that nobody reads any more is an error, and no input
        broken.register(fd, 0)
        await _readable(broken.fileno(), ended)


def _spawn(programs: Programs, order: Order, sync_fd: int, start_fd: int) -> int:
    bundle, maker = str(order.bundle), programs.maker
    arguments = [
        programs.conmon, "--cid", order.id, "--cuuid", order.id, "--name", order.id,
        "--bundle", bundle, "--exit-dir", bundle, "--persist-dir", bundle, "--full-attach",
        "--container-pidfile", f"{bundle}/pid", "--conmon-pidfile", f"{bundle}/conmon.pid",
        "--runtime", maker.command[0],
        *(f"--runtime-arg={word}" for word in (*maker.command[1:], maker.root)),
        "--log-path", f"k8s-file:{order.spec.log_path}", "--log-level", "error", "--no-sync-log",
    ]  # fmt: skip
    if order.log_max_bytes:
        arguments += ["--log-size-max", str(order.log_max_bytes)]
    if order.spec.tty:
        arguments.append("--terminal")
    if order.spec.stdin:
        arguments += ["--stdin"] if order.spec.stdin_once else ["--stdin", "--leave-stdin-open"]
    said = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawn(
        programs.conmon,
        arguments,
        {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "_OCI_SYNCPIPE": str(sync_fd),
            "_OCI_STARTPIPE": str(start_fd),
        },
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, f"{bundle}/conmon.log", said, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            # Onto themselves: the child's copies lose close-on-exec, ours keep it.
            (os.POSIX_SPAWN_DUP2, sync_fd, sync_fd),
            (os.POSIX_SPAWN_DUP2, start_fd, start_fd),
        ],
        setsid=True,
    )


async def _first_word(fd: int, ended: asyncio.Event | None = None) -> bytes:
    """The first piece a pipe gives; b"" if its writers are gone, or ended is set before."""
    await _readable(fd, ended)
    with contextlib.suppress(BlockingIOError):
        return os.read(fd, _REPORT_MAX_BYTES)
    return b""


async def _readable(fd: int, ended: asyncio.Event | None) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        await (ready.wait() if ended is None else either(ready, ended))
    finally:
        loop.remove_reader(fd)


def _judge(report: bytes, order: Order) -> int:
    said: dict[str, Any] = {}
    with contextlib.suppress(orjson.JSONDecodeError):
        said = orjson.loads(report) if report else {}
    pid = int(said.get("pid", -1))
    if pid > 0:
        return pid
    words = said.get("message") or (order.bundle / "conmon.log").read_text(errors="replace")
    raise StartFailed(_plain(words) or "conmon ended without a word")


def _plain(words: str) -> str:
    """runc's complaint on one line, without the frames around it."""
    last = last_complaint(words)
    for frame in ("runc create failed: ", "unable to start container process: "):
        last = last.partition(frame)[2] or last
    return last


def shelter(conmons: list[tuple[int, str]], group: str) -> None:
    """Move containers' conmons, where a pid is still its container's. A host that forbids it still
    has its containers."""
    for pid, container_id in conmons:
        fd = host.running(pid, container_id)
        if fd < 0:
            continue
        with contextlib.suppress(OSError):
            cgroups.move(pid, group)
        os.close(fd)
