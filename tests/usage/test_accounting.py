"""What is written of projects, over weeks and through restarts."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.base.users import loop_user
from longshore.core.objects import kinds
from longshore.core.objects.errors import Unavailable
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Answers, Create, Operation, Patch
from longshore.core.registry.inprocess import InProcess
from longshore.core.streams.samples import Use
from longshore.machinery.controllers.usage.keeping import Keeper

from .rig import MIB, World, simulated

DAY_S = 86_400
HALF = Use(500_000_000, 128 * MIB)


@simulated
async def test_a_pod_is_accounted_with_what_it_uses_and_requests(w: World) -> None:
    async with w.running():
        await w.pod("a", HALF)
        await w.wait(3600)
        kept = w.kept()
        # Written are whole minutes, and the pod is measured within the first one.
        assert kept["seconds"] == kept["pods"]
        assert 3480 <= kept["seconds"] <= 3600
        assert kept["cpuRequests"] == 500 * kept["seconds"]
        assert kept["memoryRequests"] == 64 * kept["seconds"]
        assert 500 * (kept["seconds"] - 60) <= kept["cpu"] <= 500 * kept["seconds"]
        assert 128 * (kept["seconds"] - 60) <= kept["memory"] <= 128 * kept["seconds"]


@simulated
async def test_what_is_left_at_the_end_is_written(w: World) -> None:
    async with w.running():
        await w.pod("a", HALF)
        await w.wait(30)
        assert w.kept()["seconds"] == 0
    assert w.kept()["seconds"] == 30


@simulated
async def test_restarts_lose_and_double_nothing(w: World) -> None:
    """Whatever was there between two starts is accounted once; what was not watched, not at all."""
    await w.pod("a", HALF)
    watched = 0
    for pause in (1, 59, 7 * 3600, 31, 26 * 3600):
        async with w.running():
            await w.wait(pause + 13)
        watched += pause + 13
        await w.wait(pause)
    kept = w.kept()
    # What is less than a second of a column is left at each end.
    assert watched - 6 <= kept["seconds"] <= watched
    assert kept["cpuRequests"] == 500 * kept["seconds"]


@pytest.mark.slow
@simulated
async def test_weeks_of_two_projects_take_a_bounded_place(w: World) -> None:
    await w.client.write(Create(kinds.NAMESPACE, _namespace("side")))
    async with w.running():
        await w.pod("a", HALF)
        for day in range(15):
            w.measured.uses = {
                uid: Use((day + 1) * 10_000_000, 128 * MIB) for uid in w.measured.uses
            }
            await w.wait(DAY_S)
    kept = w.kept()
    assert 15 * DAY_S - 60 <= kept["seconds"] <= 15 * DAY_S
    means = sum(range(1, 16)) * 10 / 15
    assert kept["cpu"] / kept["seconds"] == pytest.approx(means, rel=0.001)
    docs = w.cache.all(kinds.USAGE_RECORD)
    assert len(docs) == 6
    assert {doc["spec"]["project"] for doc in docs} == {"shop"}


@simulated
async def test_a_project_that_is_gone_keeps_its_history_and_goes_on_with_it(w: World) -> None:
    async with w.running():
        await w.pod("a", HALF)
        await w.wait(600)
        await w.delete("a")
        await w.wait(20 * DAY_S)
        gone = w.kept()["seconds"]
        assert 590 <= gone <= 600
        await w.pod("b", HALF)
        await w.wait(600)
        assert 1100 <= w.kept()["seconds"] <= 1200


@simulated
async def test_claims_are_storage(w: World) -> None:
    async with w.running():
        claim: Doc = {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": "shop"},
            "spec": {
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
            },
        }  # fmt: skip
        await w.client.write(Create(kinds.PVC, claim))
        await w.wait(600)
        assert w.kept()["storage"] == 0
        bound = {"phase": "Bound", "capacity": {"storage": "2Gi"}}
        await w.client.write(Patch(kinds.PVC, "shop", "data", {"status": bound}, "status"))
        await w.wait(600)
        kept = w.kept()
        assert kept["storage"] == 2048 * kept["seconds"]
        assert kept["seconds"] >= 540


class Failing(InProcess):
    """A client whose store is not there for a while."""

    fails = False

    async def submit(self, operations: Any) -> Answers:
        if self.fails:
            raise Unavailable("the store has no majority")
        return await super().submit(operations)


@simulated
async def test_what_could_not_be_written_is_written_later(w: World) -> None:
    client = Failing(w.registry, loop_user("test"))
    async with w.running(client):
        await w.pod("a", HALF)
        await w.wait(600)
        client.fails = True
        await w.wait(14 * 3600)  # chunks come to their end meanwhile
        client.fails = False
        await w.wait(120)
        assert w.kept()["seconds"] >= 14 * 3600 + 600


@simulated
async def test_what_is_gone_when_the_feed_breaks_is_not_accounted(w: World) -> None:
    async with w.running():
        await w.pod("a", HALF)
        await w.pod("b", HALF)
        await w.wait(600)
        kept = {
            kind: [one for one in w.cache.shelf(kind).held() if one.name != "a"]
            for kind in (kinds.POD, kinds.NODE, kinds.NAMESPACE, kinds.USAGE_RECORD)
        }
        w.cache.replace(kept, w.cache.revision)
        before = w.kept()
        await w.wait(600)
        after = w.kept()
    assert after["pods"] - before["pods"] <= 660 + 60


async def _written(w: World, keeper: Keeper, project: str) -> None:
    account = keeper.open(project, int(w.clock.now() * 1000), ())
    assert account is not None
    account.change(account.moment_ms, 1, (1, 1))
    await w.wait(60)
    account.advance(int(w.clock.now() * 1000))
    work: list[Operation] = keeper.draft(account, int(w.clock.now() * 1000)).operations
    await w.client.submit(work)


@simulated
async def test_the_project_that_is_gone_for_longest_makes_room(w: World) -> None:
    keeper = Keeper(w.cache, projects_max=2)
    for project in ("one", "two"):
        await _written(w, keeper, project)
    now = int(w.clock.now() * 1000)
    assert keeper.open("three", now, ["one", "two"]) is None
    assert keeper.left_out == {"three"}
    assert keeper.open("three", now, ["one"]) is not None
    assert not keeper.left_out
    await w.client.submit(keeper.deletions())
    left = {doc["spec"]["project"] for doc in w.cache.all(kinds.USAGE_RECORD)}
    assert left == {"one"}
    assert not keeper.deletions()


@simulated
async def test_after_two_years_nothing_is_left(w: World) -> None:
    keeper = Keeper(w.cache)
    await _written(w, keeper, "one")
    assert not list(keeper.ended(w.clock.now() + 700 * DAY_S, ()))
    assert not list(keeper.ended(w.clock.now() + 740 * DAY_S, ["one"]))
    assert list(keeper.ended(w.clock.now() + 740 * DAY_S, ())) == ["one"]


def _namespace(name: str) -> Doc:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
