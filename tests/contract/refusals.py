"""What the kinds have in common that are listed and refused until they take effect."""

from __future__ import annotations

from longshore.core.objects.kinds import Kind

from ..doors.rig import kube


def _mine(kind: Kind) -> tuple[str, dict[str, object]]:
    path = f"/apis/{kind.api_version}/{kind.plural}"
    return path, {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {"name": "mine"}}


async def refused_by_name_and_not_stored(kind: Kind, why: str) -> None:
    path, doc = _mine(kind)
    async with kube() as api:
        answer = await api("POST", path, doc)
        assert (answer.status, answer.doc["reason"]) == (403, "Forbidden")
        assert answer.doc["message"].startswith(f'{kind.resource} "mine" is forbidden: {why}')
        listing = await api("GET", path)
        assert (listing.status, listing.doc["items"]) == (200, [])
        assert (await api("GET", f"{path}/mine")).status == 404
        assert (await api("DELETE", f"{path}/mine")).status == 404
        assert (await api("DELETE", path)).status == 200


async def apply_does_not_get_round_it(kind: Kind) -> None:
    path, doc = _mine(kind)
    async with kube() as api:
        answer = await api(
            "PATCH", f"{path}/mine?fieldManager=me", doc,
            content_type="application/apply-patch+yaml",
        )  # fmt: skip
        assert answer.status == 403
        assert (await api("GET", path)).doc["items"] == []
