"""What the processes of a cluster have in common: their name, their log, how they end."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import signal
import sys
from collections.abc import Coroutine, Iterator

import uvloop

from longshore.core.store.protocol import StoreError

# Connections that wait to be accepted.
BACKLOG = 1024
# Tells a node's agent to end its pods and then itself: what the kernel sends init when power fails.
SHUT_DOWN = signal.SIGPWR
log = logging.getLogger("longshore.process")

# Collecting is rare: what the cache holds is bytes, and the rest dies young. Of the youngest, as many as
# take some 10 ms to look through: whoever comes meanwhile waits (of 100,000 it was up to 65 ms).
GC_THRESHOLDS = (20_000, 250, 100)
# An agent has little to look through, and should be small: of what is dead it keeps no megabytes.
AGENT_GC_THRESHOLDS = (2_000, 10, 10)
_M_ARENA_MAX = -8  # malloc.h
# How long a busy loop may keep the interpreter from a thread that waits for it. A commit is some ten such
# waits of the store's thread, and at the 5 ms that Python gives by itself two commits are 100 ms.
SWITCH_S = 0.0005


def prepare_process(name: str, collecting: tuple[int, int, int] = GC_THRESHOLDS) -> None:
    """Its name, its log, and its interpreter."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    tune_interpreter(collecting)
    try:
        with open("/proc/self/comm", "w") as comm:
            comm.write(name)
    except OSError:
        log.debug("this system has no process names")


def prepare_agent(name: str) -> None:
    """As prepare_process, for one that has little to do and should be small."""
    prepare_process(name, AGENT_GC_THRESHOLDS)
    _share_one_heap()


def _share_one_heap() -> None:
    """The C library keeps a heap for each of the first threads, of which nobody else can use what is free:
    1.5 MB of an agent's (mallopt(3)). Threads that hold the interpreter's lock do not fight for one."""
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(_M_ARENA_MAX, 1)


def tune_interpreter(collecting: tuple[int, int, int] = GC_THRESHOLDS) -> None:
    """How seldom it collects, and how soon it lets threads take turns."""
    gc.set_threshold(*collecting)
    sys.setswitchinterval(SWITCH_S)


def run_to_the_end(work: Coroutine[None, None, None]) -> None:
    """Run a process's work. What ends it is said in full, and once more in the log's last line."""
    try:
        uvloop.run(work)
    except BaseExceptionGroup as group:
        log.exception("stopped by a fault")
        log.error("stopped by %s", "; ".join(_causes(group)))
        raise SystemExit(1) from group
    except StoreError as error:  # as it was opened: a sentence for a person, not a fault of ours
        log.error("%s", error)
        raise SystemExit(1) from error


def _causes(group: BaseExceptionGroup[BaseException]) -> Iterator[str]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _causes(error)
        else:
            yield f"{type(error).__name__}: {error}"


async def until_signalled(work: Coroutine[None, None, None]) -> None:
    """Run work until it ends, or until SIGTERM or SIGINT cancels it."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await work
    except asyncio.CancelledError:
        log.info("stopping")
