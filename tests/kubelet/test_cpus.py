"""CPUs of their own: who gets which, and that nobody else is on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.cpus.lists import cpus_text, parse_cpus
from longshore.machinery.kubelet.cpus.plan import (
    Cpus,
    Machine,
    Short,
    assign,
    choose,
    shared,
    whole_cpus,
)
from longshore.machinery.kubelet.resource_settings import ResourceSettings
from longshore.machinery.runtime.protocol import Resources
from longshore.testing.clock import VirtualClock

from .docs import container, pod
from .world import Recording, World, until, world_of

EIGHT = Machine(
    frozenset(range(8)), frozenset({0}),
    # Two sockets of two cores of two threads; threads of a core are four apart, as Linux counts.
    {cpu: (cpu // 2 % 2, cpu % 4) for cpu in range(8)},
)  # fmt: skip


def wants(name: str, cpu: str, **more: str) -> Doc:
    limits = {"cpu": cpu, "memory": "64Mi"}
    return container(name, resources={"limits": limits, "requests": limits}, **more)


def test_lists_of_cpus() -> None:
    assert cpus_text({0, 1, 2, 7}) == "0-2,7"
    assert parse_cpus("0-2,7") == {0, 1, 2, 7}
    assert (cpus_text(()), parse_cpus("")) == ("", frozenset())
    with pytest.raises(ValueError, match='"0-x" is no list of CPUs'):
        parse_cpus("0-x")


@given(st.frozensets(st.integers(0, 300)))
def test_a_list_says_what_was_written(cpus: Cpus) -> None:
    assert parse_cpus(cpus_text(cpus)) == cpus


def test_only_whole_cpus_of_guaranteed_pods_count() -> None:
    assert whole_cpus(pod(wants("a", "2")), wants("a", "2")) == 2
    assert whole_cpus(pod(wants("a", "1500m")), wants("a", "1500m")) == 0
    burstable = container(resources={"requests": {"cpu": "2", "memory": "1Mi"}})
    assert whole_cpus(pod(burstable), burstable) == 0


def test_threads_of_a_core_stay_together() -> None:
    free = EIGHT.all - EIGHT.reserved
    assert choose(EIGHT, free, 4) == {2, 3, 6, 7}, "a whole socket"
    assert choose(EIGHT, free, 2) == {1, 5}, "a core, where another is broken already"
    assert choose(EIGHT, free, 1) == {4}, "the thread beside the reserved one"


def test_init_containers_hand_on_what_they_had() -> None:
    doc = pod(
        wants("main", "3"), inits=[wants("first", "2"), wants("side", "1", restartPolicy="Always")]
    )
    found = assign(EIGHT, {}, doc)
    assert isinstance(found, Mapping)
    assert found["first"] <= found["main"] | found["side"]
    assert not found["side"] & found["main"]


def test_too_many_are_refused_with_the_number_that_there_is() -> None:
    found = assign(EIGHT, {"other": {"main": frozenset({1, 2, 3})}}, pod(wants("main", "5")))
    assert found == Short(5, 4)


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=30))
def test_no_cpu_is_two_pods_own(script: list[tuple[int, bool]]) -> None:
    """Whatever comes and goes, in whatever order."""
    owned: dict[str, Mapping[str, Cpus]] = {}
    for number, (count, leaves) in enumerate(script):
        if leaves and owned:
            del owned[min(owned)]
        free = shared(EIGHT, owned) - EIGHT.reserved
        found = assign(EIGHT, owned, pod(wants("main", str(count)), name=f"p{number}"))
        if isinstance(found, Short):
            assert len(free) < count
            continue
        if count:
            assert len(found["main"]) == count
            assert found["main"] <= free
        owned[f"{number:02}"] = found
        every = [cpu for pods in owned.values() for cpus in pods.values() for cpu in cpus]
        assert len(every) == len(set(every))
        assert EIGHT.reserved <= shared(EIGHT, owned)


class Placing(Recording):
    """A runtime that remembers the CPUs of its containers."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self.moved: dict[str, str] = {}

    async def update_container(self, container_id: str, resources: Resources) -> None:
        [found] = [c for c in await self.containers() if c.id == container_id]
        self.moved[found.name] = resources.cpuset


class Node(World):
    """A World of eight CPUs, one of which is reserved."""

    runtime: Placing

    def __post_init__(self) -> None:
        super().__post_init__()
        self.runtime = Placing(self.clock)
        self.resources = ResourceSettings(cpu_manager_policy="static", reserved_cpus="0")
        self.machine = EIGHT

    def start(self) -> None:
        self.start_agent().machine = lambda: self.machine

    def cpus(self, name: str) -> str:
        return self.runtime.moved.get(name) or next(
            spec.resources.cpuset for spec in reversed(self.runtime.started) if spec.name == name
        )

    async def runs(self, doc: Doc) -> None:
        await self.run_pod(doc)
        await until(lambda: self.phase(doc["metadata"]["name"]) in ("Running", "Failed"))


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with world_of(Node, tmp_path) as made:
        made.start()
        yield made


async def test_who_shares_makes_room_and_gets_it_back(node: Node) -> None:
    await node.runs(pod(container("shares"), name="shares"))
    assert node.cpus("shares") == "0-7"
    await node.runs(pod(wants("owns", "3"), name="owns"))
    own = parse_cpus(node.cpus("owns"))
    assert (len(own), 0 in own) == (3, False)
    assert parse_cpus(node.cpus("shares")) == EIGHT.all - own
    [spec] = [spec for spec in node.runtime.started if spec.name == "owns"]
    assert spec.resources.cpu_limit_millis == 0, "nobody is held back on CPUs of his own"
    await node.delete("owns", grace_s=0)
    await until(lambda: node.cpus("shares") == "0-7")


async def test_a_pod_that_asks_for_too_many_has_failed(node: Node) -> None:
    """Its binder counts CPUs, and does not know which of them are threads that others have."""
    await node.stop_agent()
    node.machine = Machine(frozenset({0, 1}), frozenset({0}), {0: (0, 0), 1: (0, 1)})
    node.start()
    await node.runs(pod(wants("owns", "2"), name="owns"))
    assert (node.phase("owns"), node.status("owns")["reason"]) == (
        "Failed",
        "UnexpectedAdmissionError",
    )
    assert node.status("owns")["message"] == (
        "Pod was rejected: Allocate failed due to not enough cpus available to satisfy request: "
        "requested=2, available=1, which is unexpected"
    )


async def test_who_owns_what_is_written_down(node: Node) -> None:
    await node.runs(pod(wants("owns", "3"), name="owns"))
    uid = (await node.pod("owns"))["metadata"]["uid"]
    state = orjson.loads((node.root / "cpu_manager_state").read_bytes())
    assert state["policyName"] == "static"
    assert parse_cpus(state["entries"][uid]["owns"]) == parse_cpus(node.cpus("owns"))


async def test_a_new_agent_knows_who_owns_what(node: Node) -> None:
    await node.runs(pod(wants("owns", "3"), name="owns"))
    before = node.cpus("owns")
    await node.stop_agent()
    node.start()
    await until(lambda: node.agents)
    await node.runs(pod(container("shares"), name="shares"))
    assert parse_cpus(node.cpus("shares")) == EIGHT.all - parse_cpus(before)


def test_a_policy_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match='unknown policy: "dynamic"'):
        ResourceSettings(cpu_manager_policy="dynamic")
    with pytest.raises(ValueError, match="to be greater than zero"):
        ResourceSettings(cpu_manager_policy="static")
