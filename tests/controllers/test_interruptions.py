"""All controllers, interrupted before each write of a story: fresh ones bring about the same."""

from __future__ import annotations

import pytest

from longshore.core.objects import kinds
from longshore.core.registry.client import Client, Create

from .interrupted import Story, replayed
from .jobs import end, job, live, work
from .test_cronjobs import cron_job
from .test_garbage import config_map
from .test_nodes import pass_time
from .test_statefulsets import claimed
from .test_volumes import claim, volume
from .world import World, deployment, new_image

POD_SPEC = {"containers": [{"name": "c", "image": "one"}], "terminationGracePeriodSeconds": 1}


async def rollout(world: World) -> None:
    """With history that is let go."""
    await world.create(kinds.DEPLOYMENT, deployment(replicas=2, revisionHistoryLimit=0))
    await world.play()
    await world.patch(kinds.DEPLOYMENT, "web", new_image("two"))
    await world.play()
    await world.patch(kinds.DEPLOYMENT, "web", {"spec": {"replicas": 1}})
    await world.play()


async def rollover(world: World) -> None:
    """Two updates, of which the first never gets far, and back."""
    world.broken_images.add("two")
    await world.create(kinds.DEPLOYMENT, deployment(replicas=2))
    await world.play()
    for image in ("two", "one"):
        await world.patch(kinds.DEPLOYMENT, "web", new_image(image))
        await world.play()


async def recreation(world: World) -> None:
    await world.create(kinds.DEPLOYMENT, deployment(replicas=2, strategy={"type": "Recreate"}))
    await world.play()
    await world.patch(kinds.DEPLOYMENT, "web", new_image("two"))
    await world.play()


async def adoption(world: World) -> None:
    """A set takes one in, loses one to another label and one altogether, and is made smaller."""
    orphan = {"metadata": {"name": "found", "labels": {"app": "web"}}, "spec": POD_SPEC}
    await world.create(kinds.POD, orphan)
    await world.create(kinds.REPLICA_SET, deployment(replicas=3))
    await world.play()
    await world.patch(kinds.POD, "found", {"metadata": {"labels": {"app": "stray"}}})
    made = [one for one in world.pods() if one["metadata"]["name"] != "found"]
    await world.delete(kinds.POD, made[0]["metadata"]["name"], grace_s=0)
    await world.play()
    await world.patch(kinds.REPLICA_SET, "web", {"spec": {"replicas": 1}})
    await world.play()


async def collection(world: World) -> None:
    """Everything below an owner goes: behind it, before it, and in a circle."""
    for propagation in ("Background", "Foreground"):
        await world.create(kinds.DEPLOYMENT, deployment(propagation.lower(), 1))
        await world.play()
        await world.delete(kinds.DEPLOYMENT, propagation.lower(), propagation=propagation)
        await world.play()
    first = await world.create(kinds.CONFIG_MAP, config_map("first"))
    second = await world.create(kinds.CONFIG_MAP, config_map("second", first, block=True))
    refs = config_map("", second, block=True)["metadata"]["ownerReferences"]
    await world.patch(kinds.CONFIG_MAP, "first", {"metadata": {"ownerReferences": refs}})
    await world.delete(kinds.CONFIG_MAP, "first", propagation="Foreground")
    await world.quiet()


async def orphaning(world: World) -> None:
    """Dependents stay, and the next of that name takes them in."""
    await world.create(kinds.REPLICA_SET, deployment(replicas=2))
    await world.play()
    await world.delete(kinds.REPLICA_SET, "web", propagation="Orphan")
    await world.quiet()
    await world.create(kinds.REPLICA_SET, deployment(replicas=2))
    await world.quiet()


async def namespace_end(world: World) -> None:
    """Pods first; what has a finalizer holds it up."""
    await world.create(kinds.NAMESPACE, {"metadata": {"name": "full"}})
    held = {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    await world.create(kinds.CONFIG_MAP, held, "full")
    await world.create(kinds.REPLICA_SET, deployment(replicas=2), "full")
    await world.play()
    await world.delete(kinds.NAMESPACE, "full")
    await world.play()
    there = world.get(kinds.CONFIG_MAP, "held", "full")
    let_go = {**there, "metadata": {**there["metadata"], "finalizers": []}}
    await world.update(kinds.CONFIG_MAP, let_go)
    await world.play()
    assert world.missing(kinds.NAMESPACE, "full")


async def endpoints(world: World) -> None:
    """A Service gets its pods, loses one, and goes."""
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    await world.create(kinds.SERVICE, {"metadata": {"name": "web"}, "spec": spec})
    for name in ("one", "two"):
        doc = {"metadata": {"name": name, "labels": {"app": "web"}}, "spec": POD_SPEC}
        await world.create(kinds.POD, doc)
    await world.play()
    await world.delete(kinds.POD, "one")
    await world.play()
    await world.delete(kinds.SERVICE, "web")
    await world.quiet()


async def schedule(world: World) -> None:
    """One Job a minute: the second replaces the first, and history has room for one."""
    limits = {"successfulJobsHistoryLimit": 1, "concurrencyPolicy": "Replace"}
    await world.create(kinds.CRON_JOB, cron_job("* * * * *", **limits))
    for _ in range(2):
        await pass_time(world, 60)
        await world.agents_act()
    await work(world)
    await pass_time(world, 60)
    await work(world)


async def silent_node(world: World) -> None:
    """It is tainted, its pods are driven out, and it comes back."""
    await world.node("n1")
    patience = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 20}
    spec = {**POD_SPEC, "tolerations": [patience], "nodeName": "n1"}
    await world.create(kinds.POD, {"metadata": {"name": "there"}, "spec": spec})
    await world.play()
    world.dead_nodes.add("n1")
    await pass_time(world, 150)
    world.dead_nodes.clear()
    await world.report(world.get(kinds.NODE, "n1"))
    await pass_time(world, 20)
    await world.play()


