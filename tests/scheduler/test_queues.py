"""Fair sharing between queues: examples of the paper on dominant resource fairness, quotas that are
lent and taken back, and what must hold for any queues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.queues.plan import (
    STOPPED,
    Line,
    Workload,
    admit,
    reclaim,
)
from longshore.machinery.scheduler.queues.quota import Cohort, Quota, Share, share_of

ALL = 10_000


def share(name: str, nominal: dict[str, int], **more: Any) -> Share:
    """more: borrowing and lending (limits of every resource), and fields of Share."""
    limits = {field: more.pop(field) for field in ("borrowing", "lending") if field in more}
    quotas = {one: Quota("default", amount, **limits) for one, amount in nominal.items()}
    return Share(name, "team", quotas, **more)


def jobs(
    queue: str, count: int, first: int = 0, priority: int = 0, **amounts: int
) -> list[Workload]:
    return [
        Workload(f"{queue}-{number}", queue, amounts, priority, number)
        for number in range(first, first + count)
    ]


def job(queue: str, **amounts: int) -> Workload:
    return jobs(queue, 1, **amounts)[0]


def lines(*workloads: Workload) -> dict[str, Line]:
    found: dict[str, Line] = {}
    for one in workloads:
        found.setdefault(one.queue, Line()).add(one)
    return found


def counts(admitted: Sequence[Workload]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in admitted:
        found[one.queue] = found.get(one.queue, 0) + 1
    return found


# ---- the paper's examples: 9 cpu and 18 GB that belong to nobody in particular

POOL = share("pool", {"cpu": 9, "memory": 18})
NONE = {"cpu": 0, "memory": 0}


def drf(*workloads: Workload, **weights: float) -> dict[str, int]:
    names = {one.queue for one in workloads}
    shares = [share(name, NONE, weight=weights.get(name, 1.0)) for name in names]
    return counts(admit(Cohort([POOL, *shares]), lines(*workloads), ALL).admitted)


def test_the_example_of_the_paper() -> None:
    """Section 4.1: A wants <1 cpu, 4 GB> and B <3 cpu, 1 GB> for each task: 3 and 2 of them."""
    a, b = jobs("a", 9, cpu=1, memory=4), jobs("b", 9, cpu=3, memory=1)
    assert drf(*a, *b) == {"a": 3, "b": 2}


def test_who_asks_for_more_than_is_needed_gets_fewer_tasks() -> None:
    """Strategy-proofness (section 3): B says <3 cpu, 2 GB>, or <4 cpu, 1 GB>, and gains nothing."""
    a = jobs("a", 9, cpu=1, memory=4)
    for lie in ({"cpu": 3, "memory": 2}, {"cpu": 4, "memory": 1}, {"cpu": 3, "memory": 5}):
        assert drf(*a, *jobs("b", 9, **lie))["b"] <= 2


def test_nobody_prefers_what_another_got() -> None:
    """Envy-freeness: of A's <3 cpu, 12 GB> B could make 1 task, of B's <6 cpu, 2 GB> A none."""
    got = drf(*jobs("a", 9, cpu=1, memory=4), *jobs("b", 9, cpu=3, memory=1))
    assert got["b"] >= min(got["a"] * 1 // 3, got["a"] * 4 // 1)
    assert got["a"] >= min(got["b"] * 3 // 1, got["b"] * 1 // 4)


def test_everybody_gets_at_least_an_equal_part() -> None:
    """Sharing incentive: half of all would be 2 tasks of A and 1 of B."""
    got = drf(*jobs("a", 9, cpu=1, memory=4), *jobs("b", 9, cpu=3, memory=1))
    assert got["a"] >= 18 // 2 // 4
    assert got["b"] >= 9 // 2 // 3


def test_weights() -> None:
    a, b = jobs("a", 9, cpu=1), jobs("b", 9, cpu=1)
    assert drf(*a, *b, a=2.0) == {"a": 6, "b": 3}
    assert drf(*a, *b, a=0.0) == {"b": 9}


# ---- quotas


def test_the_own_quota_goes_before_what_others_borrow() -> None:
    cohort = Cohort([share("a", {"cpu": 4}), share("b", {"cpu": 4})])
    found = admit(cohort, lines(*jobs("a", 9, cpu=1), *jobs("b", 3, first=50, cpu=1)), ALL)
    assert counts(found.admitted) == {"a": 5, "b": 3}
    assert list(found.waiting.values()) == [
        "insufficient unused quota for cpu in flavor default, 1m more needed"
    ]


def test_limits_of_who_borrows_and_who_lends() -> None:
    a = jobs("a", 9, cpu=1)
    for lender, borrower, most in (({}, {"borrowing": 1}, 5), ({"lending": 2}, {}, 6)):
        cohort = Cohort([share("a", {"cpu": 4}, **borrower), share("b", {"cpu": 4}, **lender)])
        assert counts(admit(cohort, lines(*a), ALL).admitted) == {"a": most}


def test_what_can_never_fit_says_so() -> None:
    cohort = Cohort([share("a", {"cpu": 4}, borrowing=1), share("b", {"cpu": 4})])
    asked = [*jobs("a", 1, cpu=6), *jobs("a", 1, 1, memory=1), *jobs("b", 1, cpu=1, pods=1)]
    found = admit(cohort, lines(*asked), ALL)
    assert counts(found.admitted) == {"b": 1}, "pods count only where there is a quota for them"
    assert set(found.waiting.values()) == {
        "insufficient quota for cpu in flavor default, request > maximum capacity (6m > 5m)",
        "resource memory unavailable in ClusterQueue",
    }


def test_in_a_queue_the_most_urgent_goes_first() -> None:
    cohort = Cohort([share("a", {"cpu": 1})])
    asked = [*jobs("a", 2, cpu=1), *jobs("a", 1, 7, priority=5, cpu=1)]
    assert [one.order for one in admit(cohort, lines(*asked), ALL).admitted] == [7]


def test_a_strict_queue_waits_for_its_first() -> None:
    for strict, got in ((True, 0), (False, 3)):
        cohort = Cohort([share("a", {"cpu": 3}, strict=strict)])
        asked = [*jobs("a", 1, cpu=4), *jobs("a", 3, 1, cpu=1)]
        assert len(admit(cohort, lines(*asked), ALL).admitted) == got


def test_a_stopped_queue_admits_nothing() -> None:
    found = admit(Cohort([share("a", {"cpu": 4}, stopped=True)]), lines(*jobs("a", 1, cpu=1)), ALL)
    assert (found.admitted, list(found.waiting.values())) == ([], [STOPPED])


def test_no_more_than_were_asked_for_at_a_time() -> None:
    found = admit(Cohort([share("a", {"cpu": 9})]), lines(*jobs("a", 9, cpu=1)), 4)
    assert len(found.admitted) == 4


# ---- taking back


def lent(**more: object) -> tuple[Cohort, list[Workload]]:
    """b uses all of its own 4 cpu and the 4 of a."""
    cohort = Cohort([share("a", {"cpu": 4}, reclaims=True, **more), share("b", {"cpu": 4})])
    admitted = admit(cohort, lines(*jobs("b", 8, cpu=1)), ALL).admitted
    return cohort, admitted


def names(found: Sequence[Workload]) -> list[str]:
    return [one.key for one in found]


def test_the_newest_of_what_was_borrowed_is_taken_back() -> None:
    cohort, admitted = lent()
    assert names(reclaim(cohort, job("a", cpu=3), admitted)) == ["b-7", "b-6", "b-5"]
    assert cohort.used_of("b", "cpu") == 8, "the cohort is as it was"


def test_no_more_is_taken_than_is_the_own_quota() -> None:
    cohort, admitted = lent()
    assert reclaim(cohort, job("a", cpu=5), admitted) == []


def test_who_may_not_take_back() -> None:
    cohort, admitted = lent(stopped=True)
    assert reclaim(cohort, job("a", cpu=1), admitted) == []
    cohort = Cohort([share("a", {"cpu": 4}), share("b", {"cpu": 4})])
    admitted = admit(cohort, lines(*jobs("b", 8, cpu=1)), ALL).admitted
    assert reclaim(cohort, job("a", cpu=1), admitted) == []


def test_who_would_borrow_takes_nothing_back() -> None:
    cohort = Cohort([share("a", {"cpu": 4}, reclaims=True), share("b", {"cpu": 4}), share("c", {"cpu": 4})])  # fmt: skip
    admitted = admit(cohort, lines(*jobs("b", 12, cpu=1)), ALL).admitted
    assert reclaim(cohort, job("a", cpu=5), admitted) == []
    assert len(reclaim(cohort, job("a", cpu=4), admitted)) == 4


def test_what_need_not_go_stays() -> None:
    cohort = Cohort([share("a", {"cpu": 4}, reclaims=True), share("b", {"cpu": 4})])
    asked = [*jobs("b", 1, cpu=4), *jobs("b", 1, 1, cpu=3), *jobs("b", 1, 2, cpu=1)]
    admitted = admit(cohort, lines(*asked), ALL).admitted
    assert names(reclaim(cohort, job("a", cpu=3), admitted)) == ["b-1"]


def test_the_one_who_borrows_most_gives_first() -> None:
    cohort = Cohort([share("a", {"cpu": 6}, reclaims=True), share("b", {"cpu": 1}), share("c", {"cpu": 1})])  # fmt: skip
    admitted = admit(cohort, lines(*jobs("b", 6, cpu=1)), ALL).admitted
    admitted += admit(cohort, lines(*jobs("c", 2, 90, cpu=1)), ALL).admitted
    assert names(reclaim(cohort, job("a", cpu=2), admitted)) == ["b-5", "b-4"]


# ---- what a ClusterQueue says


def test_a_cluster_queue_is_read() -> None:
    quota = {"name": "cpu", "nominalQuota": "1500m", "borrowingLimit": "2"}
    group = {"coveredResources": ["cpu"], "flavors": [{"name": "x86", "resources": [quota]}]}
    doc: Doc = {
        "metadata": {"name": "a"},
        "spec": {
            "cohort": "team", "resourceGroups": [group], "queueingStrategy": "StrictFIFO",
            "stopPolicy": "Hold", "preemption": {"reclaimWithinCohort": "Any"},
            "fairSharing": {"weight": "500m"},
        },
    }  # fmt: skip
    quotas = {"cpu": Quota("x86", 1500, 2000)}
    assert share_of(doc) == Share(
        "a", "team", quotas, 0.5, strict=True, stopped=True, reclaims=True
    )


# ---- whatever the queues

LIMITS = st.none() | st.integers(0, 4)
QUOTAS = st.tuples(st.integers(0, 6), LIMITS, LIMITS)
SIZES = st.lists(st.integers(1, 4), max_size=6)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(QUOTAS, SIZES, SIZES), min_size=1, max_size=4))
def test_what_holds_for_any_queues(
    queues: list[tuple[tuple[int, int | None, int | None], list[int], list[int]]],
) -> None:
    shares = [
        Share(f"q{number}", "team", {"cpu": Quota("f", *quota)}, reclaims=True)
        for number, (quota, _, _) in enumerate(queues)
    ]
    cohort, admitted = Cohort(shares), list[Workload]()
    waiting: dict[str, Line] = {}
    early, late = [queue[1] for queue in queues], [queue[2] for queue in queues]
    for turn, each in enumerate((early, late)):  # some borrow, others come when it is lent
        for number, sizes in enumerate(each):
            for at, size in enumerate(sizes):
                one = Workload(
                    f"{turn}-{number}-{at}", f"q{number}", {"cpu": size}, 0, 100 * turn + at
                )
                waiting.setdefault(one.queue, Line()).add(one)
        settle(cohort, waiting, admitted)
    check(cohort, waiting, admitted)


def settle(cohort: Cohort, waiting: dict[str, Line], admitted: list[Workload]) -> None:
    """Admit and take back until nothing changes, as the scheduler does turn by turn."""
    changed = True
    while changed:
        for one in admit(cohort, waiting, ALL).admitted:
            waiting[one.queue].remove(one)
            admitted.append(one)
        changed = False
        for line in waiting.values():
            for one in [first for lot in line.lots.values() for first in lot.values()]:
                victims = reclaim(cohort, one, admitted)
                for victim in victims:
                    admitted.remove(victim)
                    cohort.use(victim.queue, victim.amounts, -1)
                if victims:
                    line.remove(one)
                    admitted.append(one)
                    cohort.use(one.queue, one.amounts)
                    changed = True


def check(cohort: Cohort, waiting: dict[str, Line], admitted: list[Workload]) -> None:
    used = {name: 0 for name in cohort.shares}
    for one in admitted:
        used[one.queue] += one.amounts["cpu"]
    quotas = {name: one.quotas["cpu"] for name, one in cohort.shares.items()}
    assert used == {name: cohort.used_of(name, "cpu") for name in used}
    assert sum(used.values()) <= sum(one.nominal for one in quotas.values())
    for name, quota in quotas.items():
        if quota.borrowing is not None:
            assert used[name] <= quota.nominal + quota.borrowing
        lent_out = sum(max(used[o] - quotas[o].nominal, 0) for o in quotas if o != name)
        assert lent_out <= sum(quotas[o].lent for o in quotas)
    some_borrow = any(used[name] > quotas[name].nominal for name in used)
    for name, line in waiting.items():
        for lot in line.lots.values() if some_borrow else ():
            size = next(iter(lot.values())).amounts["cpu"]
            assert used[name] + size > quotas[name].nominal, "its own quota is lent, and it waits"
