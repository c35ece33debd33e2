"""PodDisruptionBudgets are counted as their pods come, grow ready and go."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.base.clock import rfc3339
from longshore.base.users import loop_user
from longshore.core.objects import kinds
from longshore.core.objects.errors import TooManyRequests
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import DeleteOptions
from longshore.core.registry.eviction import Evictions
from longshore.machinery.controllers.disruption.members import Member, Members, Owner
from longshore.machinery.controllers.disruption.plan import Uncountable, plan

from .world import World, condition, deployment, running

WEB = {"matchLabels": {"app": "web"}}
SET = Owner("apps/v1", "ReplicaSet", "web", "u1")


async def budget(world: World, **spec: Any) -> None:
    doc = {"metadata": {"name": "web"}, "spec": {"selector": WEB, **spec}}
    await world.create(kinds.PDB, doc)
    await world.quiet()


def counted(world: World) -> dict[str, int]:
    status = world.get(kinds.PDB, "web")["status"]
    names = ("expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed")
    return {name: status[name] for name in names}


def counts(expected: int, desired: int, healthy: int, allowed: int) -> dict[str, int]:
    return {
        "expectedPods": expected, "desiredHealthy": desired,
        "currentHealthy": healthy, "disruptionsAllowed": allowed,
    }  # fmt: skip


async def pass_time(world: World, seconds: float) -> None:
    """Let time go on while the nodes live."""
    for _ in range(int(seconds / 10) + 1):
        await world.clock.advance(10)
        for name in ("n0", "n1"):
            await world.renew(name)
    await world.quiet()


def bare_pod(name: str) -> Doc:
    labels = {"app": "web"}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [{"name": "c", "image": "one"}]},
    }


@pytest.mark.parametrize(
    ("spec", "desired", "allowed"),
    [
        ({"minAvailable": 2}, 2, 5),
        ({"minAvailable": "50%"}, 4, 3),
        ({"maxUnavailable": 2}, 5, 2),
        ({"maxUnavailable": "30%"}, 4, 3),
        ({"maxUnavailable": "100%"}, 0, 7),
        ({"minAvailable": 9}, 9, 0),
    ],
)
async def test_numbers_and_percentages_of_a_deployment(
    spec: Doc, desired: int, allowed: int
) -> None:
    async with running() as world:
        await world.create(kinds.DEPLOYMENT, deployment(replicas=7))
        await world.play()
        await budget(world, **spec)
        assert counted(world) == counts(7, desired, 7, allowed)
        status = world.get(kinds.PDB, "web")["status"]
        assert status["observedGeneration"] == 1
        told = condition(world.get(kinds.PDB, "web"), "DisruptionAllowed")
        enough = allowed > 0
        assert told["reason"] == ("SufficientPods" if enough else "InsufficientPods")
        assert (told["status"], told["observedGeneration"]) == (str(enough), 1)


async def test_pods_that_are_not_ready_are_not_healthy() -> None:
    async with running() as world:
        await budget(world, minAvailable=1)
        assert counted(world) == counts(0, 1, 0, 0)
        assert world.events("NoPods") == ["No matching pods found"]
        for name in ("a", "b"):
            await world.create(kinds.POD, bare_pod(name))
        await world.quiet()
        assert counted(world) == counts(2, 1, 0, 0)
        await world.play()
        assert counted(world) == counts(2, 1, 2, 1)
        await world.delete(kinds.POD, "a")
        await world.quiet()
        assert counted(world) == counts(2, 1, 1, 0)
        await world.play()
        assert counted(world) == counts(1, 1, 1, 0)


async def test_a_changed_selector_counts_other_pods() -> None:
    async with running() as world:
        await world.create(kinds.POD, bare_pod("a"))
        await world.play()
        await budget(world, minAvailable=0)
        assert counted(world) == counts(1, 0, 1, 1)
        other = {"spec": {"selector": {"matchLabels": {"app": "shop"}}}}
        await world.patch(kinds.PDB, "web", other)
        await world.quiet()
        assert counted(world) == counts(0, 0, 0, 0)
        assert world.get(kinds.PDB, "web")["status"]["observedGeneration"] == 2
        await world.patch(kinds.POD, "a", {"metadata": {"labels": {"app": "shop"}}})
        await world.quiet()
        assert counted(world) == counts(1, 0, 1, 1)


async def test_bare_pods_are_left_out_where_their_scale_matters() -> None:
    async with running() as world:
        await world.create(kinds.POD, bare_pod("a"))
        await world.play()
        await budget(world, maxUnavailable=1)
        assert counted(world) == counts(0, 0, 1, 0)
        (told,) = world.events("UnmanagedPods")
        assert told.startswith("Pods selected by this PodDisruptionBudget (selector: app=web) were")


async def test_what_has_no_scale_fails_safe() -> None:
    async with running() as world:
        node = world.get(kinds.NODE, "n0")
        owner = {"apiVersion": "v1", "kind": "Node", "name": "n0", "uid": node["metadata"]["uid"]}
        pod = bare_pod("a")
        pod["metadata"]["ownerReferences"] = [{**owner, "controller": True}]
        await world.create(kinds.POD, pod)
        await world.play()
        await budget(world, maxUnavailable=1)
        told = condition(world.get(kinds.PDB, "web"), "DisruptionAllowed")
        why = "nodes does not implement the scale subresource"
        assert (told["status"], told["reason"], told["message"]) == ("False", "SyncFailed", why)
        assert counted(world)["disruptionsAllowed"] == 0
        assert world.events("CalculateExpectedPodCountFailed")


def evictions(world: World) -> Evictions:
    return Evictions(world.registry, world.clock)


async def evict(world: World, name: str) -> None:
    who = loop_user("test")
    await evictions(world).evict(who, "default", name, DeleteOptions(), dry_run=False)


async def test_evictions_at_the_same_time_never_take_more_than_the_budget_has() -> None:
    async with running() as world:
        await world.create(kinds.DEPLOYMENT, deployment(replicas=6))
        await world.play()
        await budget(world, minAvailable="60%")  # 4 of 6
        names = [pod["metadata"]["name"] for pod in world.pods()]
        answers = await asyncio.gather(
            *(evict(world, name) for name in names), return_exceptions=True
        )
        assert sum(answer is None for answer in answers) == 2
        assert sum(isinstance(answer, TooManyRequests) for answer in answers) == 4
        await world.play()
        assert counted(world) == counts(6, 4, 6, 2)
        assert "disruptedPods" not in world.get(kinds.PDB, "web")["status"]


async def test_an_eviction_that_does_not_come_runs_out() -> None:
    async with running() as world:
        await world.create(kinds.POD, bare_pod("a"))
        await world.create(kinds.POD, bare_pod("b"))
        await world.play()
        await budget(world, minAvailable=1)
        since = rfc3339(world.clock.now())
        spent = {"status": {"disruptedPods": {"a": since, "gone": since}, "disruptionsAllowed": 0}}
        await world.patch(kinds.PDB, "web", spent, "status")
        await world.quiet()
        assert world.get(kinds.PDB, "web")["status"]["disruptedPods"] == {"a": since}
        assert counted(world) == counts(2, 1, 1, 0)
        await pass_time(world, 122)
        assert counted(world) == counts(2, 1, 2, 1)
        told = "Pod was expected by PDB default/web to be deleted but it wasn't"
        assert world.events("NotDeleted") == [told]


async def test_a_disruption_that_does_not_come_is_withdrawn() -> None:
    async with running() as world:
        await world.create(kinds.POD, bare_pod("a"))
        await world.play()
        pod = world.get(kinds.POD, "a")
        target = {
            "type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler",
            "lastTransitionTime": rfc3339(world.clock.now()),
        }  # fmt: skip
        conditions = [*pod["status"]["conditions"], target]
        await world.patch(kinds.POD, "a", {"status": {"conditions": conditions}}, "status")
        await pass_time(world, 100)
        assert condition(world.get(kinds.POD, "a"), "DisruptionTarget")["status"] == "True"
        await pass_time(world, 30)
        assert condition(world.get(kinds.POD, "a"), "DisruptionTarget")["status"] == "False"


async def test_two_budgets_for_one_pod_are_told_of() -> None:
    async with running() as world:
        await budget(world, minAvailable=0)
        doc = {"metadata": {"name": "also"}, "spec": {"selector": {}, "minAvailable": 0}}
        await world.create(kinds.PDB, doc)
        await world.create(kinds.POD, bare_pod("a"))
        await world.play()
        (told,) = world.events("MultiplePodDisruptionBudgets")
        assert told == (
            'Pod "default"/"a" matches multiple PodDisruptionBudgets.  Chose "also" arbitrarily.'
        )


# --- the plan alone ---

_MEMBERS = st.dictionaries(
    st.sampled_from([f"p{n}" for n in range(12)]),
    st.builds(
        lambda ready, deleting, owned: Member(ready and not deleting, deleting, SET if owned else None),
        st.booleans(), st.booleans(), st.booleans(),
    ),
)  # fmt: skip
_AMOUNT = st.one_of(st.integers(0, 15), st.integers(0, 100).map(lambda n: f"{n}%"))


@given(
    pods=_MEMBERS, amount=_AMOUNT, field=st.sampled_from(["minAvailable", "maxUnavailable"]),
    replicas=st.integers(0, 15), granted=st.sets(st.sampled_from([f"p{n}" for n in range(14)])),
)  # fmt: skip
def test_what_is_allowed_never_breaks_the_budget(
    pods: dict[str, Member], amount: int | str, field: str, replicas: int, granted: set[str]
) -> None:
    members = Members()
    for name, member in pods.items():
        members.put(name, member)
    stamp = rfc3339(1000.0)
    status = {"disruptedPods": dict.fromkeys(granted, stamp)} if granted else {}
    doc = {"metadata": {"generation": 3}, "spec": {field: amount}, "status": status}
    counted = plan(doc, members, lambda _: ("d", replicas), 1000.0, stamp).status
    left = sum(one.healthy for name, one in pods.items() if name not in granted)
    assert counted["currentHealthy"] == left
    allowed = counted["disruptionsAllowed"]
    assert 0 <= allowed <= left
    if allowed:
        assert left - allowed >= counted["desiredHealthy"]
    assert set(counted.get("disruptedPods", {})) == {
        name for name in granted if name in pods and not pods[name].deleting
    }
    # Counting again changes nothing.
    assert (
        plan({**doc, "status": counted}, members, lambda _: ("d", replicas), 1000.0, stamp).status
        == counted
    )


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.one_of(st.none(), st.booleans()))))
def test_sums_are_those_of_the_members(changes: list[tuple[str, bool | None]]) -> None:
    members, plain = Members(), dict[str, Member]()
    for name, healthy in changes:
        member = None if healthy is None else Member(healthy, False, SET if name < "c" else None)
        assert members.put(name, member) == (plain.get(name) != member)
        plain.pop(name, None)
        if member is not None:
            plain[name] = member
    assert members.healthy == sum(one.healthy for one in plain.values())
    assert members.unmanaged == sum(one.owner is None for one in plain.values())
    assert set(members) == set(plain)


def test_a_controller_that_is_gone_cannot_be_counted() -> None:
    members = Members()
    members.put("web-1", Member(True, False, SET))
    doc: Doc = {"metadata": {"generation": 1}, "spec": {"maxUnavailable": 1}}
    with pytest.raises(Uncountable, match='found no controllers for pod "web-1"'):
        plan(doc, members, lambda _: None, 0.0, rfc3339(0.0))
