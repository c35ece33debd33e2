"""Limits of control groups that are there already, written directly: what `runc update` would do, at a
hundredth of its cost. v1 as in cgroup-v1/*.rst, v2 as in cgroup-v2.rst.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from longshore.machinery.runtime.oci import cgroups
from longshore.machinery.runtime.oci.spec import CPU_PERIOD_US, cpu_quota
from longshore.machinery.runtime.oci.usage import measure
from longshore.machinery.runtime.protocol import Resources, RuntimeFailure

_SHARES_MIN, _SHARES_MAX = 2, 262_144
_UNSET: tuple[list[str], ...] = ([], ["-1"], ["max"])


@dataclass(frozen=True, slots=True)
class Write:
    """One value of one controller's."""

    controller: str
    file: str
    value: str


def writes_v1(limits: Resources) -> list[Write]:
    """All that a group of version 1 is to say. Memory comes first: it alone may be refused. An empty
    value is that of the group above."""
    found = [
        Write("memory", "memory.limit_in_bytes", str(limits.memory_limit_bytes or -1)),
        Write("pids", "pids.max", str(limits.pids_limit or "max")),
        Write("cpuset", "cpuset.cpus", limits.cpuset),
    ]
    if limits.cpu_limit_millis:
        found.append(Write("cpu", "cpu.cfs_period_us", str(CPU_PERIOD_US)))
    quota = cpu_quota(limits.cpu_limit_millis) if limits.cpu_limit_millis else -1
    found.append(Write("cpu", "cpu.cfs_quota_us", str(quota)))
    if limits.cpu_shares:
        found.append(Write("cpu", "cpu.shares", str(max(_SHARES_MIN, limits.cpu_shares))))
    return found


def writes_v2(limits: Resources) -> list[Write]:
    """All that a group of version 2 is to say."""
    quota = cpu_quota(limits.cpu_limit_millis) if limits.cpu_limit_millis else "max"
    found = [
        Write("memory", "memory.max", str(limits.memory_limit_bytes or "max")),
        Write("cpu", "cpu.max", f"{quota} {CPU_PERIOD_US}"),
        Write("pids", "pids.max", str(limits.pids_limit or "max")),
        Write("cpuset", "cpuset.cpus", limits.cpuset or "\n"),
    ]
    if limits.cpu_shares:
        found.append(Write("cpu", "cpu.weight", str(weight(limits.cpu_shares))))
    return found


def besides(*, swaps: bool) -> dict[str, str]:
    """What a container's group of version 2 is to say beside its limits, by file: when the kernel ends one of its
    processes for want of memory, it ends them all (KubeletConfiguration: singleProcessOOMKill is false there), and none
    of it is swapped (memorySwap.swapBehavior: NoSwap). swaps: whether the kernel lets that be said."""
    return {"memory.oom.group": "1"} | ({"memory.swap.max": "0"} if swaps else {})


def besides_here() -> dict[str, str] | None:
    """The same on this machine; None where version 2 is not alone."""
    return besides(swaps=cgroups.limits_swap()) if cgroups.is_unified() else None


def weight(shares: int) -> int:
    """cpu.weight (1 to 10000) of Docker's shares (2 to 262144), as KEP-2254 has it."""
    bounded = max(_SHARES_MIN, min(shares, _SHARES_MAX))
    return 1 + (bounded - _SHARES_MIN) * 9999 // (_SHARES_MAX - _SHARES_MIN)


def change(group: str, limits: Resources) -> None:
    """Give a group these limits, all of them, or, with RuntimeFailure, none of them. Blocks."""
    check_memory(group, limits.memory_limit_bytes)
    places = [one for one in _places(group, limits) if one[0].exists() or _is_set(one[1])]
    for path, _ in places:
        _make(path.parent)
    _write_all([(path, value or _above(path).read_text()) for path, value in places])


def bound(group: str, limits: Resources) -> None:
    """Make a group that is to hold others, with those of the limits that are set. Blocks. Raises
    RuntimeFailure."""
    for path, value in _places(group, limits):
        if _is_set(value):
            _make(path.parent)
            _write(path, value)


def _is_set(value: str) -> bool:
    return value.split()[:1] not in _UNSET


def _above(file: Path) -> Path:
    return file.parent.parent / file.name


def _places(group: str, limits: Resources) -> Iterator[tuple[Path, str]]:
    """Where each value goes, of the controllers that this machine has."""
    found = cgroups.hierarchies()
    if cgroups.is_unified():
        root = found["unified"] / group.lstrip("/")
        yield from ((root / write.file, write.value) for write in writes_v2(limits))
        return
    mounted = {one: path for name, path in found.items() for one in name.split(",")}
    for write in writes_v1(limits):
        if write.controller in mounted:
            yield mounted[write.controller] / group.lstrip("/") / write.file, write.value


def _make(directory: Path) -> None:
    """The group's directory. Of version 2, those above hand their controllers on to it."""
    if directory.exists():
        return
    directory.mkdir(parents=True, exist_ok=True)
    unified = cgroups.hierarchies().get("unified")
    if unified is None or unified not in directory.parents:
        return
    for above in reversed(directory.parents):
        if above == unified or unified in above.parents:
            for controller in ("cpu", "memory", "pids", "cpuset"):
                with contextlib.suppress(OSError):  # one that the machine does not have
                    (above / "cgroup.subtree_control").write_text(f"+{controller}")


def check_memory(group: str, limit: int) -> None:
    """A limit below what is in use would kill, rather than be refused, on version 2. Blocks. Raises RuntimeFailure."""
    used = measure(group)
    if limit and used is not None and used.working_set_bytes > limit:
        raise RuntimeFailure(
            f"the memory limit {limit} is below what is in use: {used.working_set_bytes} bytes"
        )


def _write_all(wanted: list[tuple[Path, str]]) -> None:
    """Every value, or none: what was there is put back. Raises RuntimeFailure."""
    done: list[tuple[Path, str]] = []
    for path, value in wanted:
        before = path.read_text()
        try:
            _write(path, value)
        except RuntimeFailure:
            for place, old in reversed(done):
                with contextlib.suppress(OSError):
                    place.write_text(old)
            raise
        done.append((path, before))


def _write(path: Path, value: str) -> None:
    try:
        cgroups.write(str(path), value)
    except OSError as error:
        raise RuntimeFailure(f"{path.name} cannot be set to {value}: {error.strerror}") from error
