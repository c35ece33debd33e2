"""Owners and dependents, namespaces and their ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Delete
from longshore.machinery.controllers.gc.pods import Finished
from longshore.machinery.controllers.run_all import ControllerConfig

from .world import World, deployment, running


def config_map(name: str, *owners: Doc, block: bool = False) -> Doc:
    refs = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": block,
        }
        for owner in owners
    ]
    return {"metadata": {"name": name, "ownerReferences": refs}}


async def made(world: World, name: str, *owners: Doc, block: bool = False) -> Doc:
    return await world.create(kinds.CONFIG_MAP, config_map(name, *owners, block=block))


async def test_background_takes_everything_below() -> None:
    async with running() as world:
        await world.create(kinds.DEPLOYMENT, deployment())
        await world.play()
        await world.delete(kinds.DEPLOYMENT, "web")
        await world.play()
        assert world.cache.all(kinds.REPLICA_SET, "default") == []
        assert world.cache.all(kinds.POD, "default") == []


async def test_foreground_goes_after_its_dependents() -> None:
    async with running() as world:
        await world.create(kinds.DEPLOYMENT, deployment())
        await world.play()
        await world.delete(kinds.DEPLOYMENT, "web", propagation="Foreground")
        await world.quiet()
        assert not world.missing(kinds.DEPLOYMENT, "web"), "its pods are still there"
        assert world.pods() == []
        await world.play()
        assert world.missing(kinds.DEPLOYMENT, "web")
        assert world.cache.all(kinds.REPLICA_SET, "default") == []


async def test_orphans_live_on() -> None:
    async with running() as world:
        await world.create(kinds.DEPLOYMENT, deployment())
        await world.play()
        await world.delete(kinds.DEPLOYMENT, "web", propagation="Orphan")
        await world.play()
        assert world.missing(kinds.DEPLOYMENT, "web")
        assert len(world.pods()) == 3


async def test_another_living_owner_keeps_it() -> None:
    async with running() as world:
        first, second = await made(world, "first"), await made(world, "second")
        await made(world, "shared", first, second)
        await world.delete(kinds.CONFIG_MAP, "first")
        await world.quiet()
        refs = world.get(kinds.CONFIG_MAP, "shared")["metadata"]["ownerReferences"]
        assert [ref["name"] for ref in refs] == ["second"]
        await world.delete(kinds.CONFIG_MAP, "second")
        await world.quiet()
        assert world.missing(kinds.CONFIG_MAP, "shared")


async def test_an_owner_that_never_was_is_no_owner() -> None:
    async with running() as world:
        ghost: Doc = {"metadata": {"name": "ghost", "uid": "never"}}
        await made(world, "haunted", ghost)
        await world.quiet()
        assert world.missing(kinds.CONFIG_MAP, "haunted")


async def test_an_owner_of_an_unknown_kind_is_left_in_peace() -> None:
    async with running() as world:
        doc = config_map("kept", {"metadata": {"name": "x", "uid": "u"}})
        doc["metadata"]["ownerReferences"][0].update(apiVersion="example.com/v1", kind="Widget")
        await world.create(kinds.CONFIG_MAP, doc)
        await world.quiet()
        assert not world.missing(kinds.CONFIG_MAP, "kept")


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
async def test_a_circle_does_not_hold_itself(propagation: str) -> None:
    async with running() as world:
        first = await made(world, "first")
        second = await made(world, "second", first, block=True)
        refs = config_map("first", second, block=True)["metadata"]["ownerReferences"]
        await world.patch(kinds.CONFIG_MAP, "first", {"metadata": {"ownerReferences": refs}})
        await world.delete(kinds.CONFIG_MAP, "first", propagation=propagation)
        await world.quiet()
        assert world.missing(kinds.CONFIG_MAP, "first")
        assert world.missing(kinds.CONFIG_MAP, "second")


async def test_too_many_finished_pods_are_collected() -> None:
    async with running(ControllerConfig(finished_pods_max=2)) as world:
        for number in range(5):
            name = f"job-{number}"
            spec = {"containers": [{"name": "c", "image": "i"}]}
            await world.create(kinds.POD, {"metadata": {"name": name}, "spec": spec})
            await world.patch(kinds.POD, name, {"status": {"phase": "Succeeded"}}, "status")
            await world.clock.advance(1)
        await world.quiet()
        assert [p["metadata"]["name"] for p in world.pods()] == ["job-3", "job-4"]


async def test_pods_of_a_node_that_is_gone_follow_it() -> None:
    async with running(nodes=1) as world:
        await world.create(kinds.DEPLOYMENT, deployment(replicas=1))
        await world.play()
        before = world.pods()[0]["metadata"]["name"]
        await world.delete(kinds.NODE, "n0")
        await world.clock.advance(30)
        assert world.pods()[0]["metadata"]["name"] == before
        await world.clock.advance(15)
        await world.quiet()
        (after,) = world.pods()
        assert after["metadata"]["name"] != before
        assert not after["spec"].get("nodeName")


async def test_a_namespace_is_furnished_and_kept_so() -> None:
    async with running() as world:
        await world.create(kinds.NAMESPACE, {"metadata": {"name": "shop"}})
        await world.quiet()
        authority = world.get(kinds.CONFIG_MAP, "kube-root-ca.crt", "shop")
        assert authority["data"]["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")
        assert world.get(kinds.SERVICE_ACCOUNT, "default", "shop")
        await world.client.write(Delete(kinds.SERVICE_ACCOUNT, "shop", "default"))
        await world.client.write(Delete(kinds.CONFIG_MAP, "shop", "kube-root-ca.crt"))
        await world.quiet()
        assert world.get(kinds.SERVICE_ACCOUNT, "default", "shop")
        assert world.get(kinds.CONFIG_MAP, "kube-root-ca.crt", "shop")


async def test_a_namespace_ends_pods_first_then_the_rest() -> None:
    async with running() as world:
        await world.create(kinds.NAMESPACE, {"metadata": {"name": "shop"}})
        await world.create(kinds.DEPLOYMENT, deployment(), "shop")
        await world.play()
        await world.delete(kinds.NAMESPACE, "shop")
        await world.quiet()
        ending = world.get(kinds.NAMESPACE, "shop")
        assert ending["status"]["phase"] == "Terminating"
        told = {c["type"]: c for c in ending["status"]["conditions"]}
        assert told["NamespaceContentRemaining"]["status"] == "True"
        assert "pods. has 3 resource instances" in told["NamespaceContentRemaining"]["message"]
        assert world.cache.all(kinds.POD, "shop") != []
        assert world.cache.all(kinds.DEPLOYMENT, "shop"), "it goes after the pods"
        await world.play()
        assert world.missing(kinds.NAMESPACE, "shop")
        assert world.cache.all(kinds.DEPLOYMENT, "shop") == []
        assert world.cache.all(kinds.CONFIG_MAP, "shop") == []


async def test_a_finalizer_holds_its_namespace_and_is_named() -> None:
    async with running() as world:
        await world.create(kinds.NAMESPACE, {"metadata": {"name": "shop"}})
        held = {"metadata": {"name": "held", "finalizers": ["example.com/keep"]}}
        await world.create(kinds.CONFIG_MAP, held, "shop")
        await world.delete(kinds.NAMESPACE, "shop")
        await world.quiet()
        told = {c["type"]: c for c in world.get(kinds.NAMESPACE, "shop")["status"]["conditions"]}
        assert told["NamespaceFinalizersRemaining"]["message"] == (
            "Some content in the namespace has finalizers remaining: "
            "example.com/keep in 1 resource instances"
        )


places = st.tuples(st.just("default"), st.sampled_from(["a", "b", "c", "d"]))


@given(st.lists(st.tuples(places, st.sampled_from(["", "2026-01", "2026-02", "2026-03"]))))
def test_finished_pods_are_known_by_age(news: list[tuple[tuple[str, str], str]]) -> None:
    """An empty moment: the pod is gone."""
    finished, there = Finished(), dict[tuple[str, str], str]()
    for place, created in news:
        if created:
            finished.note(place, created)
            there[place] = created
        else:
            finished.forget(place)
            there.pop(place, None)
    by_age = sorted(there, key=lambda place: (there[place], place))
    assert len(finished) == len(there)
    assert finished.oldest(2) == by_age[:2]
    assert finished.oldest(-1) == []
