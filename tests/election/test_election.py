"""Candidates for one Lease, under a clock that the tests own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from longshore.base.chance import Chance
from longshore.base.users import loop_user
from longshore.core.objects.errors import Unavailable
from longshore.core.objects.kinds import LEASE, NAMESPACE, Doc
from longshore.core.registry.client import (
    Create,
    Delete,
    Operation,
    Patch,
)
from longshore.core.registry.fencing import Fence
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.core.store.memory import MemoryStore
from longshore.machinery.election.plan import Rules
from longshore.machinery.election.run import Candidate, Election
from longshore.testing.clock import VirtualClock, settle

NAMES = ("kube-system", "kube-scheduler")
RULES = Rules()


class Cable(InProcess):
    """A server's way to the store: "refuses" writes, or "hangs", or is all right."""

    state = ""

    async def write(self, operation: Operation) -> Doc:
        if self.state == "refuses":
            raise Unavailable("no majority")
        if self.state == "hangs":
            await asyncio.Event().wait()
        return await super().write(operation)


class Skewed:
    """A clock whose wall is off by so much, and whose monotonic began elsewhere."""

    def __init__(self, clock: VirtualClock, wall_s: float) -> None:
        self._clock, self._wall_s = clock, wall_s
        self.sleep = clock.sleep

    def now(self) -> float:
        return self._clock.now() + self._wall_s

    def monotonic(self) -> float:
        return self._clock.monotonic() + 12345.0


class Server:
    """One candidate. terms are the transitions of the terms it led in. It fails if it is to lead
    while another does."""

    def __init__(self, house: House, name: str, wall_s: float = 0.0) -> None:
        self.house, self.name = house, name
        self.cable = Cable(house.registry, loop_user(name))
        self.terms: list[int] = []
        self.at_work = False
        candidate, clock = Candidate(*NAMES, name), Skewed(house.clock, wall_s)
        self.election = Election(candidate, self.cable, clock, Chance(name), RULES, self._lead)
        self.task = house.crew.create_task(self.election.run())
        house.servers.append(self)

    async def _lead(self, term: Fence) -> None:
        assert not any(server.at_work for server in self.house.servers)
        self.terms.append(term.transitions)
        self.at_work = True
        try:
            await asyncio.Event().wait()
        finally:
            self.at_work = False

    async def stop(self) -> None:
        self.task.cancel()
        await settle()


class House:
    def __init__(self, registry: Registry, clock: VirtualClock, crew: asyncio.TaskGroup) -> None:
        self.registry, self.clock, self.crew = registry, clock, crew
        self.admin = InProcess(registry, loop_user("admin"))
        self.servers: list[Server] = []

    @property
    def lease(self) -> Doc:
        return self.registry.cache.get(LEASE, *NAMES) or {}

    @property
    def spec(self) -> Doc:
        spec: Doc = self.lease["spec"]
        return spec


@pytest.fixture
async def house() -> AsyncIterator[House]:
    clock = VirtualClock()
    registry = Registry(MemoryStore(), clock, Chance(1))
    await registry.open()
    async with asyncio.TaskGroup() as crew:
        running = crew.create_task(registry.run())
        async with asyncio.TaskGroup() as candidates:
            house = House(registry, clock, candidates)
            await house.admin.write(Create(NAMESPACE, {"metadata": {"name": NAMES[0]}}))
            yield house
            for server in house.servers:
                server.task.cancel()
            await clock.advance(5)
        running.cancel()


async def test_the_first_leads_and_the_lease_is_as_client_go_writes_it(house: House) -> None:
    a = Server(house, "a")
    await settle()
    b = Server(house, "b")
    await house.clock.advance(60.5)
    assert (a.terms, a.election.leads, b.terms, b.election.leads) == ([0], True, [], False)
    assert house.spec == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-01T00:00:00.000000Z",
        "renewTime": "2026-01-01T00:01:00.000000Z",
        "leaseTransitions": 0,
    }


async def test_many_candidates_at_once_have_one_leader(house: House) -> None:
    servers = [Server(house, f"s{number}") for number in range(5)]
    await house.clock.advance(30)
    assert sum(server.at_work for server in servers) == 1


