"""Bugs on purpose: each takes the place of something in the product for a while. For each there is the
checker that is meant to find it, and clusters in which it soon matters.

`python -m tests.sim.planted` plants one after another and tries seed after seed. It prints after how
many the checker found the bug and in what words, and what it says of these seeds without. With a bug's
name and options, it is `longshore sim` with that bug.
"""

from __future__ import annotations

import gc
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any

from longshore.core.objects import kinds, meta
from longshore.core.registry.capacity.book import NodeBook
from longshore.core.registry.commits import CommitQueue
from longshore.core.registry.fencing import Fence
from longshore.core.registry.planning import Planner
from longshore.core.registry.quotas import QuotaBooks
from longshore.core.registry.reads import Reader
from longshore.core.registry.shared import SharedPending
from longshore.core.store.memory import MemoryStore
from longshore.core.watch.feeds import CacheFeed
from longshore.core.watch.history import History
from longshore.core.watch.stored import Stored
from longshore.machinery.controllers.daemonset.run import DaemonSets
from longshore.machinery.controllers.disruption.members import Members
from longshore.machinery.controllers.gc.run import GarbageCollector
from longshore.machinery.controllers.job import plan as jobs_plan
from longshore.machinery.controllers.job import status as jobs
from longshore.machinery.controllers.nodes import plan as node_plans
from longshore.machinery.controllers.replicaset import plan as replicas
from longshore.machinery.controllers.statefulset import plan as stateful
from longshore.machinery.election.run import Election
from longshore.machinery.kubelet.network import HollowNetwork
from longshore.machinery.scheduler import admitting, writing
from longshore.machinery.scheduler.offers.held import HeldOffers
from longshore.machinery.scheduler.offers.run import OfferMaker
from longshore.machinery.scheduler.pods import podclass
from longshore.machinery.scheduler.preemption.making import Made, RoomMaker
from longshore.machinery.scheduler.queues import book
from longshore.machinery.scheduler.queues.quota import Cohort
from longshore.testing.simulator import __main__ as simulator
from longshore.testing.simulator.checkers import CHECKERS
from longshore.testing.simulator.play import play
from longshore.testing.simulator.script import URGENT, Step
from longshore.testing.simulator.simulate import Setting

SEEDS = 500
Whole = Callable[..., Any]


@contextmanager
def swapped(owner: Any, name: str, broken: Callable[[Whole], Whole]) -> Iterator[None]:
    """Let owner.name be what broken makes of it."""
    whole = getattr(owner, name)
    setattr(owner, name, broken(whole))
    try:
        yield
    finally:
        setattr(owner, name, whole)


def _acknowledged_though_refused(fail: Whole) -> Whole:
    def broken(queue: Any, batch: Any, error: Any) -> None:
        fail(queue, batch, error)
        for pending in batch:
            value, revision = pending.intent.value, queue.cache.revision
            if error is not None and value is not None:
                pending.stored = Stored.read(pending.kind, pending.key, value, revision)
                pending.error = None

    return broken


def _lost_at_restart(_open: Whole) -> Whole:
    async def broken(store: Any, take: Any) -> int:
        maps = [key for key in store._records if key.startswith(kinds.CONFIG_MAP.prefix)]
        for key in sorted(maps, key=store._at)[-1:]:
            del store._records[key]
        return int(await _open(store, take))

    return broken


def _stale_read(get: Whole) -> Whole:
    def broken(reader: Any, who: Any, ref: Any) -> Any:
        now = get(reader, who, ref)
        changes = reader.cache.shelf(ref.kind).history.since(0)
        before = [one.before for one in changes if one.stored.key == ref.key and one.before]
        return before[-1] if before else now

    return broken


def _skipped_event(take: Whole) -> Whole:
    turns = count(1)

    def broken(feed: Any) -> Any:
        batch = take(feed)
        if feed.teller is None and next(turns) % 50 == 0:
            return type(batch)(batch[1:])
        return batch

    return broken


def _repeated_events(since: Whole) -> Whole:
    return lambda history, revision: since(history, max(revision - 3, history.start))


def _forgotten_resource(requests: Whole) -> Whole:
    return lambda spec: {k: v for k, v in requests(spec).items() if k != "cpu"}


@contextmanager
def _overfull_nodes() -> Iterator[None]:
    """The scheduler does not count processors, and the ledger refuses no binding."""
    with ExitStack() as stack:
        stack.enter_context(swapped(podclass, "pod_requests", _forgotten_resource))
        stack.enter_context(swapped(NodeBook, "refusal", lambda _refusal: lambda book, wanted: ""))
        yield


