"""Every kind that is kept, through all operations of its API, as conformance asks of each: create,
get, list, watch, patch, update, status, delete, deletecollection."""

from __future__ import annotations

import asyncio

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import KINDS, Doc, Kind
from longshore.testing.clock import settle

from ..doors.rig import Kube, kube
from ..objects.valid import name_of, valid

KEPT = [kind for kind in KINDS.stored if not kind.unserved]
MERGE = "application/merge-patch+json"


def collection(kind: Kind) -> str:
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
    return (
        f"{root}/namespaces/default/{kind.plural}" if kind.namespaced else f"{root}/{kind.plural}"
    )


async def written(api: Kube, kind: Kind) -> Doc:
    path = collection(kind)
    made = await api("POST", path, valid(kind))
    assert made.status == 201, made.doc
    assert made.doc["kind"] == kind.name
    again = await api("POST", path, valid(kind))
    assert (again.status, again.doc["reason"]) == (409, "AlreadyExists")
    # The door itself may have something to say about it: a flow schema is told whether it dangles.
    await settle()
    doc: Doc = (await api("GET", f"{path}/{name_of(kind, 1)}")).doc
    return doc


async def changed(api: Kube, kind: Kind, doc: Doc) -> None:
    path = f"{collection(kind)}/{name_of(kind, 1)}"
    got = await api("GET", path)
    assert got.doc == doc
    patch = {"metadata": {"annotations": {"patched": "true"}}}
    patched = await api("PATCH", path, patch, content_type=MERGE)
    assert patched.status == 200, patched.doc
    assert patched.doc["metadata"]["annotations"]["patched"] == "true"
    fresh = patched.doc
    fresh["metadata"]["annotations"]["updated"] = "true"
    updated = await api("PUT", path, fresh)
    assert updated.status == 200, updated.doc
    stale = await api("PUT", path, {**doc, "metadata": {**doc["metadata"], "labels": {"a": "b"}}})
    assert (stale.status, stale.doc["reason"]) == (409, "Conflict")


async def its_status(api: Kube, kind: Kind) -> None:
    if "status" not in kind.subresources:
        return
    path = f"{collection(kind)}/{name_of(kind, 1)}/status"
    assert (await api("GET", path)).status == 200
    patch = {"metadata": {"annotations": {"status": "patched"}}}
    patched = await api("PATCH", path, patch, content_type=MERGE)
    assert patched.status == 200, patched.doc
    assert (await api("PUT", path, patched.doc)).status == 200


async def ended(api: Kube, kind: Kind) -> None:
    path = collection(kind)
    await api("POST", path, valid(kind, 2))
    gone = await api("DELETE", f"{path}/{name_of(kind, 1)}?gracePeriodSeconds=0")
    assert gone.status == 200, gone.doc
    if "deletecollection" in kind.verbs:
        chosen = f"{path}?labelSelector=test=operations&gracePeriodSeconds=0"
        swept = await api("DELETE", chosen)
        assert swept.status == 200, swept.doc
        left = (await api("GET", f"{path}?labelSelector=test=operations")).doc["items"]
        assert [item for item in left if not item["metadata"].get("finalizers")] == []


@pytest.mark.parametrize("kind", KEPT, ids=lambda kind: kind.plural)
def test_operations_of_every_kind(kind: Kind) -> None:
    async def scenario() -> None:
        async with kube() as api:
            doc = await written(api, kind)
            listing = (await api("GET", f"{collection(kind)}?labelSelector=test=operations")).doc
            assert [item["metadata"]["name"] for item in listing["items"]] == [name_of(kind, 1)]
            since = doc["metadata"]["resourceVersion"]
            watcher = await api.watch(f"{collection(kind)}?watch=1&resourceVersion={since}")
            await changed(api, kind, doc)
            assert (await watcher.seen())[:2] == ("MODIFIED", name_of(kind, 1))
            assert (await watcher.seen())[:2] == ("MODIFIED", name_of(kind, 1))
            await watcher.close()
            await its_status(api, kind)
            await ended(api, kind)

    asyncio.run(scenario())


def test_a_signing_request_is_approved_and_says_who_asked() -> None:
    path = f"{collection(kinds.CSR)}/mine-1"
    approved = {"type": "Approved", "status": "True", "reason": "Fine"}

    async def scenario() -> None:
        async with kube() as api:
            doc = valid(kinds.CSR)
            doc["spec"] = {**doc["spec"], "username": "root", "groups": ["system:masters", "x"]}
            spec = (await api("POST", collection(kinds.CSR), doc)).doc["spec"]
            assert spec["username"] == "admin"
            assert spec["groups"] == ["system:masters", "system:authenticated"]
            stored = (await api("GET", path)).doc
            stored["status"] = {"conditions": [approved]}
            refused = await api("PUT", f"{path}/status", stored)
            assert refused.status == 422
            why = 'updates may not add a condition of type "Approved"'
            assert why in refused.doc["message"]
            answer = await api("PUT", f"{path}/approval", stored)
            assert answer.status == 200, answer.doc
            condition = answer.doc["status"]["conditions"][0]
            assert condition["lastUpdateTime"] == condition["lastTransitionTime"] != ""
            both = answer.doc
            both["status"]["conditions"].append({**approved, "type": "Denied"})
            answer = await api("PUT", f"{path}/approval", both)
            assert "Approved and Denied conditions are mutually exclusive" in answer.doc["message"]

    asyncio.run(scenario())
