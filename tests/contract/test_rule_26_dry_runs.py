"""Rule 26: a dry run goes the whole way, and stores nothing."""

from __future__ import annotations

import pytest

from tests.doors.rig import Kube, config_map, kube, pod

MAPS, PODS = "/api/v1/namespaces/default/configmaps", "/api/v1/namespaces/default/pods"
BINDING = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
MERGE = "application/merge-patch+json"


async def _stocked(ask: Kube) -> int:
    await ask("POST", MAPS, config_map("a", k="old"))
    await ask("POST", PODS, pod("p"))
    return ask.registry.cache.revision


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", MAPS, config_map("b"), 201),
        ("PUT", f"{MAPS}/a", config_map("a", k="new"), 200),
        ("PATCH", f"{MAPS}/a", {"data": {"k": "new"}}, 200),
        ("PATCH", f"{PODS}/p/status", {"status": {"phase": "Running"}}, 200),
        ("DELETE", f"{MAPS}/a", None, 200),
        ("DELETE", f"{PODS}/p", None, 200),
        ("DELETE", MAPS, None, 200),
        ("POST", f"{PODS}/p/binding", BINDING, 201),
    ],
)  # fmt: skip
async def test_every_write_can_be_tried(method: str, path: str, body: object, status: int) -> None:
    async with kube() as ask:
        revision = await _stocked(ask)
        kind = {"content_type": MERGE} if method == "PATCH" else {}
        answer = await ask(method, f"{path}?dryRun=All", body, **kind)
        assert answer.status == status, answer.body
        assert ask.registry.cache.revision == revision


async def test_a_try_is_refused_as_the_write_would_be() -> None:
    async with kube() as ask:
        await _stocked(ask)
        assert (await ask("POST", f"{MAPS}?dryRun=All", config_map("a"))).status == 409
        assert (
            await ask("POST", f"{PODS}/none/binding?dryRun=All", {**BINDING, "metadata": {}})
        ).status == 404
        stale = config_map("a") | {"metadata": {"name": "a", "resourceVersion": "1"}}
        assert (await ask("PUT", f"{MAPS}/a?dryRun=All", stale)).status == 409


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_any_other_value_is_invalid(method: str) -> None:
    async with kube() as ask:
        revision = await _stocked(ask)
        path = MAPS if method == "POST" else f"{MAPS}/a"
        body = None if method == "DELETE" else config_map("b" if method == "POST" else "a")
        kind = {"content_type": MERGE} if method == "PATCH" else {}
        answer = await ask(method, f"{path}?dryRun=Some", body, **kind)
        assert (answer.status, answer.doc["reason"]) == (422, "Invalid")
        assert 'dryRun: Unsupported value: "Some": supported values: "All"' in answer.doc["message"]
        assert ask.registry.cache.revision == revision
