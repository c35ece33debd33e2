"""Rule 31: how a namespace ends, and collections that are deleted."""

from __future__ import annotations

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Patch
from tests.controllers.world import World, running
from tests.doors.rig import Kube, config_map, kube, pod

NAMESPACES = "/api/v1/namespaces"
SHOP, MAPS = f"{NAMESPACES}/shop", f"{NAMESPACES}/shop/configmaps"
PODS = f"{NAMESPACES}/shop/pods"
MERGE = {"content_type": "application/merge-patch+json"}
NAME: Doc = {"metadata": {"name": "shop"}}


async def ending(ask: Kube, **metadata: object) -> Doc:
    """The namespace shop, which has a map and was deleted."""
    assert (await ask("POST", NAMESPACES, {"metadata": {"name": "shop", **metadata}})).status == 201
    await ask("POST", MAPS, config_map("a"))
    gone = await ask("DELETE", SHOP)
    assert gone.status == 200
    doc: Doc = gone.doc
    return doc


async def test_a_namespace_is_made_active_with_its_finalizer() -> None:
    async with kube() as ask:
        made = (await ask("POST", NAMESPACES, NAME)).doc
        assert made["status"] == {"phase": "Active"}
        assert made["spec"] == {"finalizers": ["kubernetes"]}
        assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "shop"}


async def test_a_deleted_one_stays_and_is_terminating() -> None:
    async with kube() as ask:
        doc = await ending(ask)
        assert (doc["kind"], doc["status"]["phase"]) == ("Namespace", "Terminating")
        assert doc["metadata"]["deletionTimestamp"]
        again = await ask("DELETE", SHOP)
        assert again.doc["metadata"]["resourceVersion"] == doc["metadata"]["resourceVersion"]


@pytest.mark.parametrize("path", [MAPS, PODS])
async def test_nothing_is_made_in_it_any_more(path: str) -> None:
    async with kube() as ask:
        await ending(ask)
        body = pod("b") if path == PODS else config_map("b")
        refused = await ask("POST", path, body)
        plural = path.rpartition("/")[2]
        assert (refused.status, refused.doc["reason"]) == (403, "Forbidden")
        assert refused.doc["message"] == (
            f'{plural} "b" is forbidden: unable to create new content in namespace shop because '
            "it is being terminated"
        )
        assert refused.doc["details"]["causes"] == [{
            "reason": "NamespaceTerminating", "message": "namespace shop is being terminated",
            "field": "metadata.namespace",
        }]  # fmt: skip


async def test_nor_by_applying() -> None:
    async with kube() as ask:
        await ending(ask)
        media = {"content_type": "application/apply-patch+yaml"}
        refused = await ask("PATCH", f"{MAPS}/b?fieldManager=me", config_map("b"), **media)
        assert refused.status == 403
        assert refused.doc["details"]["causes"][0]["reason"] == "NamespaceTerminating"


async def test_what_is_in_it_may_still_change() -> None:
    async with kube() as ask:
        await ending(ask)
        assert (await ask("PATCH", f"{MAPS}/a", {"data": {"x": "y"}}, **MERGE)).status == 200
        assert (await ask("DELETE", f"{MAPS}/a")).status == 200


async def test_finalizers_of_its_spec_change_through_finalize_alone() -> None:
    async with kube() as ask:
        doc = await ending(ask)
        put = await ask("PUT", SHOP, {**doc, "spec": {}})
        assert put.doc["spec"]["finalizers"] == ["kubernetes"]
        last = await ask("PUT", f"{SHOP}/finalize", {**put.doc, "spec": {"finalizers": []}})
        assert last.status == 200
        assert (await ask("GET", SHOP)).status == 404


async def test_finalizers_of_its_metadata_hold_it_too() -> None:
    async with kube() as ask:
        doc = await ending(ask, finalizers=["example.com/hold"])
        await ask("PUT", f"{SHOP}/finalize", {**doc, "spec": {"finalizers": []}})
        assert (await ask("GET", SHOP)).status == 200
        await ask("PATCH", SHOP, {"metadata": {"finalizers": None}}, **MERGE)
        assert (await ask("GET", SHOP)).status == 404


async def test_finalize_writes_no_status() -> None:
    async with kube() as ask:
        doc = (await ask("POST", NAMESPACES, NAME)).doc
        changed = {**doc, "status": {"phase": "Terminating"}, "spec": {"finalizers": ["a.b/c"]}}
        done = (await ask("PUT", f"{SHOP}/finalize", changed)).doc
        assert (done["status"], done["spec"]) == ({"phase": "Active"}, {"finalizers": ["a.b/c"]})
        refused = await ask("PUT", f"{SHOP}/finalize", {**done, "spec": {"finalizers": ["bare"]}})
        assert refused.status == 422


