"""Rule 42: Admission policies, which have no effect yet, are refused by name: nothing is stored that would
seem to protect or to serve."""

from __future__ import annotations

import asyncio

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Kind

from ..doors.rig import kube

KINDS = (
    kinds.VALIDATING_POLICY,
    kinds.VALIDATING_POLICY_BINDING,
    kinds.MUTATING_POLICY,
    kinds.MUTATING_POLICY_BINDING,
)
WHY = "admission policies are not evaluated yet"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.plural)
def test_refused_by_name_and_not_stored(kind: Kind) -> None:
    path = f"/apis/{kind.api_version}/{kind.plural}"
    doc = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {"name": "mine"}}

    async def scenario() -> None:
        async with kube() as api:
            answer = await api("POST", path, doc)
            assert (answer.status, answer.doc["reason"]) == (403, "Forbidden")
            assert answer.doc["message"].startswith(f'{kind.resource} "mine" is forbidden: {WHY}')
            listing = await api("GET", path)
            assert (listing.status, listing.doc["items"]) == (200, [])
            assert (await api("GET", f"{path}/mine")).status == 404
            assert (await api("DELETE", f"{path}/mine")).status == 404
            assert (await api("DELETE", path)).status == 200

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.plural)
def test_apply_does_not_get_round_it(kind: Kind) -> None:
    path = f"/apis/{kind.api_version}/{kind.plural}"
    doc = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {"name": "mine"}}

    async def scenario() -> None:
        async with kube() as api:
            answer = await api(
                "PATCH", f"{path}/mine?fieldManager=me", doc,
                content_type="application/apply-patch+yaml",
            )  # fmt: skip
            assert answer.status == 403
            assert (await api("GET", path)).doc["items"] == []

    asyncio.run(scenario())
