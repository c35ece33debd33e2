"""Gangs, offers and queues in a cluster: the scheduler against the real registry."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.errors import Conflict, NotFound
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Bind, Create, Delete, DeleteOptions, Patch
from longshore.core.registry.offering import Offers, Wish
from longshore.machinery.scheduler.queues.settings import LABEL

from .placing import node, pod
from .test_worker import Site, site

NOW = DeleteOptions(grace_s=0)


def where(there: Site) -> dict[str, str]:
    pods = there.cache.all(kinds.POD, "shop")
    return {one["metadata"]["name"]: one["spec"].get("nodeName", "") for one in pods}


def waits(there: Site, name: str) -> str:
    (told,) = [one for one in there.found(name)["status"]["conditions"] if one["status"] == "False"]
    return str(told["message"])


async def make(there: Site, doc: Doc) -> None:
    """A pod with labels and whatever else is its own."""
    metadata = {key: doc["metadata"][key] for key in ("name", "labels") if key in doc["metadata"]}
    await there.client.write(
        Create(kinds.POD, {**doc, "metadata": {**metadata, "namespace": "shop"}})
    )


# ---- gangs


async def group(there: Site, name: str, least: int) -> None:
    doc = {
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"schedulingPolicy": {"gang": {"minCount": least}}},
    }
    await there.client.write(Create(kinds.POD_GROUP, doc))


def member(name: str, of: str, cpu: str = "1", **more: Any) -> Doc:
    return pod(name, {"cpu": cpu}, schedulingGroup={"podGroupName": of}, **more)


def state(there: Site, name: str) -> tuple[str, str]:
    found = there.cache.get(kinds.POD_GROUP, "shop", name)
    assert found is not None
    (told,) = found["status"]["conditions"]
    return told["status"], told["message"]


async def test_a_gang_waits_for_its_group_and_for_all_its_members() -> None:
    async with site() as there:
        await there.node(node("a", "4"))
        await there.pod(member("p0", "team"))
        await there.quiet()
        assert (
            waits(there, "p0")
            == 'waiting for pods\'s pod group "team" to appear in scheduling queue'
        )
        await group(there, "team", 3)
        await there.pod(member("p1", "team"))
        await there.quiet()
        assert (
            waits(there, "p1")
            == "waiting for minCount pods from a gang to appear in scheduling queue"
        )
        await there.pod(member("p2", "team"))
        await there.quiet()
        assert where(there) == {"p0": "a", "p1": "a", "p2": "a"}
        assert state(there, "team") == ("True", "")


async def test_a_gang_that_does_not_fit_binds_nobody_until_there_is_room() -> None:
    async with site() as there:
        await there.node(node("a", "2"))
        await group(there, "team", 3)
        for name in ("p0", "p1", "p2"):
            await there.pod(member(name, "team"))
        await there.quiet()
        assert set(where(there).values()) == {""}
        why = (
            "pod group is unschedulable: 2 of 3 pods fit, 3 have to. For the others: 0/1 nodes are "
            "available: 1 Insufficient cpu. preemption: No preemption victims found for the pod group as a whole."
        )
        assert waits(there, "p0") == why
        assert state(there, "team") == ("False", why)
        await there.node(node("b", "1"))
        await there.quiet()
        assert sorted(where(there).values()) == ["a", "a", "b"]
        assert state(there, "team") == ("True", "")


async def test_two_gangs_never_hold_half_of_a_cluster_each() -> None:
    async with site() as there:
        await there.node(node("a", "4"))
        for name in ("one", "two"):
            await group(there, name, 3)
        for number in range(3):
            for name in ("one", "two"):
                await there.pod(member(f"{name}-{number}", name))
        await there.quiet()
        assert [name for name, at in sorted(where(there).items()) if at] == [
            "one-0",
            "one-1",
            "one-2",
        ]
        for number in range(3):
            await there.client.write(Delete(kinds.POD, "shop", f"one-{number}", NOW))
        await there.quiet()
        assert where(there) == {"two-0": "a", "two-1": "a", "two-2": "a"}


async def test_more_members_than_must_run_come_one_by_one() -> None:
    async with site() as there:
        await there.node(node("a", "3"))
        await group(there, "team", 2)
        for number in range(4):
            await there.pod(member(f"p{number}", "team"))
        await there.quiet()
        assert sorted(where(there).values()) == ["", "a", "a", "a"]
        assert state(there, "team") == ("True", "")


async def test_who_has_done_the_work_counts_and_who_failed_is_made_anew() -> None:
    async with site() as there:
        await there.node(node("a", "4"))
        await group(there, "team", 2)
        for name in ("p0", "p1"):
            await there.pod(member(name, "team"))
        await there.quiet()
        for name, phase in (("p0", "Succeeded"), ("p1", "Failed")):
            over = {"status": {"phase": phase}}
            await there.client.write(Patch(kinds.POD, "shop", name, over, "status"))
        await there.pod(member("p2", "team"))
        await there.quiet()
        assert where(there)["p2"] == "a"


async def test_a_lower_least_lets_a_gang_run() -> None:
    async with site() as there:
        await there.node(node("a", "2"))
        await group(there, "team", 3)
        for number in range(3):
            await there.pod(member(f"p{number}", "team"))
        await there.quiet()
        spec = {"schedulingPolicy": {"gang": {"minCount": 2}}}
        await there.client.write(Patch(kinds.POD_GROUP, "shop", "team", {"spec": spec}))
        await there.quiet()
        assert sorted(where(there).values()) == ["", "a", "a"]


# ---- offers


def offers(there: Site) -> Offers:
    return Offers(there.client, "mesos")


def offer(there: Site, name: str) -> Doc:
    found = there.cache.get(kinds.OFFER, "", name)
    assert found is not None
    return found


async def asked(there: Site, **wish: Any) -> Doc:
    """An offer that was asked for, with its node if there is one for it."""
    made = await offers(there).ask(Wish(**wish))
    await there.quiet()
    return offer(there, made["metadata"]["name"])


def task(name: str, cpu: str) -> Doc:
    return pod(name, {"cpu": cpu}, schedulerName="mesos")


async def test_an_offer_is_made_accepted_in_part_and_declined() -> None:
    async with site() as there:
        await there.node(node("a", "4", "8Gi"))
        made = await asked(there, least={"cpu": "1"})
        assert made["spec"]["nodeName"] == "a"
        assert made["spec"]["resources"] == {"cpu": "4", "memory": "8Gi", "pods": "110"}
        await there.pod(pod("mine", {"cpu": "1"}))
        await there.pod(task("theirs", "3"))
        await there.quiet()
        assert where(there) == {"mine": "", "theirs": ""}
        (bound,) = await offers(there).accept(made, [there.found("theirs")])
        assert isinstance(bound, dict)
        assert bound["spec"]["nodeName"] == "a"
        await there.quiet()
        assert where(there)["mine"] == "", "what is left of the offer is held"
        await offers(there).decline(made)
        await there.quiet()
        assert where(there) == {"mine": "a", "theirs": "a"}


async def test_an_offer_ends_by_the_clock() -> None:
    async with site() as there:
        await there.node(node("a", "4"))
        made = await asked(there, lease_s=20)
        assert "expireTime" in made["status"]
        await there.pod(pod("mine", {"cpu": "1"}))
        await there.quiet()
        assert where(there) == {"mine": ""}
        await there.clock.advance(20)
        await there.quiet()
        assert where(there) == {"mine": "a"}
        with pytest.raises(NotFound):
            await there.client.get(kinds.OFFER, "", made["metadata"]["name"])
        await there.pod(task("late", "1"))
        (answer,) = await offers(there).accept(made, [there.found("late")])
        assert isinstance(answer, Conflict)


async def test_who_asks_in_vain_is_offered_what_comes() -> None:
    async with site() as there:
        await there.node(node("small", "1"))
        made = await asked(there, least={"cpu": "2"}, labels={"kubernetes.io/hostname": "big"})
        assert "nodeName" not in made["spec"]
        await there.node(node("big", "8"))
        await there.quiet()
        assert offer(there, made["metadata"]["name"])["spec"]["nodeName"] == "big"


async def test_an_offer_goes_with_its_node() -> None:
    async with site() as there:
        await there.node(node("a", "4"))
        await asked(there)
        await there.client.write(Delete(kinds.NODE, "", "a"))
        await there.quiet()
        assert list(there.cache.all(kinds.OFFER)) == []


async def test_two_who_ask_get_two_nodes() -> None:
    async with site() as there:
        for name in "ab":
            await there.node(node(name, "4"))
        for scheduler in ("mesos", "other"):
            await Offers(there.client, scheduler).ask()
        await there.quiet()
        found = {
            one["spec"]["schedulerName"]: one["spec"]["nodeName"]
            for one in there.cache.all(kinds.OFFER)
        }
        assert sorted(found.values()) == ["a", "b"]


async def test_another_scheduler_binds_beside_ours_and_nothing_is_overcommitted() -> None:
    """An unmodified one: it posts plain Bindings, from a picture of its own."""
    async with site() as there:
        await there.node(node("a", "8"))
        for number in range(8):
            await there.pod(pod(f"ours-{number}", {"cpu": "1"}))
            await there.pod(task(f"theirs-{number}", "1"))
        answers = await there.client.submit([Bind("shop", f"theirs-{n}", "a") for n in range(8)])
        await there.quiet()
        placed = [name for name, at in where(there).items() if at]
        assert len(placed) == 8
        refused = [one for one in answers if isinstance(one, Conflict)]
        assert len(refused) == sum(name.startswith("ours") for name in placed)


# ---- queues


async def queue(there: Site, name: str, cpu: str, **spec: Any) -> None:
    """A ClusterQueue of the cohort "all", and a LocalQueue of the same name."""
    quota = {"name": "cpu", "nominalQuota": cpu}
    group = {"coveredResources": ["cpu"], "flavors": [{"name": "default", "resources": [quota]}]}
    spec = {"cohort": "all", "namespaceSelector": {}, "resourceGroups": [group], **spec}
    await there.client.write(
        Create(kinds.CLUSTER_QUEUE, {"metadata": {"name": name}, "spec": spec})
    )
    local = {"metadata": {"name": name, "namespace": "shop"}, "spec": {"clusterQueue": name}}
    await there.client.write(Create(kinds.LOCAL_QUEUE, local))


def queued(name: str, queue: str, cpu: str = "1", **spec: Any) -> Doc:
    made = pod(name, {"cpu": cpu}, **spec)
    made["metadata"]["labels"] = {LABEL: queue}
    return made


def usage(there: Site, name: str) -> tuple[int, int, str, str]:
    """Pending, admitted, used and borrowed cpu."""
    found = there.cache.get(kinds.CLUSTER_QUEUE, "", name)
    assert found is not None
    status = found["status"]
    (one,) = status["flavorsUsage"][0]["resources"]
    return status["pendingWorkloads"], status["admittedWorkloads"], one["total"], one["borrowed"]


async def test_a_queue_admits_no_more_than_its_quota() -> None:
    async with site() as there:
        await there.node(node("a", "16"))
        await queue(there, "red", "2")
        for number in range(3):
            await make(there, queued(f"p{number}", "red"))
        await there.quiet()
        assert where(there) == {"p0": "a", "p1": "a", "p2": ""}
        why = "insufficient unused quota for cpu in flavor default, 1 more needed"
        assert waits(there, "p2") == why
        assert usage(there, "red") == (1, 2, "2", "0")
        await there.client.write(Delete(kinds.POD, "shop", "p0", NOW))
        await there.quiet()
        assert where(there) == {"p1": "a", "p2": "a"}


@pytest.mark.parametrize(
    ("local", "cluster", "why"),
    [("none", "red", "LocalQueue red doesn't exist"), ("red", "none", "ClusterQueue red doesn't exist")],
)  # fmt: skip
async def test_who_names_a_queue_that_is_not_there_waits_for_it(
    local: str, cluster: str, why: str
) -> None:
    async with site() as there:
        await there.node(node("a"))
        if local == "red":
            doc = {
                "metadata": {"name": "red", "namespace": "shop"},
                "spec": {"clusterQueue": "red"},
            }
            await there.client.write(Create(kinds.LOCAL_QUEUE, doc))
        await make(there, queued("p", "red"))
        await there.quiet()
        assert waits(there, "p") == why
        if local == "red":
            await there.client.write(Delete(kinds.LOCAL_QUEUE, "shop", "red"))
        await queue(there, "red", "2")
        await there.quiet()
        assert where(there) == {"p": "a"}


async def test_what_is_lent_is_taken_back_from_the_newest() -> None:
    async with site() as there:
        await there.node(node("a", "16"))
        await queue(there, "red", "2")
        await queue(there, "blue", "2", preemption={"reclaimWithinCohort": "Any"})
        for number in range(4):
            await make(there, queued(f"red-{number}", "red"))
            await there.quiet()
        assert usage(there, "red") == (0, 4, "4", "2")
        await make(there, queued("blue-0", "blue"))
        await there.quiet()
        gone = there.found("red-3")
        assert "deletionTimestamp" in gone["metadata"]
        target = {one["type"]: one for one in gone["status"]["conditions"]}["DisruptionTarget"]
        assert target["message"] == (
            "Preempted to accommodate a workload of ClusterQueue blue due to reclamation within the cohort"
        )
        assert where(there)["blue-0"] == "", (
            "it is graceful: the quota is free when the pod has ended"
        )
        await there.client.write(Delete(kinds.POD, "shop", "red-3", NOW))
        await there.quiet()
        assert where(there) == {"red-0": "a", "red-1": "a", "red-2": "a", "blue-0": "a"}
        assert there.told("Preempted") == [target["message"]]
        assert usage(there, "blue") == (0, 1, "1", "0")


async def test_a_gang_is_admitted_as_a_whole() -> None:
    async with site() as there:
        await there.node(node("a", "16"))
        await queue(there, "red", "3")
        await group(there, "team", 2)
        await make(there, queued("alone", "red", "2"))
        await there.quiet()
        for number in range(2):
            await make(there, queued(f"p{number}", "red", schedulingGroup={"podGroupName": "team"}))
        await there.quiet()
        assert where(there) == {"alone": "a", "p0": "", "p1": ""}
        await there.client.write(Delete(kinds.POD, "shop", "alone", NOW))
        await there.quiet()
        assert where(there) == {"p0": "a", "p1": "a"}
        assert usage(there, "red") == (0, 1, "2", "0")


async def test_a_gang_that_has_no_nodes_gives_its_quota_back_and_waits_as_a_whole() -> None:
    async with site() as there:
        await there.node(node("a", "1"))
        await queue(there, "red", "1")
        await queue(there, "blue", "1", preemption={"reclaimWithinCohort": "Any"})
        await group(there, "team", 2)
        for number in range(2):
            await make(there, queued(f"p{number}", "red", schedulingGroup={"podGroupName": "team"}))
        await there.quiet()
        assert usage(there, "red") == (0, 1, "2", "1")
        await make(there, queued("blue", "blue"))
        await there.quiet()
        assert where(there) == {"p0": "", "p1": "", "blue": "a"}, "nobody is deleted"
        assert usage(there, "red") == (1, 0, "0", "0")
        await there.node(node("b", "2"))
        await there.client.write(Delete(kinds.POD, "shop", "blue", NOW))
        await there.quiet()
        assert all(where(there).values())


async def test_a_member_that_is_not_admitted_holds_up_nobody() -> None:
    async with site() as there:
        await there.node(node("a", "1"))
        await queue(there, "red", "2")
        await group(there, "team", 2)
        for number in range(3):
            await make(there, queued(f"p{number}", "red", schedulingGroup={"podGroupName": "team"}))
            await there.quiet()
        await there.node(node("b", "1"))
        await there.quiet()
        assert sorted(where(there).values()) == ["", "a", "b"]


async def test_a_stopped_queue_and_a_namespace_that_may_not_use_it() -> None:
    async with site() as there:
        await there.node(node("a", "16"))
        await queue(there, "red", "3", stopPolicy="Hold")
        await queue(there, "blue", "3", namespaceSelector={"matchLabels": {"team": "blue"}})
        for name in ("red", "blue"):
            await make(there, queued(name, name))
        await there.quiet()
        assert waits(there, "red") == "the ClusterQueue is stopped"
        assert waits(there, "blue") == "Workload namespace doesn't match ClusterQueue selector"
        await there.client.write(
            Patch(kinds.CLUSTER_QUEUE, "", "red", {"spec": {"stopPolicy": "None"}})
        )
        labels = {"metadata": {"labels": {"team": "blue"}}}
        await there.client.write(Patch(kinds.NAMESPACE, "", "shop", labels))
        await there.quiet()
        assert where(there) == {"red": "a", "blue": "a"}