async def silence(world: World) -> None:
    """Of all nodes: nobody is sent away, since the fault may be here."""
    await world.create(kinds.REPLICA_SET, deployment(replicas=1))
    await world.play()
    world.dead_nodes.add("n0")
    await pass_time(world, 150)


async def completions(world: World) -> None:
    """A Job with a failure on its way, which goes a while after its end."""
    await world.create(kinds.JOB, job(completions=3, parallelism=2, ttlSecondsAfterFinished=60))
    await world.quiet()
    await end(world, live(world)[:1], 1)
    await pass_time(world, 20)
    await work(world)
    await pass_time(world, 70)


async def stateful_set(world: World) -> None:
    """With claims, updated and made smaller."""
    kept = {"whenScaled": "Delete", "whenDeleted": "Retain"}
    await world.create(kinds.STATEFUL_SET, claimed(persistentVolumeClaimRetentionPolicy=kept))
    for number in range(2):
        reserved = {"namespace": "default", "name": f"data-web-{number}"}
        await world.create(kinds.PV, volume(f"v{number}", claimRef=reserved))
    await world.play()
    await world.patch(kinds.STATEFUL_SET, "web", new_image("two"))
    await world.play()
    await world.patch(kinds.STATEFUL_SET, "web", {"spec": {"replicas": 1}})
    await world.play()


async def daemon_set(world: World) -> None:
    await world.node("n1")
    doc = deployment()
    del doc["spec"]["replicas"]
    await world.create(kinds.DAEMON_SET, doc)
    await world.play()
    await world.patch(kinds.DAEMON_SET, "web", new_image("two"))
    await world.play()


async def claims(world: World) -> None:
    """A claim gets its volume, is used, and goes only when it is not any more."""
    await world.create(kinds.PV, volume("one"))
    await world.create(kinds.PVC, claim())
    await world.quiet()
    user = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}
    await world.create(kinds.POD, {"metadata": {"name": "user"}, "spec": {**POD_SPEC, **user}})
    await world.play()
    await world.delete(kinds.PVC, "data")
    await world.quiet()
    await world.delete(kinds.POD, "user")
    await world.play()


async def reckoning(world: World) -> None:
    """Budgets and quotas say what there is."""
    budget = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    await world.create(kinds.PDB, {"metadata": {"name": "web"}, "spec": budget})
    await world.create(
        kinds.RESOURCE_QUOTA, {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "2"}}}
    )
    await world.create(kinds.REPLICA_SET, deployment(replicas=3))
    await world.play()
    await world.patch(kinds.REPLICA_SET, "web", {"spec": {"replicas": 1}})
    await world.play()


STORIES = (
    rollout, rollover, recreation, adoption, collection, orphaning, namespace_end, endpoints, schedule,
    silent_node, silence, completions, stateful_set, daemon_set, claims, reckoning,
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_an_interruption_changes_nothing(story: Story) -> None:
    assert (await replayed(story)).writes > 5


async def forgetful(client: Client) -> None:
    """Makes two copies of what there is to copy, and then says so."""
    listing, feed = await client.list_and_watch(kinds.CONFIG_MAP, "default")
    names = {one["metadata"]["name"] for one in listing.items}
    while True:
        if "original" in names and "done" not in names:
            names.add("done")
            copy = {"metadata": {"generateName": "copy-", "namespace": "default"}}
            await client.submit([Create(kinds.CONFIG_MAP, copy)] * 2)
            done = {"metadata": {"name": "done", "namespace": "default"}}
            await client.write(Create(kinds.CONFIG_MAP, done))
        names |= {change.doc["metadata"]["name"] for change in await feed.next_batch()}


async def original(world: World) -> None:
    await world.create(kinds.CONFIG_MAP, {"metadata": {"name": "original"}})
    await world.quiet()


async def test_a_controller_that_begins_anew_without_looking_is_found_out() -> None:
    with pytest.raises(AssertionError, match="interrupted after 1 writes"):
        await replayed(original, forgetful)