async def test_who_is_stopped_well_is_followed_at_once(house: House) -> None:
    a = Server(house, "a")
    await settle()
    b = Server(house, "b")
    await house.clock.advance(5)
    await a.stop()
    assert (a.at_work, b.terms) == (False, [1])
    assert house.spec["leaseTransitions"] == 1


async def test_a_released_lease_is_nobodys(house: House) -> None:
    a = Server(house, "a")
    await house.clock.advance(1)
    await a.stop()
    assert "holderIdentity" not in house.spec
    assert house.spec["leaseDurationSeconds"] == 1


@pytest.mark.parametrize("state", ["refuses", "hangs"])
@pytest.mark.parametrize("wall_s", [0.0, 3600.0, -3600.0])
async def test_who_cannot_renew_steps_down_before_another_leads(
    house: House, state: str, wall_s: float
) -> None:
    a = Server(house, "a")
    await settle()
    b = Server(house, "b", wall_s)
    await house.clock.advance(6.5)
    a.cable.state = state
    await house.clock.advance(9)
    assert a.at_work
    await house.clock.advance(1)
    assert [server.name for server in (a, b) if server.at_work] == []
    await house.clock.advance(5)
    assert b.terms == [1]
    a.cable.state = ""
    await house.clock.advance(60)
    assert (a.terms, b.terms) == ([0], [1])


async def test_a_leader_that_vanished_is_replaced_when_its_lease_is_over(house: House) -> None:
    a = Server(house, "a")
    await settle()
    b = Server(house, "b")
    await house.clock.advance(6)
    a.cable.state = "hangs"  # so nothing is given back either
    a.task.cancel()
    last = house.clock.now()
    while not b.at_work:
        await house.clock.advance(0.1)
    assert house.clock.now() - last <= RULES.lease_s + 0.2


async def test_who_steps_down_and_is_alone_leads_again_in_a_new_term(house: House) -> None:
    a = Server(house, "a")
    await house.clock.advance(6)
    a.cable.state = "refuses"
    await house.clock.advance(20)
    assert not a.at_work
    a.cable.state = ""
    await house.clock.advance(5)
    assert a.terms == [0, 1] and a.at_work


async def test_a_lease_that_somebody_takes_away_ends_the_term_at_once(house: House) -> None:
    a = Server(house, "a")
    await house.clock.advance(6)
    thief = {"spec": {"holderIdentity": "thief", "leaseTransitions": 7}}
    await house.admin.write(Patch(LEASE, *NAMES, thief))
    await settle()
    assert not a.at_work
    await house.clock.advance(14.8)
    assert not a.at_work
    await house.clock.advance(0.4)
    assert a.terms == [0, 8]


async def test_a_deleted_lease_is_made_anew(house: House) -> None:
    a = Server(house, "a")
    await house.clock.advance(6)
    await house.admin.write(Delete(LEASE, *NAMES))
    await house.clock.advance(3)
    assert a.at_work and house.spec["holderIdentity"] == "a"


async def test_what_people_write_on_a_lease_stays_and_disturbs_nobody(house: House) -> None:
    a = Server(house, "a")
    await house.clock.advance(6)
    note = {"metadata": {"annotations": {"example.org/note": "mine"}}}
    await house.admin.write(Patch(LEASE, *NAMES, note))
    await house.clock.advance(30)
    assert a.terms == [0]
    assert house.lease["metadata"]["annotations"] == {"example.org/note": "mine"}
    assert house.spec["renewTime"] > "2026-01-01T00:00:30"


async def test_what_leads_stops_the_candidate_if_it_fails(house: House) -> None:
    async def lead(_term: Fence) -> None:
        raise ValueError("a fault of ours")

    candidate = Candidate(*NAMES, "a")
    election = Election(candidate, house.admin, house.clock, Chance(1), RULES, lead)
    with pytest.raises(ExceptionGroup) as failed:
        await election.run()
    assert failed.value.subgroup(ValueError) is not None
    assert "holderIdentity" not in house.spec


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        (Rules(), ""),
        (Rules(2, 1.5, 0.5), ""),
        (Rules(10), "lease duration"),
        (Rules(15, 2.2), "renew deadline"),
        (Rules(0), "a second"),
        (Rules(15, 10, 0), "above 0"),
    ],
)
def test_rules_that_contradict_one_another_are_refused(rules: Rules, why: str) -> None:
    assert why in rules.fault() and bool(why) == bool(rules.fault())
