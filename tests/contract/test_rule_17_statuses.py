"""Rules 14 and 17: every refusal is a v1 Status whose reason clients branch on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.doors.rig import JSON, config_map, kube

MAPS = "/api/v1/namespaces/default/configmaps"
APPS = "/apis/apps/v1/namespaces/default/deployments"


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "expected"),
    [
        ("GET", f"{MAPS}/no", None, {}, (404, "NotFound", {"name": "no", "kind": "configmaps"})),
        ("GET", f"{APPS}/no", None, {}, (404, "NotFound", {"name": "no", "group": "apps", "kind": "deployments"})),
        ("GET", "/api/v1/unicorns", None, {}, (404, "NotFound", None)),
        ("GET", "/apis/apps/v1/unicorns/x/y", None, {}, (404, "NotFound", None)),
        ("POST", MAPS, config_map("a"), {}, (409, "AlreadyExists", {"name": "a", "kind": "configmaps"})),
        ("PUT", MAPS, {}, {}, (405, "MethodNotAllowed", {"kind": "configmaps"})),
        ("GET", "/api/v1/namespaces/default/bindings", None, {}, (405, "MethodNotAllowed", {"kind": "bindings"})),
        ("DELETE", "/api/v1/namespaces", None, {}, (405, "MethodNotAllowed", {"kind": "namespaces"})),
        ("GET", MAPS, None, {"accept": "application/vnd.kubernetes.protobuf"}, (406, "NotAcceptable", None)),
        ("GET", MAPS, None, {"accept": "application/cbor"}, (406, "NotAcceptable", None)),
        ("GET", MAPS, None, {"accept": f"{JSON};as=Table;v=v9;g=meta.k8s.io"}, (406, "NotAcceptable", None)),
        ("POST", MAPS, b"x", {"content_type": "application/cbor"}, (415, "UnsupportedMediaType", None)),
        ("POST", MAPS, b"x", {"content_type": "text/plain"}, (415, "UnsupportedMediaType", None)),
        ("PATCH", f"{MAPS}/a", {}, {"content_type": JSON}, (415, "UnsupportedMediaType", None)),
        ("GET", f"{MAPS}?labelSelector=a+in", None, {}, (400, "BadRequest", None)),
        ("GET", f"{MAPS}?fieldSelector=spec.x=1", None, {}, (400, "BadRequest", None)),
        ("GET", f"{MAPS}?limit=many", None, {}, (400, "BadRequest", None)),
        ("GET", f"{MAPS}?timeout=soon", None, {}, (400, "BadRequest", None)),
        ("POST", MAPS, {"metadata": {"name": "B"}}, {}, (422, "Invalid", ...)),
    ],
)  # fmt: skip
async def test_refusals(
    method: str, path: str, body: Any, headers: dict[str, str], expected: tuple[int, str, Any]
) -> None:
    code, reason, details = expected
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        answer = await ask(method, path, body, **headers)
        status = answer.doc
        assert (answer.status, status["code"], status["reason"]) == (code, code, reason), status
        assert (status["kind"], status["apiVersion"], status["status"]) == (
            "Status",
            "v1",
            "Failure",
        )
        if details is not ...:
            assert status.get("details") == details
        elif reason == "Invalid":
            assert status["details"]["causes"][0]["field"] == "metadata.name"


@pytest.mark.parametrize(
    ("timeout", "status"), [("5s", 200), ("1m30s", 200), ("0", 200), ("1h", 200)]
)
async def test_a_request_may_say_how_long_it_waits(timeout: str, status: int) -> None:
    async with kube() as ask:
        assert (await ask("GET", f"{MAPS}?timeout={timeout}")).status == status


async def test_a_request_that_takes_longer_is_ended() -> None:
    async with kube() as ask:
        began = ask.clock.monotonic()
        answer = await ask.late(ask("GET", f"{MAPS}?resourceVersion=999&timeout=1s"))
        assert (answer.status, answer.doc["reason"]) == (504, "Timeout")
        assert "allotted timeout" in answer.doc["message"]
        assert ask.clock.monotonic() - began < 3


@pytest.mark.parametrize("path", [MAPS, f"{MAPS}/a", f"{MAPS}?limit=1"])
async def test_pretty_is_indented_and_the_same(path: str) -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        sign = "&" if "?" in path else "?"
        plain, pretty = await ask("GET", path), await ask("GET", f"{path}{sign}pretty=true")
        assert pretty.body.startswith(b'{\n  "') and pretty.doc.keys() == plain.doc.keys()
        assert pretty.doc.get("metadata") == plain.doc.get("metadata")


async def test_head_is_answered_as_get() -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        assert (await ask("HEAD", f"{MAPS}/a")).status == 200
        assert (await ask("HEAD", f"{MAPS}/none")).status == 404
