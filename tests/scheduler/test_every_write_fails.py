"""The scheduler's worst night: of all that it writes, the n-th fails, for every n, and then no more.

Afterwards the cluster is what it is without trouble, and what the scheduler knows is what one knows
that has just been started: nobody waits for ever, nothing is held that nobody has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Client, Create, Delete
from longshore.core.registry.offering import Offers, Wish
from longshore.machinery.scheduler.desk import Desk
from longshore.machinery.scheduler.preemption.making import RoomMaker
from longshore.machinery.scheduler.worker import WATCHES

from .failing import AFTER, BEFORE, REFUSALS, FailingClient, Trouble
from .placing import node, pod
from .test_tenants import NOW, group, make, member, queue, queued
from .test_worker import Site, site

Story = Callable[[Site], Awaitable[None]]


async def settled(there: Site, seconds: int = 30) -> None:
    """Time passes, and pods that have to go end as a kubelet has them end."""
    for _ in range(seconds // 5):
        for _ in range(4):
            await there.clock.advance(1.25)
        leaving = [
            one["metadata"]["name"]
            for one in there.cache.all(kinds.POD, "shop")
            if "deletionTimestamp" in one["metadata"]
        ]
        await there.client.submit([Delete(kinds.POD, "shop", name, NOW) for name in leaving])


async def urgent_class(there: Site) -> None:
    metadata = {"name": "high"}
    await there.client.write(Create(kinds.PRIORITY_CLASS, {"metadata": metadata, "value": 1000}))


async def pods_that_drive_others_out(there: Site) -> None:
    await urgent_class(there)
    await there.node(node("a", "2"))
    for number in range(2):
        await there.pod(pod(f"low-{number}", {"cpu": "1"}))
    await settled(there, 5)
    await there.pod(pod("urgent", {"cpu": "2"}, priorityClassName="high"))
    await there.pod(pod("large", {"cpu": "3"}))


async def gangs(there: Site) -> None:
    await there.node(node("a", "3"))
    for name in ("one", "two"):
        await group(there, name, 2)
        for number in range(2):
            await there.pod(member(f"{name}-{number}", name))
    await settled(there, 5)
    await there.node(node("b", "1"))


async def a_gang_that_drives_others_out(there: Site) -> None:
    await urgent_class(there)
    await there.node(node("a", "2"))
    for number in range(2):
        await there.pod(pod(f"low-{number}", {"cpu": "1"}))
    await settled(there, 5)
    for name in ("team", "large"):
        await group(there, name, 2)
    for number in range(2):
        await there.pod(member(f"m-{number}", "team", priorityClassName="high"))
        await there.pod(member(f"l-{number}", "large", "2", priorityClassName="high"))


async def queues(there: Site) -> None:
    await there.node(node("a", "16"))
    await queue(there, "red", "1")
    await queue(there, "blue", "1", preemption={"reclaimWithinCohort": "Any"})
    for number in range(2):
        await make(there, queued(f"red-{number}", "red"))
    await settled(there, 5)
    await make(there, queued("blue-0", "blue"))
    await settled(there, 5)
    await make(there, queued("blue-1", "blue"))


async def offers(there: Site) -> None:
    for name in "ab":
        await there.node(node(name, "2"))
    for _ in range(3):
        await Offers(there.client, "mesos").ask(Wish(lease_s=10))
    await settled(there, 10)
    await there.pod(pod("p", {"cpu": "2"}))
    await there.client.write(Delete(kinds.NODE, "", "b"))


def claim(name: str) -> Doc:
    spec = {
        "storageClassName": "local", "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    }  # fmt: skip
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def volume(name: str, on: str) -> Doc:
    term = {"key": "kubernetes.io/hostname", "operator": "In", "values": [on]}
    spec = {
        "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
        "storageClassName": "local", "local": {"path": "/mnt"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [term]}]}},
    }  # fmt: skip
    return {"metadata": {"name": name}, "spec": spec}


async def volumes(there: Site) -> None:
    """Nobody binds claims here: who has been given a volume keeps the room."""
    spec: dict[str, Any] = {
        "metadata": {"name": "local"},
        "provisioner": "kubernetes.io/no-provisioner",
    }
    await there.client.write(
        Create(kinds.STORAGE_CLASS, {**spec, "volumeBindingMode": "WaitForFirstConsumer"})
    )
    for name in "ab":
        await there.node(node(name, "2"))
        await there.client.write(Create(kinds.PV, volume(f"disk-{name}", name)))
        await there.client.write(Create(kinds.PVC, claim(f"data-{name}")))
    for name in "ab":
        mount = [{"name": "data", "persistentVolumeClaim": {"claimName": f"data-{name}"}}]
        await there.pod(pod(f"db-{name}", {"cpu": "1"}, volumes=mount))


STORIES: dict[str, Story] = {
    story.__name__: story
    for story in (
        pods_that_drive_others_out,
        gangs,
        a_gang_that_drives_others_out,
        queues,
        offers,
        volumes,
    )
}


@dataclass(frozen=True)
class End:
    """What is left: how many of pods and groups that are alike have a node and are told what, and how
    many volumes and offers are given."""

    told: Counter[tuple[str, ...]]
    given: tuple[int, int]


def told(doc: Doc) -> tuple[str, ...]:
    """The name without its number, whether there is a node, and what the status says."""
    status, at = doc.get("status") or {}, doc["spec"].get("nodeName", "")
    found = [f"{one['type']}={one['status']}" for one in status.get("conditions") or ()]
    kept = status.get("nominatedNodeName", "")
    return (doc["metadata"]["name"].partition("-")[0], str(bool(at)), *sorted(found), kept)


def end(there: Site) -> End:
    volumes = [one["spec"].get("claimRef") for one in there.cache.all(kinds.PV)]
    offered = [one["spec"].get("nodeName") for one in there.cache.all(kinds.OFFER)]
    docs = [*there.cache.all(kinds.POD, "shop"), *there.cache.all(kinds.POD_GROUP, "shop")]
    given = len(list(filter(None, volumes))), len(list(filter(None, offered)))
    return End(Counter(map(told, docs)), given)


def picture(desk: Desk) -> tuple[object, ...]:
    view, queues = desk.view, desk.holding.queues
    free = {name: view.free[:, row].tolist() for name, row in view.rows.items()}
    used = {
        name: {resource: count for resource, count in tally.used.items() if count}
        for name, tally in queues.tallies.items()
    }
    return free, used, going(desk.making)


def going(making: RoomMaker) -> tuple[int, int]:
    return len(making._going), len(making.nominations)


async def fresh(there: Site) -> Desk:
    """What a scheduler knows that has just been started."""
    desk = Desk()
    feed = there.cache.subscribe(*WATCHES)
    for frame in await feed.next_batch():
        desk.hear(frame)
    feed.close()
    return desk


async def told_to_the_end(story: Story, trouble: Trouble | None) -> tuple[End, FailingClient]:
    made: list[FailingClient] = []

    def through(client: Client) -> Client:
        made.append(FailingClient(client, trouble))
        return made[0]

    async with site(through) as there:
        await story(there)
        await settled(there)
        assert picture(there.scheduler._desk) == picture(await fresh(there))
        assert not there.scheduler._untold
        return end(there), made[0]


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("trouble", [AFTER, BEFORE, "503"])
async def test_the_end_is_the_same_whichever_write_fails(name: str, trouble: str) -> None:
    await holds(name, trouble, failing=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("trouble", REFUSALS)
async def test_whatever_the_trouble(name: str, trouble: str) -> None:
    await holds(name, trouble, failing=1)


async def holds(name: str, trouble: str, failing: int) -> None:
    good, client = await told_to_the_end(STORIES[name], None)
    assert client.seen
    for number, write in enumerate(client.seen):
        bad, _ = await told_to_the_end(STORIES[name], Trouble(trouble, number, failing))
        assert bad == good, f"write {number}: {write}"
