"""How long processes have waited for want of CPU, memory or input and output: the kernel's pressure stall information.

Version 2 of control groups tells it of every group (Documentation/accounting/psi.rst; KEP-4205). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

RESOURCES = ("cpu", "memory", "io")
MACHINE = ""
"""Of whom the pressure on the whole machine is."""


@dataclass(frozen=True, slots=True)
class Stall:
    """The time that was lost in all, in microseconds, and its share of the last 10, 60 and 300 seconds in per cent."""

    total_us: int
    avg10: float
    avg60: float
    avg300: float


@dataclass(frozen=True, slots=True)
class Pressure:
    """some: at least one task waited; full: all that had work to do did."""

    some: Stall
    full: Stall


Pressures = Mapping[str, Pressure]
"""By resource; empty where the kernel does not tell."""


@runtime_checkable
class CanTellPressure(Protocol):
    """What a Runtime may be able to do beyond the rest: say what its containers wait for."""

    async def pressure(self) -> Mapping[str, Pressures]:
        """Of the machine, of every sandbox and of every running container, by their ids."""


def parse(text: str) -> Pressure:
    """A pressure file: "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", and the same for full, which kernels before 5.13
    do not tell of the CPU. Raises ValueError."""
    found = {line.split(" ", 1)[0]: _stall(line) for line in text.splitlines()}
    if "some" not in found:
        raise ValueError(f"{text!r} is no pressure")
    return Pressure(found["some"], found.get("full", Stall(0, 0.0, 0.0, 0.0)))


def _stall(line: str) -> Stall:
    values = dict(word.partition("=")[::2] for word in line.split(" ")[1:])
    means = (float(values.get(name, "")) for name in ("avg10", "avg60", "avg300"))
    return Stall(int(values.get("total", "")), *means)