def _address_given_twice(_reserve: Whole) -> Whole:
    return lambda network, address: None


def _unseen_in_flight(charge: Whole) -> Whole:
    def broken(books: Any, *words: Any, dry_run: bool) -> None:
        charge(books, *words, dry_run=True)

    return broken


def _forgotten_kind(init: Whole) -> Whole:
    def broken(collector: Any, *words: Any) -> None:
        init(collector, *words)
        collector._kinds = tuple(kind for kind in collector._kinds if kind is not kinds.POD)

    return broken


def _deletion_taken_back(prepare: Whole) -> Whole:
    def broken(kind: Any, new: Any, old: Any, subresource: str = "") -> Any:
        made = prepare(kind, new, old, subresource)
        if subresource == "status":
            metadata = {k: v for k, v in made["metadata"].items() if k != "deletionTimestamp"}
            return {**made, "metadata": metadata}
        return made

    return broken


def _counted_twice(status_of: Whole) -> Whole:
    """What waits to be counted is counted already."""

    def broken(*words: Any) -> Any:
        status, told = status_of(*words)
        waiting = status["uncountedTerminatedPods"].get("succeeded", ())
        return {**status, "succeeded": status.get("succeeded", 0) + len(waiting)}, told

    return broken


def _one_short(wanted: Whole) -> Whole:
    def broken(job: Any, book: Any, tally: Any) -> int:
        last = tally.succeeded == job["spec"]["completions"] - 1
        return 0 if last else int(wanted(job, book, tally))

    return broken


def _dies_of_a_full_disk(_fail: Whole) -> Whole:
    def broken(queue: Any, batch: Any, error: Any) -> None:
        raise RuntimeError("nobody thought of this")

    return broken


def _answered_and_not_made(binding: Whole) -> Whole:
    def broken(planner: Any, operation: Any) -> Whole:
        whole = binding(planner, operation)
        return (lambda there: there) if operation.name.endswith("-1") else whole

    return broken


def _unguarded(to_store: Whole) -> Whole:
    return lambda pending, cache: replace(to_store(pending, cache), guard=None)


@contextmanager
def _open_fence() -> Iterator[None]:
    """Who led goes on with what it had begun."""
    with ExitStack() as stack:
        stack.enter_context(swapped(SharedPending, "to_store", _unguarded))
        stack.enter_context(swapped(Fence, "check", lambda _check: lambda fence, cache: None))
        yield


@contextmanager
def _deaf_leader() -> Iterator[None]:
    """It leads for ever, and its fence is open."""

    def forever(_keep: Whole) -> Whole:
        async def broken(election: Any, term: Any) -> None:
            while True:
                await election._pause(1.0)
                await election._renewal()

        return broken

    with _open_fence(), swapped(Election, "_keep", forever):
        yield


def _members_like_any_other(_is_unique: Whole) -> Whole:
    return lambda pod: False


def _deaf_to_nodes(_of_node: Whole) -> Whole:
    return lambda controller, event: ()


def _first_left_as_it_was(outdated: Whole) -> Whole:
    return lambda scene: outdated(scene)[:-1]


def _one_too_many(plan: Whole) -> Whole:
    def broken(*words: Any) -> Any:
        whole = plan(*words)
        return replace(whole, delete=whole.delete[1:])

    return broken


def _keeps_no_node(unschedulable: Whole) -> Whole:
    def broken(pod: Any, refusal: Any, now: str) -> Any:
        return unschedulable(pod, refusal._replace(nominated=None), now)

    return broken


def _never_makes_room(_make: Whole) -> Whole:
    def broken(_maker: Any, pods: Any, _profile: Any, _rotation: int) -> Made:
        return Made(refused=[(pod, "not today") for pod in pods])

    return broken


def _needs_nobody(place_gang: Whole) -> Whole:
    return lambda view, pods, _needed, *words: place_gang(view, pods, 0, *words)


def _all_is_his(_objection: Whole) -> Whole:
    return lambda cohort, queue, wanted: ""


def _takes_nothing_back(_reclaim: Whole) -> Whole:
    return lambda cohort, wanted, admitted: []


def _holds_nothing(put: Whole) -> Whole:
    def broken(held: Any, offer: Any) -> None:
        put(held, offer)

    return broken


@contextmanager
def _given_away_twice() -> Iterator[None]:
    """What is offered is not held, by the scheduler nor by the ledger."""
    with ExitStack() as stack:
        stack.enter_context(swapped(HeldOffers, "put", _holds_nothing))
        stack.enter_context(swapped(NodeBook, "refusal", lambda _refusal: lambda book, wanted: ""))
        yield


