"""Taints of nodes and tolerations of pods. Pure; rules as in k8s.io/api/core/v1/toleration.go."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from longshore.core.objects.kinds import Doc

UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
HARD = ("NoSchedule", "NoExecute")
_DECIMAL = re.compile(r"0|-?[1-9][0-9]*")
_INT64 = 2**63


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
    """Empty key with Exists: every taint; empty effect: every effect. Lt and Gt compare the taint's
    value with the toleration's, as numbers (KEP-5471)."""

    key: str
    value: str
    effect: str
    operator: str

    def covers(self, taint: Taint) -> bool:
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        if self.operator == "Exists":
            return True
        if self.operator in ("Lt", "Gt"):
            return self._compares(taint.value)
        return bool(self.key) and self.value == taint.value

    def _compares(self, value: str) -> bool:
        bound, there = number(self.value), number(value)
        if bound is None or there is None:
            return False
        return there < bound if self.operator == "Lt" else there > bound


def number(text: str) -> int | None:
    """What a decimal integer in canonical form says; None if it is none, or not of 64 bits
    (apimachinery's api/validate/content.IsDecimalInteger)."""
    value = int(text) if len(text) < 21 and _DECIMAL.fullmatch(text) else None
    return value if value is not None and -_INT64 <= value < _INT64 else None


def taint_of(one: Doc) -> Taint:
    return Taint(one["key"], one.get("value") or "", one["effect"])


def taints_of(node: Doc) -> tuple[Taint, ...]:
    return tuple(map(taint_of, (node.get("spec") or {}).get("taints") or ()))


def toleration_of(one: Doc) -> Toleration:
    return Toleration(
        one.get("key") or "",
        one.get("value") or "",
        one.get("effect") or "",
        one.get("operator") or "Equal",
    )


def tolerations_of(pod_spec: Doc) -> tuple[Toleration, ...]:
    return tuple(map(toleration_of, pod_spec.get("tolerations") or ()))


def tolerates(toleration: Doc, taint: Doc) -> bool:
    """Whether one covers the other, as documents have them."""
    return toleration_of(toleration).covers(taint_of(taint))


def tolerated(taint: Taint, tolerations: Sequence[Toleration]) -> bool:
    return any(one.covers(taint) for one in tolerations)


def untolerated(taints: Sequence[Taint], tolerations: Sequence[Toleration]) -> Taint | None:
    """The first taint that keeps a pod away, if there is one."""
    for taint in taints:
        if taint.effect in HARD and not tolerated(taint, tolerations):
            return taint
    return None
