"""Thresholds of eviction, read from a node's settings (pkg/kubelet/eviction/helpers.go). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from longshore.base import quantities
from longshore.machinery.kubelet.resource_settings import ResourceSettings

MEMORY, DISK, INODES, PIDS = "memory", "ephemeral-storage", "inodes", "pids"
RESOURCE_OF: Mapping[str, str] = {
    "memory.available": MEMORY,
    "allocatableMemory.available": MEMORY,
    "nodefs.available": DISK,
    "nodefs.inodesFree": INODES,
    "imagefs.available": DISK,
    "imagefs.inodesFree": INODES,
    "pid.available": PIDS,
}
CONDITION_OF = {
    MEMORY: "MemoryPressure",
    DISK: "DiskPressure",
    INODES: "DiskPressure",
    PIDS: "PIDPressure",
}
_OFF = ("0%", "100%")


@dataclass(frozen=True, slots=True)
class Amount:
    """So much, or a share of what there is in all."""

    quantity: int = 0
    share: Fraction | None = None

    def of(self, capacity: int) -> int:
        return self.quantity if self.share is None else int(self.share * capacity)


@dataclass(frozen=True, slots=True)
class Threshold:
    """Less than value of a signal is too little. With a grace, only when it has been so for as long;
    what is too little is enough again when reclaim more than the value is there."""

    signal: str
    value: Amount
    grace_s: float = 0.0
    reclaim: Amount = Amount()

    @property
    def hard(self) -> bool:
        return self.grace_s == 0

    @property
    def resource(self) -> str:
        return RESOURCE_OF[self.signal]

    @property
    def condition(self) -> str:
        return CONDITION_OF[self.resource]


def thresholds_of(settings: ResourceSettings) -> tuple[Threshold, ...]:
    """All that are set. Raises ValueError in upstream's words. Where memory.available is bounded, so is
    what pods as a whole leave of allocatable memory (enforceNodeAllocatable: pods)."""
    reclaim = {s: _amount(s, v) for s, v in settings.eviction_minimum_reclaim.items()}
    nothing = Amount()
    hard = [
        Threshold(signal, value, 0.0, reclaim.get(signal) or nothing)
        for signal, value in _read(settings.eviction_hard)
    ]
    soft = [
        Threshold(signal, value, _grace_s(settings, signal), reclaim.get(signal) or nothing)
        for signal, value in _read(settings.eviction_soft)
    ]
    pods = [
        Threshold("allocatableMemory.available", one.value, 0.0, one.reclaim)
        for one in hard
        if one.signal == "memory.available"
    ]
    return (*hard, *soft, *pods)


def _read(said: Mapping[str, str]) -> list[tuple[str, Amount]]:
    read = [(signal, _amount(signal, text)) for signal, text in said.items() if text not in _OFF]
    return [(signal, amount) for signal, amount in read if amount is not None]


def _amount(signal: str, text: str) -> Amount | None:
    if signal not in RESOURCE_OF:
        raise ValueError(f"unsupported eviction signal {signal}")
    if text.endswith("%"):
        share = quantities.parse(text[:-1]) / 100
        if not 0 <= share <= 1:
            raise ValueError(f"eviction percentage threshold {signal} must be 0% to 100%: {text}")
        return Amount(share=share)
    quantity = quantities.whole(text)
    if quantity <= 0:
        raise ValueError(f"eviction threshold {signal} must be positive: {text}")
    return Amount(quantity)


def _grace_s(settings: ResourceSettings, signal: str) -> float:
    grace = settings.eviction_soft_grace_s.get(signal)
    if grace is None:
        raise ValueError(f"grace period must be specified for the soft eviction threshold {signal}")
    if grace <= 0:
        raise ValueError(f"invalid eviction grace period specified: {signal}, must be positive")
    return grace