def _deaf_to_time(_ring: Whole) -> Whole:
    return lambda maker, name: None


def _counts_who_left(put: Whole) -> Whole:
    def broken(members: Any, name: str, member: Any) -> bool:
        return member is not None and bool(put(members, name, member))

    return broken


@dataclass(frozen=True, slots=True)
class Bug:
    """plant makes the context in which it is there; rule is the checker meant for it; besides what is
    drawn from a seed, these steps happen."""

    plant: Callable[[], AbstractContextManager[None]]
    rule: str
    setting: Setting
    besides: tuple[Step, ...] = ()


# Writes are long under way, and each server in turn is cut off for longer than a Lease lasts.
_CUTS = (
    Step(0.0, "store-stall", {"for_s": 60.0}),
    *(Step(5.0 + 18 * n, "server-cut", {"number": n, "for_s": 17.5}) for n in range(3)),
)

# A set that nobody else has a hand in is updated.
_UPDATED = (
    Step(2.0, "apply stateful", {"name": "db-9", "replicas": 2, "policy": "Parallel"}),
    Step(20.0, "set stateful image", {"name": "db-9", "image": "main:1"}),
)

# More pods than there is room for, those that matter most in the end.
_CROWDED = (
    *(
        Step(2.0 + n, "create pod", {"namespace": "default", "name": f"low-{n}", "cpu": "3"})
        for n in range(4)
    ),
    *(
        Step(8.0 + n, "create urgent pod", {"name": f"u-{n}", "cpu": "3", **URGENT})
        for n in range(4)
    ),
)

# Three that have to run together, of which two fit.
_TOO_LARGE = (
    Step(2.0, "create group", {"name": "gang-9", "least": 3}),
    *(
        Step(3.0 + n, "create member", {"name": f"gang-9-{n}", "group": "gang-9", "cpu": "2500m"})
        for n in range(3)
    ),
)

# One queue uses all before the other comes.
_LENT = (
    *(
        Step(2.0 + n, "create queued pod", {"name": f"red-{n}", "queue": "red", "cpu": "1"})
        for n in range(6)
    ),
    Step(20.0, "create queued pod", {"name": "blue-0", "queue": "blue", "cpu": "1"}),
)

_OFFERED = tuple(
    Step(2.0 + n, "ask for an offer", {"name": f"offer-{n}", "lease_s": 30}) for n in range(2)
)

# Several at the same moment want what is left.
_RUSHES = tuple(
    Step(5.0 + 10 * n, "rush", {"namespace": "limited", "count": 5, "cpu": "1"}) for n in range(3)
)


def _busy(*faults: str, ticks: int = 40, calm_s: float = 20.0, nodes: int = 2) -> Setting:
    return Setting(ticks=ticks, faults=faults, nodes=nodes, pace_s=0.25, calm_s=calm_s)


def _bug(
    rule: str, owner: Any, name: str, broken: Callable[[Whole], Whole], setting: Setting
) -> Bug:
    return Bug(partial(swapped, owner, name, broken), rule, setting)


