"""Rule 22, as far as apply-patch goes: media types, preconditions, force."""

from __future__ import annotations

from typing import Any

import pytest

from tests.doors.rig import kube

APPLY = "application/apply-patch+yaml"
ONE = "/api/v1/namespaces/default/configmaps/one"


def config(**metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", **metadata}}


async def test_a_revision_is_a_precondition() -> None:
    async with kube() as ask:
        made = await ask("PATCH", f"{ONE}?fieldManager=me", config(), content_type=APPLY)
        now = made.doc["metadata"]["resourceVersion"]
        labelled = config(resourceVersion=now, labels={"a": "b"})
        done = await ask("PATCH", f"{ONE}?fieldManager=me", labelled, content_type=APPLY)
        assert done.status == 200
        stale = await ask("PATCH", f"{ONE}?fieldManager=me", config(resourceVersion=now, labels={}), content_type=APPLY)  # fmt: skip
        assert (stale.status, stale.doc["reason"]) == (409, "Conflict")


async def test_cbor_is_not_accepted() -> None:
    async with kube() as ask:
        refused = await ask("PATCH", f"{ONE}?fieldManager=me", b"\xa0", content_type="application/apply-patch+cbor")  # fmt: skip
        assert refused.status == 415


@pytest.mark.parametrize("body", [b"[]", b"", b"{", b"a: [", b"- 1"])
async def test_what_is_no_object_is_refused(body: bytes) -> None:
    async with kube() as ask:
        refused = await ask("PATCH", f"{ONE}?fieldManager=me", body, content_type=APPLY)
        assert refused.status == 400


async def test_only_an_apply_is_forced() -> None:
    async with kube() as ask:
        media = "application/merge-patch+json"
        refused = await ask("PATCH", f"{ONE}?force=true", {}, content_type=media)
        assert refused.status == 422
        assert (
            "force: Forbidden: may not be specified for non-apply patch" in refused.doc["message"]
        )


async def test_doubled_fields_warn_or_are_refused() -> None:
    async with kube() as ask:
        body = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"one"},"data":{"a":"1","a":"2"}}'
        warned = await ask("PATCH", f"{ONE}?fieldManager=me", body, content_type=APPLY)
        assert "duplicate field" in warned.headers["Warning"]
        refused = await ask("PATCH", f"{ONE}?fieldManager=me&fieldValidation=Strict", body, content_type=APPLY)  # fmt: skip
        assert refused.status == 400
