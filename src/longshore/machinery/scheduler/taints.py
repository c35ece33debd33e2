"""Taints of nodes and tolerations of pods. Pure; rules as in component-helpers/scheduling/corev1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from longshore.core.objects.kinds import Doc

UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
HARD = ("NoSchedule", "NoExecute")


@dataclass(frozen=True, slots=True)
class Taint:
    key: str
    value: str
    effect: str

    def __str__(self) -> str:
        return f"{{{self.key}: {self.value}}}"


CORDON = Taint(UNSCHEDULABLE, "", "NoSchedule")


@dataclass(frozen=True, slots=True)
class Toleration:
    """Empty key with exists: every taint; empty effect: every effect."""

    key: str
    value: str
    effect: str
    exists: bool

    def covers(self, taint: Taint) -> bool:
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        return self.exists or (bool(self.key) and self.value == taint.value)


def taints_of(node: Doc) -> tuple[Taint, ...]:
    return tuple(
        Taint(one["key"], one.get("value") or "", one["effect"])
        for one in (node.get("spec") or {}).get("taints") or ()
    )


def tolerations_of(pod_spec: Doc) -> tuple[Toleration, ...]:
    return tuple(
        Toleration(
            one.get("key") or "",
            one.get("value") or "",
            one.get("effect") or "",
            one.get("operator") == "Exists",
        )
        for one in pod_spec.get("tolerations") or ()
    )


def tolerated(taint: Taint, tolerations: Sequence[Toleration]) -> bool:
    return any(one.covers(taint) for one in tolerations)


def untolerated(taints: Sequence[Taint], tolerations: Sequence[Toleration]) -> Taint | None:
    """The first taint that keeps a pod away, if there is one."""
    for taint in taints:
        if taint.effect in HARD and not tolerated(taint, tolerations):
            return taint
    return None
