"""Hears of the ends of containers: the end of a container is the end of its conmon, which a pidfd tells."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping

from longshore.base.clock import Clock
from longshore.machinery.runtime.oci import cgroups, host, records
from longshore.machinery.runtime.oci.live import Live

Said = Callable[[str], None]


class Watch:
    """Of the containers in known, which others fill: who ends before it is there is ended by whoever
    puts it there. log is told, in one sentence, of an end that nobody knows of."""

    def __init__(self, known: Mapping[str, Live], clock: Clock, log: Said) -> None:
        self._known = known
        self._clock = clock
        self._log = log
        self._changed: set[str] = set()
        self._wake = asyncio.Event()

    async def changed(self) -> set[str]:
        """Wait until containers ended by themselves; the ids of their sandboxes."""
        while not self._changed:
            self._wake.clear()
            await self._wake.wait()
        changed, self._changed = self._changed, set()
        return changed

    def begin(self, live: Live) -> bool:
        """Listen for the end of its conmon. False if that is over already."""
        container_id = live.container.id
        live.conmon_fd = host.running(records.pid_in(live.directory / "conmon.pid"), container_id)
        if live.conmon_fd < 0:
            return False
        # While its conmon lives, the container's pid cannot have become somebody else's.
        live.pidfd = host.running(records.pid_in(live.directory / "pid"))
        asyncio.get_running_loop().add_reader(live.conmon_fd, self._conmon_ended, live)
        return True

    def leave(self, live: Live) -> None:
        """Listen no more."""
        if live.conmon_fd >= 0:
            asyncio.get_running_loop().remove_reader(live.conmon_fd)
            os.close(live.conmon_fd)
        if live.pidfd >= 0:
            os.close(live.pidfd)
        live.conmon_fd = live.pidfd = -1

    def end(self, live: Live) -> None:
        """Its conmon is gone: the exit file says how it ended, or nobody knows."""
        _note_memory(live)
        done = records.exited(live.record, live.directory)
        if done is None:
            self._log(
                f"container {live.container.id[:12]}: its conmon is gone and left no exit code"
            )
            self.signal(live, signal.SIGKILL)
            cgroups.kill(live.group)
            done = records.lost(live.record, live.directory, self._clock.now())
        elif live.record.shares_pids:
            cgroups.kill(live.group)  # its end took no one along
        self.leave(live)
        live.record = done
        live.ended.set()
        self._changed.add(done.container.sandbox)
        self._wake.set()

    def signal(self, live: Live, number: int) -> None:
        """To the container's first process; nothing if it is gone."""
        if live.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(live.pidfd, number)

    def _conmon_ended(self, live: Live) -> None:
        asyncio.get_running_loop().remove_reader(live.conmon_fd)
        live.ended.set()
        if live.container.id in self._known:
            self.end(live)


def _note_memory(live: Live) -> None:
    """conmon can miss it, and the group does not outlive a restart of the machine: write it down."""
    if cgroups.oom_kills(live.group):
        (live.directory / "oom").touch()
