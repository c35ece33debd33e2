"""Which groups are to grow for pods without a place, and which nodes are not needed. Pure: a trial says
what would fit.

Rules: cluster-autoscaler/core/scaleup/orchestrator, expander/waste, core/scaledown/planner. Groups are
chosen until no pod is left that one would help, upstream one at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import amounts_of, requests_of
from longshore.machinery.controllers.nodegroups.protocol import NodeGroup, Packing, Trial

MAX_REACHED = "max node group size reached"
IN_BACKOFF = "in backoff after failed scale-up"
NO_TEMPLATE = "not ready for scale-up"
# --scale-down-non-empty-candidates-count.
TRIED_MAX = 30
_WEIGHED = ("cpu", "memory")


@dataclass(frozen=True, slots=True)
class Pool:
    """A group, what its next node would be, and why it does not grow now (empty: it may)."""

    group: NodeGroup
    template: Doc | None
    barred: str = ""


@dataclass(frozen=True, slots=True)
class Increase:
    """A group that is to grow, and the pods that it is for."""

    group: NodeGroup
    count: int
    pods: tuple[Doc, ...]

    def __str__(self) -> str:
        """As upstream prints it in events (nodegroupset.ScaleUpInfo)."""
        size, most = self.group.size, self.group.max_size
        return f"{{{self.group.name} {size}->{size + self.count} (max: {most})}}"


@dataclass(slots=True)
class Growth:
    """increases, a group once; refused: why pods are helped by none, by uid."""

    increases: list[Increase] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def barred(group: NodeGroup, template: Doc | None, *, in_backoff: bool) -> str:
    """Why a group does not grow; empty if it may."""
    if group.size >= group.max_size:
        return MAX_REACHED
    if in_backoff:
        return IN_BACKOFF
    return "" if template is not None else NO_TEMPLATE


def grow(trial: Trial, pools: Sequence[Pool], pods: Iterable[Doc]) -> Growth:
    """What to do for pods that no node takes. Those that fit by now, on what is there or is coming,
    need nothing. The trial has the new nodes afterwards, with their pods."""
    waiting = sorted(pods, key=_bigness, reverse=True)
    left = _without(waiting, trial.place(waiting))
    growth, open_pools = Growth(), [pool for pool in pools if not pool.barred]
    while left and open_pools:
        packings = [(pool, _pack(trial, pool, left)) for pool in open_pools]
        options = [(pool, packing) for pool, packing in packings if packing.pods]
        if not options:
            break
        pool, packing = least_waste(options, left)
        helped = [pod for pod in left if _uid(pod) in packing.pods]
        growth.increases.append(Increase(pool.group, packing.nodes, tuple(helped)))
        _build(trial, pool, packing.nodes, helped)
        left = _without(left, packing.pods)
        open_pools.remove(pool)
    grown = {increase.group.name for increase in growth.increases}
    growth.refused = {_uid(pod): _why_not(trial, pools, grown, pod) for pod in left}
    return growth


def all_barred(pools: Iterable[Pool]) -> str:
    """Why no group grows, in the words of events."""
    return _counted(Counter(pool.barred for pool in pools))


def least_waste(
    options: Sequence[tuple[Pool, Packing]], pods: Sequence[Doc]
) -> tuple[Pool, Packing]:
    """The option that leaves the smallest share of cpu and memory idle; of equals, the first by
    name."""
    return min(options, key=lambda one: (waste(one[0], one[1], pods), one[0].group.name))


def waste(pool: Pool, packing: Packing, pods: Sequence[Doc]) -> float:
    """The idle shares of cpu and of memory together, 0 to 2."""
    asked: Counter[str] = Counter()
    for pod in pods:
        if _uid(pod) in packing.pods:
            asked.update(requests_of(pod["spec"]))
    assert pool.template is not None
    offered = amounts_of(pool.template["status"]["capacity"])
    total = {name: offered.get(name, 0) * packing.nodes for name in _WEIGHED}
    return sum((total[name] - asked[name]) / total[name] for name in _WEIGHED if total[name])


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that may go as far as it is looked at by itself. pods are those that must move;
    utilization is 0 to 1; since: it was not needed before either; ready: its agent lives."""

    node: str
    group: str
    pods: tuple[Doc, ...]
    utilization: float
    since: float | None = None
    ready: bool = True


def tried(
    trial: Trial, candidates: Iterable[Candidate], spare: Mapping[str, int]
) -> Iterator[tuple[Candidate, bool]]:
    """Candidates one after the other, and whether each may go with those before it: its pods find
    places elsewhere. spare: how many each group can do without. Nodes that were not needed before
    come first, so that the choice does not change by itself; then empty ones, then the least used;
    of those with pods no more than TRIED_MAX, since each takes milliseconds."""
    left, used = Counter(spare), 0
    for one in sorted(candidates, key=_eagerness):
        used += bool(one.pods)
        may_go = left[one.group] > 0 and used <= TRIED_MAX and trial.vacate(one.node, one.pods)
        left[one.group] -= may_go
        yield one, may_go


def utilization(used: Mapping[str, int], node: Doc) -> float:
    """Of cpu and memory the share that is asked for which is greater (simulator/utilization)."""
    offered = amounts_of((node.get("status") or {}).get("allocatable") or {})
    return max(
        (used.get(name, 0) / offered[name] for name in _WEIGHED if offered.get(name)), default=0.0
    )


def _eagerness(one: Candidate) -> tuple[bool, float, int, float, str]:
    return one.since is None, one.since or 0.0, len(one.pods), one.utilization, one.node


def _pack(trial: Trial, pool: Pool, pods: Sequence[Doc]) -> Packing:
    assert pool.template is not None
    return trial.pack(pool.template, pods, pool.group.max_size - pool.group.size)


def _build(trial: Trial, pool: Pool, count: int, pods: Sequence[Doc]) -> None:
    assert pool.template is not None
    for number in range(count):
        trial.add(pool.template, f"{pool.group.name}/{number}")
    trial.place(pods)


def _why_not(trial: Trial, pools: Iterable[Pool], grown: set[str], pod: Doc) -> str:
    """Reasons with the number of groups that have them, as upstream's events put it."""
    told: Counter[str] = Counter()
    for pool in pools:
        why = pool.barred or (MAX_REACHED if pool.group.name in grown else "")
        if why or pool.template is None:
            told[why] += 1
        else:
            told.update(trial.objections(pool.template, pod))
    return _counted(told)


def _counted(told: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(told.items()))


def _without(pods: Iterable[Doc], uids: Iterable[str]) -> list[Doc]:
    gone = set(uids)
    return [pod for pod in pods if _uid(pod) not in gone]


def _bigness(pod: Doc) -> tuple[int, int]:
    asked = requests_of(pod["spec"])
    return asked.get("cpu", 0), asked.get("memory", 0)


def _uid(pod: Doc) -> str:
    return str(pod["metadata"]["uid"])
