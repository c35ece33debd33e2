"""Rule 14: Accept is a ranked list; what cannot be met is 406, a body that cannot be read is 415,
in upstream's words (apiserver/pkg/endpoints/handlers/negotiation)."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.doors.kit.http import StreamReply
from longshore.doors.kubernetes.media import JSON, YAML
from tests.doors.rig import Answer, config_map, kube

MAPS = "/api/v1/namespaces/default/configmaps"
PROTOBUF, CBOR = "application/vnd.kubernetes.protobuf", "application/cbor"
PICTURE = f"{JSON};as=Picture;g=meta.k8s.io;v=v1"
TABLE = f"{JSON};as=Table;g=meta.k8s.io;v=v1"


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (YAML, YAML),
        (f"{JSON};q=0.2, {YAML};q=0.9", YAML),
        (f"*/*, {YAML}", YAML),
        (f"application/*;q=0.9, {YAML};q=0.8", JSON),
        (f"{PROTOBUF}, {JSON}", JSON),
        (f"{CBOR}, {PROTOBUF}, */*;q=0.1", JSON),
        ("text/html, */*", JSON),
        ("Application/JSON", JSON),
        (f"{JSON};stream=watch", JSON),
        (f"{PICTURE}, {YAML}", YAML),
    ],
)
async def test_the_best_offer_that_can_be_met(accept: str, media: str) -> None:
    async with kube() as ask:
        answer = await ask("GET", MAPS, accept=accept)
        assert (answer.status, answer.content_type) == (200, media)


@pytest.mark.parametrize(
    "accept", ["text/html", PROTOBUF, CBOR, f"{JSON};q=0", PICTURE, f"{JSON};stream=other"]
)
@pytest.mark.parametrize("path", [MAPS, f"{MAPS}/a", f"{MAPS}?watch=1"])
async def test_none_that_can_be_met_is_406(path: str, accept: str) -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        answer = await ask("GET", path, accept=accept)
        assert (answer.status, answer.doc["reason"]) == (406, "NotAcceptable")
        assert answer.content_type == JSON
        assert answer.doc["message"] == (
            f"only the following media types are accepted: {JSON}, {YAML}"
        )


async def test_a_write_that_could_not_be_answered_is_not_done() -> None:
    async with kube() as ask:
        refused = await ask("POST", MAPS, config_map("a"), accept="text/html")
        assert refused.status == 406
        assert (await ask("GET", f"{MAPS}/a")).status == 404


async def test_yaml_is_no_stream() -> None:
    async with kube() as ask:
        answer = await ask("GET", f"{MAPS}?watch=1", accept=YAML)
        assert (answer.status, answer.doc["reason"]) == (406, "NotAcceptable")
        assert answer.doc["message"] == (
            "only the following media types are accepted: application/json;stream=watch"
        )


@pytest.mark.parametrize(
    "accept", [f"{JSON};stream=watch", f"{PROTOBUF};stream=watch, {JSON}", TABLE]
)
async def test_a_watch_is_json(accept: str) -> None:
    async with kube() as ask:
        reply = await ask.raw("GET", f"{MAPS}?watch=1", accept=accept)
        assert isinstance(reply, StreamReply) and reply.content_type == JSON
        await reply.pieces.aclose()


def _refused(answer: Answer, accepted: str) -> None:
    assert (answer.status, answer.doc["reason"]) == (415, "UnsupportedMediaType")
    assert answer.doc["message"] == (
        f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    )


@pytest.mark.parametrize("media", [CBOR, "text/plain", "application/x-www-form-urlencoded", "x"])
async def test_bodies_of_other_types_are_415(media: str) -> None:
    accepted = f"{JSON}, {YAML}, {PROTOBUF}"
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        for method, path in (("POST", MAPS), ("PUT", f"{MAPS}/a"), ("DELETE", f"{MAPS}/a")):
            _refused(await ask(method, path, b"{}", content_type=media), accepted)
        assert (await ask("GET", f"{MAPS}/a")).status == 200


@pytest.mark.parametrize("media", ["application/apply-patch+cbor", JSON, "", PROTOBUF])
async def test_patches_of_other_types_are_415(media: str) -> None:
    types = (
        "json-patch+json",
        "merge-patch+json",
        "strategic-merge-patch+json",
        "apply-patch+yaml",
    )
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        answer = await ask("PATCH", f"{MAPS}/a", b"{}", content_type=media)
        _refused(answer, ", ".join(f"application/{one}" for one in types))


@pytest.mark.parametrize("media", [JSON, f"{JSON}; charset=utf-8", YAML, "", "text/yaml"])
async def test_bodies_that_are_read(media: str) -> None:
    body: Any = b'{"metadata": {"name": "a"}}'
    async with kube() as ask:
        assert (await ask("POST", MAPS, body, content_type=media)).status == 201
