"""What must always hold, judged from outside: from what users and watchers were told and what became
durable, with none of the code that is judged. Each checker is a function from a Record to what it
found broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from longshore.testing.simulator.checkers import (
    disruption,
    history,
    jobs,
    leaders,
    objects,
    placement,
    quotas,
    rest,
    scheduling,
    sets,
    sharing,
    watches,
)
from longshore.testing.simulator.record import Record, Violation

CHECKERS: Mapping[str, Callable[[Record], Iterable[Violation]]] = {
    "alive": rest.alive,
    "durable": history.durable,
    "linearizable": history.linearizable,
    "identity": objects.identity,
    "gapless": watches.gapless,
    "leaders": leaders.led,
    "capacity": placement.capacity,
    "addresses": placement.addresses,
    "quota": quotas.within,
    "scheduled": scheduling.scheduled,
    "preempted": disruption.preempted,
    "counted": disruption.counted,
    "completions": jobs.exact,
    "done": jobs.done,
    "gangs": sharing.gangs,
    "shares": sharing.shares,
    "fair": sharing.fair,
    "offers": sharing.offers,
    "orphans": rest.orphans,
    "converged": rest.converged,
    "unique": sets.unique,
    "settled": sets.settled,
}
# Of these, only what there is in the end counts: the cluster must have come to rest.
IN_THE_END = frozenset(
    ("scheduled", "counted", "done", "gangs", "fair", "orphans", "converged", "settled")
)


def judge(record: Record) -> list[Violation]:
    """The first thing that each checker found broken."""
    found = (next(iter(check(record)), None) for check in CHECKERS.values())
    return [violation for violation in found if violation is not None]
