"""Accounts against a plain reference: levels times time."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from longshore.core.objects.usage.rings import DAY_S, chunk_start
from longshore.core.objects.usage.series import COLUMNS
from longshore.machinery.controllers.usage.accounts import Account, Book

BEGIN_MS = 1_800_000_000_000
MIB = 1 << 20


def book() -> Book:
    return Book(Account)


def pod(name: str, *, cpu: str = "500m", memory: str = "64Mi", **more: Any) -> dict[str, Any]:
    requests = {"cpu": cpu, "memory": memory}
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": name, "generation": 1},
        "spec": {
            "nodeName": more.get("node", "n1"),
            "containers": [{"name": "main", "resources": {"requests": requests}}],
        },
        "status": {"phase": more.get("phase", "Running")},
    }


def totals(account: Account) -> dict[str, int]:
    parts = [*account.over, account.minutes]
    sums = [sum(column) for column in zip(*(part.total() for part in parts), strict=True)]
    return dict(zip(COLUMNS, sums, strict=True))


def test_a_pod_counts_from_its_node_to_its_end() -> None:
    accounts = book()
    accounts.put_pod(pod("a", node=""), BEGIN_MS)
    assert not accounts.accounts
    accounts.put_pod(pod("a"), BEGIN_MS)
    accounts.measure("a", 250_000_000, 32 * MIB, BEGIN_MS + 60_000)
    accounts.put_pod(pod("a", phase="Succeeded"), BEGIN_MS + 180_000)
    account = accounts.accounts["shop"]
    account.advance(BEGIN_MS + 3_600_000)
    assert totals(account) == {
        "seconds": 180, "pods": 180, "cpu": 250 * 120, "memory": 32 * 120,
        "cpuRequests": 500 * 180, "memoryRequests": 64 * 180, "storage": 0,
    }  # fmt: skip
    assert account.things == 0
    assert not any(account.levels)


def test_a_pod_that_is_resized_requests_what_it_has_now() -> None:
    accounts = book()
    accounts.put_pod(pod("a"), BEGIN_MS)
    resized = pod("a", cpu="1")
    accounts.put_pod(resized, BEGIN_MS + 60_000)  # the same generation: not looked at
    resized["metadata"]["generation"] = 2
    accounts.put_pod(resized, BEGIN_MS + 60_000)
    accounts.accounts["shop"].advance(BEGIN_MS + 120_000)
    assert totals(accounts.accounts["shop"])["cpuRequests"] == 500 * 60 + 1000 * 60


def test_claims_are_storage_while_they_are_bound() -> None:
    accounts = book()
    accounts.put_claim("shop/data", "shop", 0, BEGIN_MS)
    assert not accounts.accounts
    accounts.put_claim("shop/data", "shop", 10 * MIB, BEGIN_MS)
    accounts.put_claim("shop/data", "shop", 20 * MIB, BEGIN_MS + 60_000)
    accounts.put_claim("shop/data", "shop", 0, BEGIN_MS + 120_000)
    account = accounts.accounts["shop"]
    account.advance(BEGIN_MS + 600_000)
    assert totals(account)["storage"] == 30 * 60
    assert totals(account)["seconds"] == 120


def test_a_project_without_room_is_not_accounted() -> None:
    accounts = Book(lambda project, moment: None)
    accounts.put_pod(pod("a"), BEGIN_MS)
    accounts.measure("a", 1, 1, BEGIN_MS)
    accounts.drop_pod("a", BEGIN_MS)
    accounts.put_claim("shop/data", "shop", 1, BEGIN_MS)
    assert not accounts.accounts


def test_a_clock_that_is_set_back_takes_nothing_away() -> None:
    accounts = book()
    accounts.put_pod(pod("a"), BEGIN_MS)
    account = accounts.accounts["shop"]
    account.advance(BEGIN_MS + 60_000)
    account.advance(BEGIN_MS - 3_600_000)
    account.advance(BEGIN_MS + 120_000)
    assert totals(account)["seconds"] == 120


STEPS = st.lists(
    st.tuples(
        st.integers(1, 2 * 3600 * 1000),  # how long after the step before, in ms
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["put", "drop", "measure"]),
        st.integers(0, 4_000_000_000),
    ),
    max_size=40,
)


@given(STEPS)
def test_sums_are_levels_times_time(steps: list[tuple[int, str, str, int]]) -> None:
    accounts, now = book(), BEGIN_MS
    there: dict[str, int] = {}
    plain = {"seconds": 0, "pods": 0, "cpu": 0}
    for wait, name, what, amount in steps:
        now += wait
        for account in accounts.accounts.values():
            account.advance(now)  # as the loop's rounds do
        plain["seconds"] += wait if there else 0
        plain["pods"] += wait * len(there)
        plain["cpu"] += wait * sum(there.values())
        if what == "put":
            accounts.put_pod(pod(name), now)
            there.setdefault(name, 0)
        elif what == "drop":
            accounts.drop_pod(name, now)
            there.pop(name, None)
        elif name in there:
            accounts.measure(name, amount, 0, now)
            there[name] = amount
    for account in accounts.accounts.values():
        account.advance(now)
        account.settle()
        found = totals(account)
        assert found["seconds"] == plain["seconds"] // 1000
        assert found["pods"] == plain["pods"] // 1000
        assert found["cpu"] == plain["cpu"] // 10**9
        starts = [chunk_start(part.start) for part in (*account.over, account.minutes)]
        assert starts == sorted(set(starts))


def test_time_in_which_the_machine_slept_is_not_accounted() -> None:
    accounts = book()
    accounts.put_pod(pod("a"), BEGIN_MS)
    account = accounts.accounts["shop"]
    account.advance(BEGIN_MS + 90_000)
    account.advance(BEGIN_MS + 50 * 365 * DAY_S * 1000)
    account.advance(BEGIN_MS + 50 * 365 * DAY_S * 1000 + 60_000)
    account.settle()
    assert totals(account)["seconds"] == 150


def test_weeks_of_rest_cost_nothing() -> None:
    accounts = book()
    accounts.put_pod(pod("a"), BEGIN_MS)
    accounts.drop_pod("a", BEGIN_MS + 1000)
    account = accounts.accounts["shop"]
    account.advance(BEGIN_MS + 100 * DAY_S * 1000)
    assert len(account.minutes) == 1
    assert not account.over
