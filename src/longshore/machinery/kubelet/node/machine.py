"""Read from the kernel what a node says of itself. Reads /proc and statvfs; nothing is cached."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from longshore.machinery.kubelet.config import MAX_PODS
from longshore.machinery.kubelet.node.plan import MachineFacts

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
# pkg/kubelet/eviction/defaults_linux.go
_MEMORY_FREE_MIN_BYTES = 100 * 1024 * 1024
_DISK_FREE_MIN_SHARE = 0.10
_INODES_FREE_MIN_SHARE = 0.05
_PIDS_FREE_MIN_SHARE = 0.05


def machine_facts(root: Path) -> MachineFacts:
    """The machine as it is now; root is a path on the disk that pods use."""
    memory, disk = _meminfo(), os.statvfs(root)
    return MachineFacts(
        architecture=_ARCHITECTURES.get(platform.machine(), platform.machine()),
        kernel_version=platform.release(),
        os_image=_os_image(),
        machine_id=_text("/etc/machine-id"),
        system_uuid=_text("/sys/class/dmi/id/product_uuid") or _text("/etc/machine-id"),
        boot_id=_text("/proc/sys/kernel/random/boot_id"),
        capacity={
            "cpu": str(len(os.sched_getaffinity(0))),
            "memory": f"{memory['MemTotal']}Ki",
            "ephemeral-storage": f"{disk.f_blocks * disk.f_frsize // 1024}Ki",
            "pods": str(MAX_PODS),
        },
        pressure=frozenset(_pressure(memory, disk)),
    )


def _pressure(memory: dict[str, int], disk: os.statvfs_result) -> set[str]:
    pressed = set()
    if memory["MemAvailable"] * 1024 < _MEMORY_FREE_MIN_BYTES:
        pressed.add("MemoryPressure")
    free_inodes = disk.f_favail / disk.f_files if disk.f_files else 1.0
    if disk.f_bavail < disk.f_blocks * _DISK_FREE_MIN_SHARE or free_inodes < _INODES_FREE_MIN_SHARE:
        pressed.add("DiskPressure")
    used, most = _tasks(), int(_text("/proc/sys/kernel/pid_max") or 32768)
    if most - used < most * _PIDS_FREE_MIN_SHARE:
        pressed.add("PIDPressure")
    return pressed


def _tasks() -> int:
    """Tasks of the whole machine: the second number of "running/all" in /proc/loadavg."""
    return int(_text("/proc/loadavg").split()[3].partition("/")[2])


def _meminfo() -> dict[str, int]:
    pairs = (line.split(":", 1) for line in _text("/proc/meminfo").splitlines())
    return {name: int(value.split()[0]) for name, value in pairs}


def _os_image() -> str:
    for line in _text("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "Linux"


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
