"""Rule 5: a revision of the future is waited for, then refused; never answered with older data."""

from __future__ import annotations

import asyncio

import pytest

from longshore.testing.clock import settle
from tests.doors.rig import Answer, config_map, kube

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.mark.parametrize("path", [f"{MAPS}/a", MAPS, f"{MAPS}?watch=1"])
async def test_a_revision_that_does_not_come_is_refused_after_three_seconds(path: str) -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        began = ask.clock.monotonic()
        sign = "&" if "?" in path else "?"
        answer = await ask.late(ask("GET", f"{path}{sign}resourceVersion=999"))
        assert ask.clock.monotonic() - began >= 3
        assert (answer.status, answer.doc["reason"]) == (504, "Timeout")
        assert answer.doc["message"] == "Timeout: Too large resource version: 999, current: 2"
        assert answer.doc["details"] == {
            "causes": [
                {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
            ],
            "retryAfterSeconds": 1,
        }
        assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize("path", [f"{MAPS}/a", MAPS])
async def test_a_revision_that_comes_meanwhile_is_answered(path: str) -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        waiting = asyncio.ensure_future(ask("GET", f"{path}?resourceVersion=3"))
        await settle()
        assert not waiting.done()
        await ask("PUT", f"{MAPS}/a", config_map("a", k="new"))
        answer = await ask.late(_outcome(waiting))
        assert answer.status == 200 and b'"new"' in answer.body


async def _outcome(task: asyncio.Future[Answer]) -> Answer:
    return await task


@pytest.mark.parametrize("revision", ["x", "-1", "1.5", "²", "9" * 30, "99999999999999999999"])
@pytest.mark.parametrize("path", [f"{MAPS}/a", MAPS, f"{MAPS}?watch=1"])
async def test_what_is_no_revision_is_a_bad_request(path: str, revision: str) -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        sign = "&" if "?" in path else "?"
        answer = await ask("GET", f"{path}{sign}resourceVersion={revision}")
        assert (answer.status, answer.doc["reason"]) == (400, "BadRequest")