async def _shop(world: World) -> None:
    await world.create(kinds.NAMESPACE, NAME)
    await world.create(kinds.CONFIG_MAP, {"metadata": {"name": "a"}}, "shop")
    held = {"metadata": {"name": "p", "finalizers": ["example.com/hold"]}}
    await world.create(kinds.POD, pod("p") | held, "shop")


def _conditions(world: World) -> dict[str, tuple[str, str]]:
    told = world.get(kinds.NAMESPACE, "shop")["status"]["conditions"]
    return {one["type"]: (one["status"], one["message"]) for one in told}


async def test_pods_go_first_and_what_is_left_is_told() -> None:
    async with running() as world:
        await _shop(world)
        await world.delete(kinds.NAMESPACE, "shop")
        await world.quiet()
        assert "deletionTimestamp" in world.get(kinds.POD, "p", "shop")["metadata"]
        assert "deletionTimestamp" not in world.get(kinds.CONFIG_MAP, "a", "shop")["metadata"]
        told = _conditions(world)
        assert told["NamespaceDeletionContentFailure"][0] == "False"
        remaining, holding = told["NamespaceContentRemaining"], told["NamespaceFinalizersRemaining"]
        assert remaining[0] == holding[0] == "True"
        assert "pods. has 1 resource instances" in remaining[1]
        assert "example.com/hold in 1 resource instances" in holding[1]


async def test_it_is_gone_with_the_last_of_them() -> None:
    async with running() as world:
        await _shop(world)
        await world.delete(kinds.NAMESPACE, "shop")
        await world.play(10)
        assert world.cache.get(kinds.NAMESPACE, "", "shop") is not None
        free = {"metadata": {"finalizers": None}}
        await world.client.write(Patch(kinds.POD, "shop", "p", free))
        await world.play(10)
        assert world.cache.get(kinds.NAMESPACE, "", "shop") is None
        assert world.cache.all(kinds.CONFIG_MAP, "shop") == []


# ---- collections


async def test_a_collection_is_deleted_by_both_selectors() -> None:
    async with kube() as ask:
        await ask("POST", NAMESPACES, NAME)
        for name, color in (("a", "red"), ("b", "red"), ("c", "blue")):
            labels = {"metadata": {"name": name, "labels": {"color": color}}}
            await ask("POST", MAPS, config_map(name) | labels)
        gone = await ask("DELETE", f"{MAPS}?labelSelector=color=red&fieldSelector=metadata.name!=b")
        assert (gone.status, gone.doc["kind"]) == (200, "ConfigMapList")
        assert [one["metadata"]["name"] for one in gone.doc["items"]] == ["a"]
        left = (await ask("GET", MAPS)).doc["items"]
        assert [one["metadata"]["name"] for one in left] == ["b", "c"]


async def test_a_collection_is_deleted_page_by_page() -> None:
    async with kube() as ask:
        await ask("POST", NAMESPACES, NAME)
        for name in "abc":
            await ask("POST", MAPS, config_map(name))
        gone = await ask("DELETE", f"{MAPS}?limit=2")
        assert [one["metadata"]["name"] for one in gone.doc["items"]] == ["a", "b"]
        assert len((await ask("GET", MAPS)).doc["items"]) == 1


async def test_options_are_those_of_each_object() -> None:
    async with kube() as ask:
        await ask("POST", NAMESPACES, NAME)
        await ask("POST", MAPS, config_map("a"))
        dry = await ask("DELETE", f"{MAPS}?dryRun=All")
        assert len(dry.doc["items"]) == 1
        gone = await ask("DELETE", MAPS, {"propagationPolicy": "Foreground"})
        assert len(gone.doc["items"]) == 1
        left = (await ask("GET", f"{MAPS}/a")).doc["metadata"]
        assert left["finalizers"] == ["foregroundDeletion"]
        assert left["deletionTimestamp"]


@pytest.mark.parametrize("selector", ["labelSelector=a%3D%3D%3Db,,", "fieldSelector=data.x=y"])
async def test_a_senseless_selector_deletes_nothing(selector: str) -> None:
    async with kube() as ask:
        await ask("POST", NAMESPACES, NAME)
        await ask("POST", MAPS, config_map("a"))
        assert (await ask("DELETE", f"{MAPS}?{selector}")).status == 400
        assert (await ask("GET", f"{MAPS}/a")).status == 200


async def test_what_is_refused_of_a_collection_is_told() -> None:
    async with kube() as ask:
        await ask("POST", NAMESPACES, NAME)
        made = {name: (await ask("POST", MAPS, config_map(name))).doc for name in "abc"}
        only = {"preconditions": {"uid": made["b"]["metadata"]["uid"]}}
        answer = await ask("DELETE", MAPS, only)
        assert (answer.status, answer.doc["details"]["name"]) == (409, "a")
        left = (await ask("GET", MAPS)).doc["items"]
        assert [doc["metadata"]["name"] for doc in left] == ["a", "c"]
