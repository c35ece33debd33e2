"""Rule 10: to a watch with a selector, what begins to match is ADDED and what stops is DELETED, in
its last state that matched, with the revision of the change."""

from __future__ import annotations

import pytest

from longshore.core.objects import kinds
from tests.doors.rig import TABLE, Kube, config_map, kube, pod

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
MERGE = "application/merge-patch+json"


async def _labelled(ask: Kube, name: str, value: str) -> None:
    patch = {"metadata": {"labels": {"on": value}}}
    assert (await ask("PATCH", f"{MAPS}/{name}", patch, content_type=MERGE)).status == 200


@pytest.mark.parametrize(
    "selector", ["on=yes", "on==yes", "on in (yes, sure)", "on!=no,on", "on notin (no, maybe),on"]
)
async def test_labels(selector: str) -> None:
    async with kube() as ask:
        path = f"{MAPS}?watch=1&resourceVersion=1&labelSelector={selector}"
        watch = await ask.watch(path)
        await ask("POST", MAPS, config_map("a"))
        for value in ("no", "yes", "no", "maybe", "sure", "yes"):
            await _labelled(ask, "a", value if selector.startswith("on ") else value[:3])
        seen = [await watch.event() for _ in range(2)]
        assert [event["type"] for event in seen] == ["ADDED", "DELETED"]
        revisions = [event["object"]["metadata"]["resourceVersion"] for event in seen]
        assert revisions == ["4", "5"]
        assert seen[1]["object"]["metadata"]["labels"] == {"on": "yes"}
        await watch.close()


async def test_what_keeps_matching_is_modified_and_what_never_did_is_not_told_of() -> None:
    async with kube() as ask:
        watch = await ask.watch(f"{MAPS}?watch=1&resourceVersion=1&labelSelector=on=yes")
        for name, value in (("a", "yes"), ("b", "no")):
            body = config_map(name) | {"metadata": {"name": name, "labels": {"on": value}}}
            await ask("POST", MAPS, body)
        for name in "ba":
            await ask("PATCH", f"{MAPS}/{name}", {"data": {"k": "v"}}, content_type=MERGE)
            await ask("DELETE", f"{MAPS}/{name}")
        seen = [await watch.seen() for _ in range(3)]
        assert seen == [("ADDED", "a", 2), ("MODIFIED", "a", 6), ("DELETED", "a", 7)]
        await watch.close()


async def test_fields() -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("p"))
        watch = await ask.watch(f"{PODS}?watch=1&fieldSelector=status.phase=Running")
        idle = await ask.watch(f"{PODS}?watch=1&resourceVersion=2&fieldSelector=spec.nodeName=")
        for phase in ("Running", "Failed"):
            body = {"status": {"phase": phase}}
            await ask("PATCH", f"{PODS}/p/status", body, content_type=MERGE)
        assert [(await watch.seen())[0] for _ in range(2)] == ["ADDED", "DELETED"]
        await ask("POST", f"{PODS}/p/binding", {"target": {"name": "n1"}})
        assert [(await idle.seen())[0] for _ in range(3)] == ["MODIFIED", "MODIFIED", "DELETED"]
        await watch.close()
        await idle.close()


async def test_of_one_nodes_pods() -> None:
    async with kube() as ask:
        watch = await ask.watch(f"{PODS}?watch=1&fieldSelector=spec.nodeName=n1")
        for name, node in (("a", "n2"), ("b", "n1")):
            await ask("POST", PODS, pod(name))
            await ask("POST", f"{PODS}/{name}/binding", {"target": {"name": node}})
        event = await watch.event()
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "b")
        await ask("DELETE", f"{PODS}/b?gracePeriodSeconds=0")
        assert (await watch.seen())[:2] == ("DELETED", "b")
        await watch.close()


@pytest.mark.parametrize("path", [MAPS, "/api/v1/configmaps"])
async def test_of_one_name_no_other_object_is_decoded(path: str) -> None:
    async with kube() as ask:
        for name in ("a", "ab", "b"):
            await ask("POST", MAPS, config_map(name))
        stored = list(ask.registry.cache.shelf(kinds.CONFIG_MAP).range(kinds.CONFIG_MAP.prefix))
        for one in stored:
            one._doc = None
        query = "fieldSelector=metadata.name=a"
        listed = (await ask("GET", f"{path}?{query}")).doc["items"]
        assert [doc["metadata"]["name"] for doc in listed] == ["a"]
        watch = await ask.watch(f"{path}?watch=1&{query}")
        assert await watch.seen() == ("ADDED", "a", 2)
        assert [one.name for one in stored if one._doc is not None] == ["a"]
        for name in ("ab", "a"):
            await ask("DELETE", f"{MAPS}/{name}")
        assert await watch.seen() == ("DELETED", "a", 6)
        both = "fieldSelector=metadata.name=a,metadata.name=b"
        assert (await ask("GET", f"{path}?{both}")).doc["items"] == []
        await watch.close()


async def test_a_late_watch_is_told_the_same() -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        for value in ("yes", "no"):
            await _labelled(ask, "a", value)
        path = f"{MAPS}?watch=1&labelSelector=on=yes"
        for since, told in ((1, ["ADDED", "DELETED"]), (3, ["DELETED"])):
            watch = await ask.watch(f"{path}&resourceVersion={since}")
            assert [(await watch.seen())[0] for _ in told] == told
            await watch.close()


async def test_also_as_tables() -> None:
    async with kube() as ask:
        path = f"{MAPS}?watch=1&resourceVersion=1&labelSelector=on=yes"
        watch = await ask.watch(path, accept=TABLE)
        await ask("POST", MAPS, config_map("a"))
        for value in ("yes", "no"):
            await _labelled(ask, "a", value)
        seen = [await watch.event() for _ in range(2)]
        assert [event["type"] for event in seen] == ["ADDED", "DELETED"]
        rows = [event["object"]["rows"][0]["object"]["metadata"] for event in seen]
        assert [row["resourceVersion"] for row in rows] == ["3", "4"]
        assert rows[1]["labels"] == {"on": "yes"}
        await watch.close()


@pytest.mark.parametrize(
    "query", ["labelSelector=a=b=c", "labelSelector=a in", "fieldSelector=x=y"]
)
async def test_selectors_that_are_none_are_refused(query: str) -> None:
    async with kube() as ask:
        answer = await ask("GET", f"{MAPS}?watch=1&{query}")
        assert (answer.status, answer.doc["reason"]) == (400, "BadRequest")
