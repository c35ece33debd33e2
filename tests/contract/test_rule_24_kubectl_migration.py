"""Rule 24, kubectl's part: from client-side to server-side apply without conflicts."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from longshore.core.objects.kinds import Doc
from tests.doors.rig import Answer, Kube, deployment, kube

MAPS = "/api/v1/namespaces/default/configmaps"
WEBS = "/apis/apps/v1/namespaces/default/deployments"
APPLY, JSON_PATCH = "application/apply-patch+yaml", "application/json-patch+json"
MERGE = "application/merge-patch+json"
LAST = "kubectl.kubernetes.io/last-applied-configuration"


def config(**data: str) -> Doc:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": data}


async def client_side(ask: Kube, **data: str) -> Doc:
    """What kubectl apply makes of an object that is not there."""
    body = config(**data)
    body["metadata"]["annotations"] = {LAST: orjson.dumps(config(**data)).decode()}
    made = await ask("POST", f"{MAPS}?fieldManager=kubectl-client-side-apply", body)
    assert made.status == 201
    doc: Doc = made.doc
    return doc


async def apply(ask: Kube, body: Any, manager: str = "kubectl") -> Answer:
    return await ask("PATCH", f"{MAPS}/one?fieldManager={manager}", body, content_type=APPLY)


def owners(doc: Doc) -> dict[tuple[str, str], Doc]:
    return {(e["manager"], e["operation"]): e["fieldsV1"] for e in doc["metadata"]["managedFields"]}


async def test_managed_fields_are_handed_over_by_a_patch() -> None:
    """client-go/util/csaupgrade: what kubectl sends before its first server-side apply."""
    async with kube() as ask:
        made = await client_side(ask, a="1", b="2")
        metadata = made["metadata"]
        (entry,) = metadata["managedFields"]
        moved = entry | {"manager": "kubectl", "operation": "Apply"}
        patch = [
            {"op": "replace", "path": "/metadata/managedFields", "value": [moved]},
            {
                "op": "replace", "path": "/metadata/resourceVersion",
                "value": metadata["resourceVersion"],
            },
        ]  # fmt: skip
        patched = await ask("PATCH", f"{MAPS}/one", patch, content_type=JSON_PATCH)
        assert patched.status == 200
        assert owners(patched.doc) == {("kubectl", "Apply"): entry["fieldsV1"]}
        applied = await apply(ask, config(a="3"))
        assert applied.doc["data"] == {"a": "3"}
        again = await ask("PATCH", f"{MAPS}/one", patch, content_type=JSON_PATCH)
        assert (again.status, again.doc["reason"]) == (409, "Conflict")


async def test_kubectl_may_change_what_it_applied_last() -> None:
    async with kube() as ask:
        await client_side(ask, a="1", b="2")
        applied = await apply(ask, config(a="3"))
        assert applied.status == 200
        assert applied.doc["data"] == {"a": "3", "b": "2"}
        last = orjson.loads(applied.doc["metadata"]["annotations"][LAST])
        assert last["data"] == {"a": "3"}
        assert LAST not in last["metadata"]["annotations"]


async def test_but_not_what_others_changed_since() -> None:
    async with kube() as ask:
        await client_side(ask, a="1", b="2")
        theirs = f"{MAPS}/one?fieldManager=editor"
        await ask("PATCH", theirs, {"data": {"a": "2"}}, content_type=MERGE)
        refused = await apply(ask, config(a="3", b="3"))
        assert refused.status == 409
        assert refused.doc["message"] == (
            'Apply failed with 1 conflict: conflict with "editor" using v1: .data.a'
        )


async def test_nor_may_other_managers() -> None:
    async with kube() as ask:
        await client_side(ask, a="1")
        assert (await apply(ask, config(a="3"), "me")).status == 409


@pytest.mark.parametrize("text", ["", "{", "[]", '{"apiVersion":"v2"}', '{"data":7}', "null"])
async def test_an_annotation_that_says_nothing_forgives_nothing(text: str) -> None:
    async with kube() as ask:
        await client_side(ask, a="1")
        change = {"metadata": {"annotations": {LAST: text}}}
        await ask("PATCH", f"{MAPS}/one", change, content_type=MERGE)
        assert (await apply(ask, config(a="3"))).status == 409


async def test_without_the_annotation_there_is_none_afterwards() -> None:
    async with kube() as ask:
        applied = await apply(ask, config(a="3"))
        assert "annotations" not in applied.doc["metadata"]


async def test_status_is_no_way_to_give_fields_away() -> None:
    async with kube() as ask:
        made = await ask("POST", f"{WEBS}?fieldManager=me", deployment("web"))
        entries = made.doc["metadata"]["managedFields"]
        stolen = {"metadata": {"managedFields": [entries[0] | {"manager": "thief"}]}}
        patched = await ask("PATCH", f"{WEBS}/web/status", stolen, content_type=MERGE)
        assert patched.doc["metadata"]["managedFields"] == entries
