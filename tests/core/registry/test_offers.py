"""What is offered is held: nobody else can have it, whatever comes first."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.base.chance import Chance
from longshore.base.clock import rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.errors import AlreadyExists, Conflict, Invalid, NotFound
from longshore.core.objects.kinds import Doc
from longshore.core.objects.offers import ANNOTATION
from longshore.core.registry.client import Bind, Create, Delete, DeleteOptions, Operation, Patch
from longshore.core.registry.inprocess import InProcess
from longshore.core.registry.registry import Registry
from longshore.core.registry.sent import WriteOptions
from longshore.core.store.memory import MemoryStore
from longshore.testing.clock import VirtualClock
from longshore.testing.loop import SimulatedLoop
from tests.core.registry.conftest import ADMIN, Desk
from tests.core.registry.test_capacity import bind, node, pod, remove


def offer(name: str, node_name: str = "n1", cpu: str = "2", **more: str) -> Doc:
    resources = {"cpu": cpu, "pods": "10", **more}
    spec = {"schedulerName": "mine", "nodeName": node_name, "resources": resources}
    return {"metadata": {"name": name}, "spec": spec}


def mine(name: str, cpu: str = "1") -> Doc:
    made = pod(name, cpu)
    return {**made, "spec": {**made["spec"], "schedulerName": "mine"}}


async def accept(desk: Desk, name: str, of: str, node_name: str = "n1") -> Doc:
    annotations = {ANNOTATION: of}
    return await desk.client.write(Bind("default", name, node_name, annotations=annotations))


@pytest.fixture
async def half(desk: Desk) -> Desk:
    """A node of 4 cpu, 2 of them offered."""
    await desk.create(kinds.NODE, node(cpu="4", memory="8Gi", pods="100"))
    await desk.create(kinds.OFFER, offer("o1"))
    return desk


async def test_others_get_only_what_is_not_offered(half: Desk) -> None:
    for name, cpu in (("a", "2"), ("b", "1")):
        await half.create(kinds.POD, pod(name, cpu))
    await bind(half, "a")
    with pytest.raises(
        Conflict, match="resource: cpu, requested: 1000, used: 4000, capacity: 4000"
    ):
        await bind(half, "b")


async def test_what_is_bound_or_offered_cannot_be_offered(half: Desk) -> None:
    await half.create(kinds.POD, pod("a"))
    await bind(half, "a")
    with pytest.raises(Conflict) as refused:
        await half.create(kinds.OFFER, offer("o2"))
    assert refused.value.message == (
        'Operation cannot be fulfilled on offers.scheduling.longshore.io "o2": node "n1": Node '
        "didn't have enough resource: cpu, requested: 2000, used: 3000, capacity: 4000"
    )
    await half.create(kinds.OFFER, offer("o3", cpu="1"))


async def test_it_is_accepted_in_parts_and_never_beyond(half: Desk) -> None:
    for name in "abc":
        await half.create(kinds.POD, mine(name))
    for name in "ab":
        bound = await accept(half, name, "o1")
        assert bound["metadata"]["annotations"][ANNOTATION] == "o1"
    with pytest.raises(Conflict, match='offer "o1": not enough cpu, requested: 1000, left: 0'):
        await accept(half, "c", "o1")


async def test_what_was_not_accepted_is_free_when_the_offer_is_gone(half: Desk) -> None:
    await half.create(kinds.POD, mine("a"))
    await accept(half, "a", "o1")
    await half.client.write(Delete(kinds.OFFER, "", "o1"))
    for name, cpu in (("b", "3"), ("c", "1m")):
        await half.create(kinds.POD, pod(name, cpu))
    await bind(half, "b")
    with pytest.raises(Conflict, match="used: 4000"):
        await bind(half, "c")


async def test_what_a_pod_took_is_the_offers_again_when_it_ends(half: Desk) -> None:
    for name in "ab":
        await half.create(kinds.POD, mine(name, "2"))
    await accept(half, "a", "o1")
    await remove(half, "a")
    await half.create(kinds.POD, pod("other", "3"))
    with pytest.raises(Conflict, match="used: 2000"):
        await bind(half, "other")
    await accept(half, "b", "o1")


async def test_it_can_be_given_a_node_later(half: Desk) -> None:
    later = offer("o2", "")
    await half.create(kinds.OFFER, later)
    spec = {"nodeName": "n1", "resources": {"cpu": "3"}}
    with pytest.raises(Conflict, match="requested: 3000"):
        await half.client.write(Patch(kinds.OFFER, "", "o2", {"spec": spec}))
    spec["resources"] = {"cpu": "2"}
    await half.client.write(Patch(kinds.OFFER, "", "o2", {"spec": spec}))
    await half.create(kinds.POD, pod("a", "1m"))
    with pytest.raises(Conflict, match="used: 4000"):
        await bind(half, "a")
    with pytest.raises(Invalid, match="field is immutable"):
        await half.client.write(Patch(kinds.OFFER, "", "o2", {"spec": {"nodeName": "n2"}}))


async def test_who_may_not_take_it(half: Desk) -> None:
    await half.create(kinds.NODE, node("n2", cpu="4", memory="8Gi", pods="100"))
    await half.create(kinds.POD, pod("foreign"))
    await half.create(kinds.POD, mine("a"))
    for name, of, where, why in (
        ("foreign", "o1", "n1", 'made to scheduler "mine", the pod\'s is "default-scheduler"'),
        ("a", "o1", "n2", 'offer "o1" is not one of node "n2"'),
        ("a", "none", "n1", 'offer "none" is gone'),
    ):
        with pytest.raises(Conflict, match=why):
            await accept(half, name, of, where)
    end = {"status": {"expireTime": rfc3339(half.clock.now())}}
    await half.client.write(Patch(kinds.OFFER, "", "o1", end, "status"))
    with pytest.raises(Conflict, match='offer "o1" has expired'):
        await accept(half, "a", "o1")


async def test_a_pod_cannot_say_itself_that_it_takes_of_an_offer(half: Desk) -> None:
    liar = pod("liar", "2")
    liar["metadata"]["annotations"] = {ANNOTATION: "o1", "mine": "stays"}
    await half.create(kinds.POD, liar)
    assert (await bind(half, "liar"))["metadata"]["annotations"] == {"mine": "stays"}


async def test_a_dry_run_holds_nothing(desk: Desk) -> None:
    await desk.create(kinds.NODE, node(cpu="2", memory="8Gi", pods="100"))
    dry = WriteOptions(dry_run=True)
    for _ in range(2):
        await desk.registry.create(ADMIN, kinds.OFFER, offer("o1"), options=dry)
    await desk.create(kinds.OFFER, offer("o1"))
    with pytest.raises(Conflict):
        await desk.registry.create(ADMIN, kinds.OFFER, offer("o2"), options=dry)


# ---- all at once, in any order

CPUS, NODES, NAMES = 4, ("n0", "n1"), st.integers(0, 3)
# Mostly one, so that deeds meet there.
NODE = st.sampled_from((*NODES, NODES[0], NODES[0]))
DEEDS = st.one_of(
    st.tuples(st.just("offer"), NAMES, NODE, st.integers(1, 4)),
    st.tuples(st.just("bind"), NAMES, NODE, st.just(0)),
    st.tuples(st.just("accept"), NAMES, NODE, NAMES),
    st.tuples(st.just("decline"), NAMES, st.just(""), st.just(0)),
    st.tuples(st.just("remove"), NAMES, st.just(""), st.just(0)),
)
Deed = tuple[str, int, str, int]


async def do(client: InProcess, deed: Deed) -> None:
    """What is refused is refused: only what comes of it all counts."""
    with suppress(Conflict, NotFound, AlreadyExists):
        await client.write(operation(deed))
        if deed[0] == "remove":
            await client.write(Create(kinds.POD, placeable(deed[1])))


def operation(deed: Deed) -> Operation:
    what, number, where, other = deed
    match what:
        case "offer":
            return Create(kinds.OFFER, offer(f"o{number}", where, str(other)))
        case "bind":
            return Bind("default", f"p{number}", where)
        case "accept":
            return Bind("default", f"p{number}", where, annotations={ANNOTATION: f"o{other}"})
        case "decline":
            return Delete(kinds.OFFER, "", f"o{number}")
    return Delete(kinds.POD, "default", f"p{number}", DeleteOptions(grace_s=0))


def placeable(number: int) -> Doc:
    made = mine(f"p{number}", str(1 + number % 2))
    return {**made, "metadata": {**made["metadata"], "namespace": "default"}}


def check(registry: Registry) -> None:
    """From what is stored alone: bound pods and what offers have left never exceed a node."""
    used: Counter[str] = Counter()
    held = {one["metadata"]["name"]: one["spec"] for one in registry.cache.all(kinds.OFFER)}
    left = {name: int(spec["resources"]["cpu"]) for name, spec in held.items()}
    for one in registry.cache.all(kinds.POD):
        cpu = int(one["spec"]["containers"][0]["resources"]["requests"]["cpu"])
        if where := one["spec"].get("nodeName"):
            used[where] += cpu
            of = one["metadata"].get("annotations", {}).get(ANNOTATION)
            if of in left and held[of]["nodeName"] == where:
                left[of] -= cpu
    for name, spec in held.items():
        used[spec["nodeName"]] += max(left[name], 0)
    assert all(count <= CPUS for count in used.values()), (used, held)


async def play(rounds: Sequence[Sequence[Deed]]) -> None:
    registry = Registry(MemoryStore(), VirtualClock(), Chance.seeded(1))
    await registry.open()
    client = InProcess(registry, ADMIN)
    async with asyncio.TaskGroup() as crew:
        running = crew.create_task(registry.run())
        await client.write(Create(kinds.NAMESPACE, {"metadata": {"name": "default"}}))
        for name in NODES:
            had = node(name, cpu=str(CPUS), memory="8Gi", pods="100")
            await client.write(Create(kinds.NODE, had))
        await client.submit([Create(kinds.POD, placeable(number)) for number in range(4)])
        for deeds in rounds:
            together: list[Awaitable[None]] = [do(client, deed) for deed in deeds]
            await asyncio.gather(*together)
            check(registry)
        running.cancel()
    await registry.close()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(DEEDS, min_size=2, max_size=8), min_size=2, max_size=10),
    st.integers(0, 2**32),
)
def test_nothing_is_given_to_two_whoever_comes_first(rounds: list[list[Deed]], seed: int) -> None:
    loop = SimulatedLoop(Chance.seeded(seed))
    try:
        loop.run_until_complete(play(rounds))
    finally:
        loop.close()
