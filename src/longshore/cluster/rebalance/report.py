"""What `longshore rebalance` prints. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from longshore.cluster.rebalance.run import Done
from longshore.machinery.scheduler.rebalance import Evenness, Move, Rebalancing


def as_text(plan: Rebalancing) -> str:
    return "\n".join([*_moves(plan.moves), *_gain(plan)])


def done_as_text(done: Sequence[Done]) -> str:
    return "\n".join(
        f"{one.move.namespace}/{one.move.name}: "
        + (f"stays: {one.refusal}" if one.refusal else "evicted")
        for one in done
    )


def as_dict(plan: Rebalancing, done: Sequence[Done] | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "moves": [_move(one) for one in plan.moves],
        "before": _evenness(plan.before),
        "after": _evenness(plan.after),
    }
    if done is not None:
        told["evicted"] = [
            {"pod": f"{one.move.namespace}/{one.move.name}", "refusal": one.refusal} for one in done
        ]
    return told


def _moves(moves: Sequence[Move]) -> Iterator[str]:
    if not moves:
        yield "nothing to move: no pod would be that much better off elsewhere"
    for one in moves:
        yield f"{one.namespace}/{one.name}: {one.source} -> {one.target}, gains {one.gain:.1f}"


def _gain(plan: Rebalancing) -> Iterator[str]:
    if plan.moves:
        before, after = plan.before, plan.after
        yield (
            f"nodes differ by {_percent(before.cpu, after.cpu)} of cpu and "
            f"{_percent(before.memory, after.memory)} of memory (standard deviation); "
            f"the fullest is {_percent(before.fullest, after.fullest)} full"
        )


def _percent(before: float, after: float) -> str:
    return f"{before:.1%} -> {after:.1%}"


def _move(one: Move) -> dict[str, Any]:
    return {
        "namespace": one.namespace,
        "pod": one.name,
        "uid": one.uid,
        "from": one.source,
        "to": one.target,
        "gain": round(one.gain, 3),
    }


def _evenness(one: Evenness) -> dict[str, float]:
    return {
        "cpu_deviation": round(one.cpu, 4),
        "memory_deviation": round(one.memory, 4),
        "fullest": round(one.fullest, 4),
    }
