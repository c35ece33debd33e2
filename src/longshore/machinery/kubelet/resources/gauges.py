"""Read from the kernel what a node has left of memory, disks and processes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from longshore.machinery.kubelet.resources.use import Reading

_KIB = 1024


class Gauges(Protocol):
    """Where eviction gets its measures."""

    def read(self) -> Mapping[str, Reading]:
        """By signal; one that cannot be measured is left out. Blocks for microseconds."""


class MachineGauges:
    """This machine's. root is a path on the disk of pods' volumes and logs, images one on that of images; a
    runtime that keeps them elsewhere has made none, and then root's disk counts."""

    def __init__(self, root: Path, images: Path | None = None) -> None:
        self._root = root
        self._images = images or root

    def read(self) -> Mapping[str, Reading]:
        """See Gauges."""
        found = {"memory.available": _memory(), "pid.available": _processes()}
        for name, path in (("nodefs", self._root), ("imagefs", self._images)):
            disk = os.statvfs(path if path.exists() else self._root)
            size = disk.f_frsize
            found[f"{name}.available"] = Reading(disk.f_bavail * size, disk.f_blocks * size)
            if disk.f_files:  # some file systems do not count them
                found[f"{name}.inodesFree"] = Reading(disk.f_favail, disk.f_files)
        return found


def _memory() -> Reading:
    """What is not in use but for file cache that can be dropped at once: what is left beside cAdvisor's
    working set of the whole machine."""
    figures = meminfo()
    available = figures["MemFree"] + figures["Inactive(file)"]
    return Reading(available * _KIB, figures["MemTotal"] * _KIB)


def meminfo() -> dict[str, int]:
    """/proc/meminfo, mostly KiB."""
    with open("/proc/meminfo", encoding="ascii") as file:
        pairs = (line.split(":", 1) for line in file)
        return {name: int(value.split()[0]) for name, value in pairs}


def _processes() -> Reading:
    """Tasks of the machine: the second number of "running/all" in /proc/loadavg."""
    most = min(_number("/proc/sys/kernel/pid_max"), _number("/proc/sys/kernel/threads-max"))
    with open("/proc/loadavg", encoding="ascii") as file:
        used = int(file.read().split()[3].partition("/")[2])
    return Reading(max(0, most - used), most)


def _number(path: str) -> int:
    with open(path, encoding="ascii") as file:
        return int(file.read())
