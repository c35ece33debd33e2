"""Rule 25: managedFields has an entry for each manager, operation, version and subresource."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.base.users import loop_user
from longshore.core.objects import kinds
from longshore.core.registry.client import Create, Patch
from tests.doors.rig import Answer, kube

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
ONE = f"{MAPS}/one"


def config(**data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": data}


def pod() -> dict[str, Any]:
    container = {"name": "c", "image": "i:1", "ports": [{"containerPort": 80}]}
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"a": "b"}},
        "spec": {"containers": [container]},
    }  # fmt: skip


def entries(answer: Answer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answer.doc["metadata"].get("managedFields", [])
    return found


async def test_a_create_is_recorded_as_an_update_of_the_agent() -> None:
    async with kube() as ask:
        made = await ask("POST", MAPS, config(a="1"), user_agent="kubectl-create/v1.37 (linux)")
        assert entries(made) == [{
            "manager": "kubectl-create", "operation": "Update", "apiVersion": "v1",
            "time": made.doc["metadata"]["creationTimestamp"], "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {".": {}, "f:a": {}}},
        }]  # fmt: skip


async def test_lists_are_known_by_keys_and_defaults_are_owned() -> None:
    async with kube() as ask:
        made = await ask("POST", f"{PODS}?fieldManager=me", pod())
        (entry,) = entries(made)
        container = entry["fieldsV1"]["f:spec"]["f:containers"]['k:{"name":"c"}']
        assert container["f:ports"] == {
            ".": {},
            'k:{"containerPort":80,"protocol":"TCP"}': {
                ".": {}, "f:containerPort": {}, "f:protocol": {},
            },
        }  # fmt: skip
        assert {".", "f:image", "f:imagePullPolicy", "f:resources"} <= container.keys()
        # Neither what admission added, nor the first status, nor what the system writes.
        assert "f:tolerations" not in entry["fieldsV1"]["f:spec"]
        assert entry["fieldsV1"].keys() == {"f:metadata", "f:spec"}
        assert entry["fieldsV1"]["f:metadata"] == {"f:labels": {".": {}, "f:a": {}}}


async def test_a_status_has_an_entry_of_its_own() -> None:
    async with kube() as ask:
        await ask("POST", f"{PODS}?fieldManager=me", pod())
        status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        path = f"{PODS}/p/status?fieldManager=kubelet"
        done = await ask("PATCH", path, status, content_type=MERGE)
        (mine,) = [e for e in entries(done) if e["manager"] == "kubelet"]
        assert (mine["subresource"], mine["operation"]) == ("status", "Update")
        ready: dict[str, Any] = {".": {}, "f:type": {}, "f:status": {}}
        conditions = mine["fieldsV1"]["f:status"]["f:conditions"]
        assert conditions == {".": {}, 'k:{"type":"Ready"}': ready}


async def test_who_changes_a_value_takes_it_over() -> None:
    async with kube() as ask:
        await ask("POST", f"{MAPS}?fieldManager=first", config(a="1", b="1"))
        await ask("PATCH", f"{ONE}?fieldManager=second", {"data": {"a": "2"}}, content_type=MERGE)
        done = await ask("GET", ONE)
        assert {e["manager"]: e["fieldsV1"] for e in entries(done)} == {
            "first": {"f:data": {".": {}, "f:b": {}}},
            "second": {"f:data": {"f:a": {}}},
        }


async def test_a_write_that_changes_nothing_is_none() -> None:
    async with kube() as ask:
        made = await ask("POST", f"{MAPS}?fieldManager=first", config(a="1"))
        await ask.clock.advance(60)
        same = {"data": {"a": "1"}}
        patched = await ask("PATCH", f"{ONE}?fieldManager=other", same, content_type=MERGE)
        put = await ask("PUT", f"{ONE}?fieldManager=other", config(a="1"))
        assert made.doc == patched.doc == put.doc


@pytest.mark.parametrize(
    ("media", "patch"),
    [
        (MERGE, {"metadata": {"managedFields": [{}]}}),
        ("application/strategic-merge-patch+json", {"metadata": {"managedFields": [{}]}}),
        (JSON_PATCH, [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]),
    ],
)
async def test_a_list_of_an_empty_entry_clears(media: str, patch: Any) -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config(a="1"))
        assert entries(await ask("PATCH", ONE, patch, content_type=media)) == []
        # Nobody is recorded again until somebody applies.
        later = await ask("PATCH", ONE, {"data": {"a": "2"}}, content_type=MERGE)
        assert entries(later) == []


@pytest.mark.parametrize(("sent", "left"), [([], 0), ([{}], 0), (None, 1), ([{"manager": "x"}], 1)])
async def test_a_put_clears_or_keeps(sent: Any, left: int) -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config(a="1"))
        doc = config(a="1")
        doc["metadata"]["managedFields"] = sent
        assert len(entries(await ask("PUT", ONE, doc))) == left


async def test_a_subresource_cannot_clear() -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod())
        cleared: dict[str, Any] = {"metadata": {"managedFields": [{}]}}
        kept = await ask("PATCH", f"{PODS}/p/status", cleared, content_type=MERGE)
        assert len(entries(kept)) == 1


async def test_old_updaters_become_one() -> None:
    async with kube() as ask:
        await ask("POST", f"{MAPS}?fieldManager=m0", config(k0="v"))
        for number in range(1, 14):
            await ask.clock.advance(1)
            path = f"{ONE}?fieldManager=m{number}"
            await ask("PATCH", path, {"data": {f"k{number}": "v"}}, content_type=MERGE)
        found = entries(await ask("GET", ONE))
        assert len(found) == 10
        assert found[0]["manager"] == "ancient-changes"
        assert {"f:k0", "f:k4"} <= found[0]["fieldsV1"]["f:data"].keys()
        assert [e["time"] for e in found] == sorted(e["time"] for e in found)


async def test_loops_are_recorded_by_their_name() -> None:
    async with kube() as ask:
        who = loop_user("deployment")
        doc = {**config(a="1"), "metadata": {"name": "one", "namespace": "default"}}
        await ask.registry.perform(who, Create(kinds.CONFIG_MAP, doc))
        patch = Patch(kinds.CONFIG_MAP, "default", "one", {"data": {"b": "2"}})
        await ask.registry.submit(who, [patch])
        (entry,) = entries(await ask("GET", ONE))
        assert entry["manager"] == "deployment"
        assert entry["fieldsV1"]["f:data"].keys() == {".", "f:a", "f:b"}


async def test_scaling_is_an_entry_of_its_own() -> None:
    async with kube() as ask:
        labels = {"a": "b"}
        template = {"metadata": {"labels": labels}, "spec": pod()["spec"]}
        doc = {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        }  # fmt: skip
        path = "/apis/apps/v1/namespaces/default/deployments"
        await ask("POST", f"{path}?fieldManager=me", doc)
        scale = {"spec": {"replicas": 3}}
        await ask("PATCH", f"{path}/web/scale?fieldManager=hpa", scale, content_type=MERGE)
        found = {e["manager"]: e for e in entries(await ask("GET", f"{path}/web"))}
        assert found["hpa"]["subresource"] == "scale"
        assert found["hpa"]["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
        assert "f:replicas" not in found["me"]["fieldsV1"]["f:spec"]
