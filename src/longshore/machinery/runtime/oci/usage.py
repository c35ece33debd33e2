"""What control groups have used, from the kernel's counters (cgroup-v1/memory.rst, cgroup-v2.rst)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from longshore.machinery.runtime.oci.cgroups import hierarchies, is_unified
from longshore.machinery.runtime.pressure import MACHINE, RESOURCES, Pressure, Pressures, parse
from longshore.machinery.runtime.protocol import Usage


def measure_all(groups: Mapping[str, str]) -> dict[str, Usage]:
    """Of each group that there is; those that went meanwhile are left out."""
    found = {name: measure(group) for name, group in groups.items()}
    return {name: usage for name, usage in found.items() if usage is not None}


def measure(group: str) -> Usage | None:
    """Of the group and all below it. None if there is none. The working set is what cannot be taken
    away at once: all but the inactive file cache, as cAdvisor has it."""
    try:
        cpu_ns, (used, stat) = _cpu_ns(group), _memory(group)
    except (OSError, ValueError, KeyError):
        return None
    inactive = stat.get("total_inactive_file", stat.get("inactive_file", 0))
    rss = stat.get("total_rss", stat.get("anon", 0))
    faults, major = stat.get("pgfault", 0), stat.get("pgmajfault", 0)
    return Usage(cpu_ns, used, max(0, used - inactive), rss, faults, major, _pids(group))


def pressure_on(groups: Mapping[str, str]) -> dict[str, Pressures]:
    """On each group that there is, and on the machine. Empty where version 2 is not alone, as upstream has it."""
    if not is_unified():
        return {}
    every = {MACHINE: "/", **groups}
    return {name: dict(_pressures(group)) for name, group in every.items()}


def _pressures(group: str) -> Iterator[tuple[str, Pressure]]:
    directory = hierarchies()["unified"] / group.lstrip("/")
    for resource in RESOURCES:
        with contextlib.suppress(OSError, ValueError):  # gone, or a kernel that does not count it
            yield resource, parse((directory / f"{resource}.pressure").read_text())


def _cpu_ns(group: str) -> int:
    directory, old = _directory(group, "cpuacct")
    if old:
        return int((directory / "cpuacct.usage").read_text())
    return 1000 * _numbers(directory / "cpu.stat")["usage_usec"]


def _memory(group: str) -> tuple[int, dict[str, int]]:
    directory, old = _directory(group, "memory")
    used = "memory.usage_in_bytes" if old else "memory.current"
    return int((directory / used).read_text()), _numbers(directory / "memory.stat")


def _pids(group: str) -> int:
    """0 where the machine does not count them."""
    try:
        return int((_directory(group, "pids")[0] / "pids.current").read_text())
    except (OSError, ValueError, KeyError):
        return 0


def _directory(group: str, controller: str) -> tuple[Path, bool]:
    """Where the group's counters of that controller are, and whether they are those of v1. Raises
    KeyError if the machine has none."""
    found = hierarchies()
    for name, mounted in found.items():
        if controller in name.split(","):
            return mounted / group.lstrip("/"), True
    return found["unified"] / group.lstrip("/"), False


def _numbers(file: Path) -> dict[str, int]:
    """A file of lines "KEY NUMBER"."""
    return {key: int(value) for key, value in map(str.split, file.read_text().splitlines())}
