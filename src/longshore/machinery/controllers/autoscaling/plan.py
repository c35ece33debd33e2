"""What an autoscaler does now: how many replicas, why, and what is told of it. Pure.

Source: pkg/controller/podautoscaler/horizontal.go (reconcileAutoscaler), whose words these are.
minReplicas is at least 1 here, as the rules of the kind demand while HPAScaleToZero is alpha, so a target
of 0 replicas is always one that somebody has switched off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from longshore.base import quantities
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.autoscaling.evaluate import (
    Computed,
    Failed,
    Reading,
    World,
    compute,
)
from longshore.machinery.controllers.autoscaling.rates import Bounds, Memory, Stamped, paced
from longshore.machinery.controllers.autoscaling.replicas import USUAL_TOLERANCE, Tolerances
from longshore.machinery.controllers.autoscaling.status import (
    ABLE,
    ACTIVE,
    LIMITED,
    Conditions,
)

Telling: TypeAlias = tuple[Literal["Normal", "Warning"], str, str]
"""An Event: type, reason, message."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is clear without any metric: so many replicas, and why; no reason: leave them."""

    replicas: int
    reason: str = ""


@dataclass(slots=True)
class Plan:
    """desired: replicas there are to be; reason: why they change. metrics is what currentMetrics shows;
    computed: what each metric asked for (None: it could not be computed), and its type; failure: why
    nothing could be done."""

    conditions: Conditions
    memory: Memory
    desired: int
    reason: str = ""
    metrics: list[Doc] = field(default_factory=list)
    computed: list[tuple[int | None, str]] = field(default_factory=list)
    tellings: list[Telling] = field(default_factory=list)
    failure: str = ""


def bounds_of(spec: Doc) -> Bounds:
    return Bounds(int(spec.get("minReplicas", 1)), int(spec["maxReplicas"]))


def tolerances_of(spec: Doc) -> Tolerances:
    """Those of its behavior, else the usual."""
    behavior = spec.get("behavior") or {}
    down, up = (
        float(quantities.parse((behavior.get(side) or {}).get("tolerance", USUAL_TOLERANCE)))
        for side in ("scaleDown", "scaleUp")
    )
    return Tolerances(down, up)


def without_metrics(spec: Doc, current: int) -> Decision | None:
    """None if metrics are needed."""
    bounds = bounds_of(spec)
    if current == 0:
        return Decision(0)
    if current > bounds.most:
        return Decision(bounds.most, "Current number of replicas above Spec.MaxReplicas")
    if current < bounds.least:
        return Decision(bounds.least, "Current number of replicas below Spec.MinReplicas")
    return None


def begun(hpa: Doc, current: int, memory: Memory | None, now: float) -> Plan:
    """The target was found. The first thing that is remembered is what it has."""
    conditions = Conditions.of(hpa, now)
    text = "the HPA controller was able to get the target's current scale"
    conditions.set(ABLE, "True", "SucceededGetScale", text)
    return Plan(conditions, memory or Memory((Stamped(now, current),)), current)


def decided(plan: Plan, decision: Decision) -> None:
    """Plan what is clear without metrics."""
    plan.desired, plan.reason = decision.replicas, decision.reason
    if not decision.reason:
        why = "scaling is disabled since the replica count of the target is zero"
        plan.conditions.set(ACTIVE, "False", "ScalingDisabled", why)


def unselected(plan: Plan, telling: Telling, condition: str = "") -> None:
    """Plan for a target whose pods cannot be told. condition: its message where it is another."""
    _, reason, message = telling
    named = "InvalidSelector" if reason == "SelectorRequired" else reason
    plan.conditions.set(ACTIVE, "False", named, condition or message)
    plan.tellings.append(telling)
    _fail(plan, message)


def measured(plan: Plan, spec: Doc, readings: Sequence[Reading], world: World) -> None:
    """Plan by what was read of each metric."""
    done, failed = _computed(plan, spec, readings, world)
    largest = max(done, key=lambda one: one.replicas, default=None)
    summary = ""
    if failed:
        count = f"{len(failed)} invalid out of {len(readings)}"
        summary = f"invalid metrics ({count}), first error is: {failed[0].within}"
    if largest is None or (failed and largest.replicas < world.current):
        why = f"the HPA was unable to compute the replica count: {failed[0].why}"
        plan.conditions.set(ACTIVE, "False", failed[0].reason, why)
        _fail(plan, summary)
        return
    found = f"the HPA was able to successfully calculate a replica count from {largest.metric}"
    plan.conditions.set(ACTIVE, "True", "ValidMetricFound", found)
    _pace(plan, spec, largest, world)


def _computed(
    plan: Plan, spec: Doc, readings: Sequence[Reading], world: World
) -> tuple[list[Computed], list[Failed]]:
    done, failed = list[Computed](), list[Failed]()
    for metric, reading in zip(spec["metrics"], readings, strict=True):
        try:
            one = compute(metric, reading, world)
        except Failed as error:
            failed.append(error)
            plan.metrics.append({"type": ""})
            plan.computed.append((None, metric["type"]))
            plan.tellings.append(("Warning", error.reason, error.why))
        else:
            done.append(one)
            plan.metrics.append(one.status)
            plan.computed.append((one.replicas, metric["type"]))
    return done, failed


def _pace(plan: Plan, spec: Doc, largest: Computed, world: World) -> None:
    asked, current = largest.replicas, world.current
    pace = paced(spec.get("behavior"), bounds_of(spec), current, asked, plan.memory, world.now)
    plan.conditions.set(ABLE, "True", *pace.stabilized)
    plan.conditions.set(LIMITED, str(pace.is_limited), *pace.limited)
    plan.memory, plan.desired = pace.memory, pace.replicas
    if asked > current:
        plan.reason = f"{largest.metric} above target"
    elif asked < current:
        plan.reason = "All metrics below target"


def _fail(plan: Plan, why: str) -> None:
    plan.failure = why
    plan.tellings.append(("Warning", "FailedComputeMetricsReplicas", why))


def scaled(plan: Plan, spec: Doc, current: int, now: float) -> None:
    """The target has got its replicas."""
    text = f"the HPA controller was able to update the target scale to {plan.desired}"
    plan.conditions.set(ABLE, "True", "SucceededRescale", text)
    told = f"New size: {plan.desired}; reason: {plan.reason}"
    plan.tellings.append(("Normal", "SuccessfulRescale", told))
    change = Stamped(now, plan.desired - current)
    plan.memory = plan.memory.scaled(spec.get("behavior"), change)


def not_scaled(plan: Plan, error: str) -> None:
    """The target was refused its replicas."""
    told = f"New size: {plan.desired}; reason: {plan.reason}; error: {error}"
    plan.tellings.append(("Warning", "FailedRescale", told))
    text = f"the HPA controller was unable to update the target scale: {error}"
    plan.conditions.set(ABLE, "False", "FailedUpdateScale", text)
    plan.failure = f"failed to rescale: {error}"
