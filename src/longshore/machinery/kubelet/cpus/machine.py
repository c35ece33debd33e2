"""Read from the kernel which CPUs there are, and how they are together."""

from __future__ import annotations

import os
from pathlib import Path

from longshore.base import quantities
from longshore.machinery.kubelet.cpus.lists import parse_cpus
from longshore.machinery.kubelet.cpus.plan import Machine, choose
from longshore.machinery.kubelet.resource_settings import ResourceSettings

_CPUS = Path("/sys/devices/system/cpu")


def read_machine(settings: ResourceSettings) -> Machine:
    """The CPUs that this process may use. Reserved are those that are named, or else as many as
    are set aside, in the order in which they would be given away."""
    here = frozenset(os.sched_getaffinity(0))
    bare = Machine(here, frozenset(), {cpu: _place(cpu) for cpu in here})
    named = parse_cpus(settings.reserved_cpus)
    if not named:
        named = choose(bare, here, min(len(here), _set_aside(settings)))
    return Machine(here, named & here, bare.place)


def _set_aside(settings: ResourceSettings) -> int:
    millis = sum(
        quantities.millis(part.get("cpu", 0))
        for part in (settings.kube_reserved, settings.system_reserved)
    )
    return -(-millis // 1000)


def _place(cpu: int) -> tuple[int, int]:
    """A machine that does not tell has every CPU on a core of its own."""
    topology = _CPUS / f"cpu{cpu}" / "topology"
    try:
        socket = int((topology / "physical_package_id").read_text())
        return socket, int((topology / "core_id").read_text())
    except (OSError, ValueError):
        return 0, cpu
