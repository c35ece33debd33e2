"""Read from the kernel what a node says of itself. Reads /proc and statvfs; nothing is cached."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from longshore.base import quantities
from longshore.machinery.kubelet.config import MAX_PODS
from longshore.machinery.kubelet.node.plan import MachineFacts
from longshore.machinery.kubelet.resources.gauges import meminfo

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_HUGE_PAGES = Path("/sys/kernel/mm/hugepages")


def machine_facts(root: Path) -> MachineFacts:
    """The machine as it is now; root is a path on the disk that pods use."""
    memory, disk = meminfo(), os.statvfs(root)
    return MachineFacts(
        architecture=_ARCHITECTURES.get(platform.machine(), platform.machine()),
        kernel_version=platform.release(),
        os_image=_os_image(),
        machine_id=_text("/etc/machine-id"),
        system_uuid=_text("/sys/class/dmi/id/product_uuid") or _text("/etc/machine-id"),
        boot_id=_text("/proc/sys/kernel/random/boot_id"),
        capacity={
            "cpu": str(len(os.sched_getaffinity(0))),
            "memory": quantities.text(memory["MemTotal"] * 1024, binary=True),
            "ephemeral-storage": quantities.text(disk.f_blocks * disk.f_frsize, binary=True),
            "pods": str(MAX_PODS),
            **_huge_pages(),
        },
    )


def _huge_pages() -> dict[str, str]:
    """What is set aside in huge pages, by resource: hugepages-2Mi and the like, of no bytes where there
    are none."""
    found = {}
    for directory in _HUGE_PAGES.glob("hugepages-*kB"):
        kib = int(directory.name.removeprefix("hugepages-").removesuffix("kB"))
        pages = int(_text(str(directory / "nr_hugepages")) or 0)
        size = quantities.text(kib * 1024, binary=True)
        found[f"hugepages-{size}"] = quantities.text(pages * kib * 1024, binary=True)
    return found


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
