"""What this process uses, under the names of Prometheus' process collector
(https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics). Linux alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from longshore.base.metrics import counter, gauge

if sys.platform != "win32":
    import resource


def lines() -> Iterator[str]:
    """All of it, as Prometheus reads it; nothing where there is no Linux."""
    if sys.platform != "linux":
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    virtual, resident = _memory_bytes()
    open_most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    yield from counter(
        "process_cpu_seconds_total", "Seconds of processor time, of users and of the system.", (),
        [((), usage.ru_utime + usage.ru_stime)],
    )  # fmt: skip
    for name, help_text, value in (
        ("resident_memory_bytes", "Memory that is held now.", resident),
        ("max_resident_memory_bytes", "The most memory there ever was.", usage.ru_maxrss * 1024),
        ("virtual_memory_bytes", "Addresses that are in use.", virtual),
        ("open_fds", "Open file descriptors.", len(os.listdir(_PROC / "fd"))),
        ("max_fds", "How many there may be.", open_most),
        ("start_time_seconds", "When it began, in seconds since the epoch.", _began(os.getpid())),
    ):
        yield from gauge(f"process_{name}", help_text, (), [((), float(value))])


def cpu_seconds() -> float:
    """Processor time of all threads so far, the system's share of it too."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def resident_bytes() -> int:
    """Memory that is held now."""
    return _memory_bytes()[1]


_PROC = Path("/proc/self")


def _memory_bytes() -> tuple[int, int]:
    """Addresses in use, and what of them is in memory."""
    virtual, resident = map(int, _PROC.joinpath("statm").read_text().split()[:2])
    page = resource.getpagesize()
    return virtual * page, resident * page


@lru_cache(maxsize=1)
def _began(pid: int) -> float:
    # The 22nd field of stat (proc(5)); the name before it is the only one that may hold spaces.
    ticks = int((_PROC / "stat").read_text().rpartition(")")[2].split()[19])
    booted = next(
        line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime ")
    )
    return int(booted.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