BUGS: Mapping[str, Bug] = {
    "a write acknowledged though the store refused it": _bug(
        "durable", CommitQueue, "_fail", _acknowledged_though_refused, _busy("disk-full")
    ),
    "a write lost at a restart": _bug(
        "linearizable", MemoryStore, "open", _lost_at_restart, _busy("server-crash")
    ),
    "a stale read": _bug("linearizable", Reader, "get", _stale_read, _busy()),
    "a watch that skips one batch's first event in fifty": _bug(
        "gapless", CacheFeed, "take", _skipped_event, _busy()
    ),
    "a watch that repeats events after a reconnect": _bug(
        "gapless", History, "since", _repeated_events, _busy("users-watch-drop")
    ),
    "a scheduler that forgets a resource, and a ledger that is open": Bug(
        _overfull_nodes, "capacity", _busy(ticks=60)
    ),
    "two pods with one address after an agent's restart": _bug(
        "addresses", HollowNetwork, "reserve", _address_given_twice, _busy("agent-restart")
    ),
    "a quota that does not see writes in flight": Bug(
        partial(swapped, QuotaBooks, "charge", _unseen_in_flight), "quota", _busy(), besides=_RUSHES
    ),
    "a garbage collector that forgets a kind": _bug(
        "orphans", GarbageCollector, "__init__", _forgotten_kind, _busy(calm_s=60.0)
    ),
    "a deletion taken back": _bug(
        "identity", meta, "prepare_update", _deletion_taken_back, _busy()
    ),
    "a leader that never steps down": Bug(
        _deaf_leader, "leaders", replace(_busy(ticks=60), servers=3), besides=_CUTS
    ),
    "a fence that lets everybody through": Bug(
        _open_fence, "leaders", replace(_busy(ticks=60), servers=3), besides=_CUTS
    ),
    "a commit queue that dies of a full disk": _bug(
        "alive", CommitQueue, "_fail", _dies_of_a_full_disk, _busy("disk-full")
    ),
    "a binding that is answered and not made": _bug(
        "scheduled", Planner, "binding", _answered_and_not_made, _busy(calm_s=60.0)
    ),
    "a scheduler that never makes room for the urgent": _bug(
        "scheduled", RoomMaker, "make", _never_makes_room, _busy(ticks=60, calm_s=60.0)
    ),
    "a scheduler that keeps no node for whom it removes others": Bug(
        partial(swapped, writing, "unschedulable", _keeps_no_node),
        "preempted",
        _busy(),
        besides=_CROWDED,
    ),
    "a budget that counts who has left": _bug(
        "counted", Members, "put", _counts_who_left, _busy(ticks=60, calm_s=60.0)
    ),
    "a gang that is placed piece by piece": Bug(
        partial(swapped, admitting, "place_gang", _needs_nobody),
        "gangs",
        _busy(calm_s=60.0),
        besides=_TOO_LARGE,
    ),
    "a quota that is no limit": Bug(
        partial(swapped, Cohort, "objection", _all_is_his), "shares", _busy(), besides=_LENT
    ),
    "a loan that is never taken back": Bug(
        partial(swapped, book, "reclaim", _takes_nothing_back),
        "fair",
        _busy(calm_s=60.0),
        besides=_LENT,
    ),
    "capacity that is offered and given to others": Bug(
        _given_away_twice, "offers", _busy(), besides=_OFFERED
    ),
    "an offer that outlives its lease": Bug(
        partial(swapped, OfferMaker, "_ring", _deaf_to_time),
        "offers",
        _busy(calm_s=500.0),
        besides=_OFFERED,
    ),
    "a Job that counts pods before their finalizer is gone": _bug(
        "completions", jobs, "status_of", _counted_twice, _busy()
    ),
    "a Job that stops one short": _bug(
        "done", jobs_plan, "_wanted_active", _one_short, _busy(calm_s=60.0)
    ),
    "a set that stops one short after a scale-down": _bug(
        "converged", replicas, "plan", _one_too_many, _busy(calm_s=60.0)
    ),
    "a name given to another though its pod may run on a silent node": _bug(
        "unique",
        node_plans,
        "_is_unique",
        _members_like_any_other,
        _busy("node-cut", ticks=240, nodes=3),
    ),
    "a StatefulSet whose update leaves the first pod as it was": Bug(
        partial(swapped, stateful, "_outdated", _first_left_as_it_was),
        "settled",
        _busy(calm_s=60.0),
        besides=_UPDATED,
    ),
    "a DaemonSet that does not hear of nodes": _bug(
        "settled", DaemonSets, "_of_node", _deaf_to_nodes, _busy("node-gone", calm_s=120.0)
    ),
}


def first_found(name: str) -> tuple[int, str]:
    """After how many seeds the checker for it found a bug, and its words; (0, "") if it never did."""
    with BUGS[name].plant():
        for seed in range(SEEDS):
            if said := _said(name, seed):
                return seed + 1, said
    return 0, ""


def _said(name: str, seed: int) -> str:
    """What the checker for a bug says of a seed."""
    rule, setting = BUGS[name].rule, BUGS[name].setting
    script = sorted([*setting.script(seed), *BUGS[name].besides], key=lambda step: step.at)
    record = play(script, seed, setting.nodes, setting.calm_s, setting.servers)
    gc.collect()
    return next((violation.sentence for violation in CHECKERS[rule](record)), "")


def _tell(name: str) -> None:
    seeds, said = first_found(name)
    without = [_said(name, seed) for seed in range(seeds)]
    print(json.dumps({"bug": name, "seeds": seeds, "said": said, "without": without}))


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    gc.set_threshold(100_000, 50, 100)
    if sys.argv[1:]:
        with BUGS[sys.argv[1]].plant():
            simulator.main(sys.argv[2:], prog_name="longshore sim")
    for bug in BUGS:
        _tell(bug)
