"""Bodies in protobuf: what a client meant, neither more nor less; and no crash on any bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.objects.errors import BadRequest
from longshore.core.objects.kinds import KINDS, Doc
from longshore.doors.kubernetes import protobuf

from .rig import kube


def varint(value: int) -> bytes:
    value &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: Any) -> bytes:
    """A field: a number, text, or the fields of a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def fields(*pairs: tuple[int, Any]) -> bytes:
    return b"".join(field(number, value) for number, value in pairs)


def body(api_version: str, kind: str, raw: bytes) -> bytes:
    type_meta = fields((1, api_version), (2, kind))
    return protobuf.MAGIC + fields((1, type_meta), (2, raw), (3, ""), (4, ""))


def decode(data: bytes) -> Doc:
    return protobuf.decode(data, lambda version, kind: _schema(version, kind))


def _schema(version: str, kind: str) -> str:
    found = KINDS.named(version, kind)
    return found.schema if found else ""


NO_TIME = b""


def test_values_that_go_sends_empty_are_absent_and_pointers_are_kept() -> None:
    metadata = fields(
        (1, "web"), (2, ""), (3, ""), (4, ""), (5, ""), (6, ""), (7, 0), (8, NO_TIME),
        (11, fields((1, "app"), (2, "web"))), (11, fields((1, "empty"))),
    )  # fmt: skip
    template = fields((1, b""), (2, b""))
    spec = fields((1, 0), (2, fields((1, fields((1, "app"), (2, "web"))))), (3, template), (5, 0))
    doc = decode(body("apps/v1", "Deployment", fields((1, metadata), (2, spec), (3, b""))))
    assert doc == {
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"app": "web", "empty": ""}},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}},
    }  # fmt: skip


def test_times_quantities_ports_and_embedded_structs_are_as_in_json() -> None:
    created = fields((1, 1_767_225_600), (2, 0))
    empty_dir = fields((1, "data"), (2, fields((2, b""))))
    probe = fields((1, fields((2, fields((1, "/"), (2, fields((1, 1), (3, "http"))))))), (2, 5))
    limits = fields((1, fields((1, "cpu"), (2, fields((1, "100m"))))))
    container = fields((1, "main"), (8, limits), (10, probe))
    spec = fields((1, empty_dir), (2, container), (4, 30))
    raw = fields((1, fields((1, "p"), (8, created))), (2, spec))
    doc = decode(body("v1", "Pod", raw))
    assert doc["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert doc["spec"]["volumes"] == [{"name": "data", "emptyDir": {}}]
    (main,) = doc["spec"]["containers"]
    assert main["resources"] == {"limits": {"cpu": "100m"}}
    assert main["livenessProbe"] == {
        "httpGet": {"path": "/", "port": "http"},
        "initialDelaySeconds": 5,
    }


def test_bytes_come_as_base64() -> None:
    data = fields((1, "key"), (2, b"\x00\xff"))
    doc = decode(body("v1", "Secret", fields((1, fields((1, "s"))), (2, data), (3, "Opaque"))))
    assert doc["data"] == {"key": "AP8="}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        protobuf.MAGIC,
        body("v1", "Unicorn", b""),
        body("v1", "Pod", b"\xff"),
        body("v1", "Pod", b"\x0a\x7f"),
        body("v1", "Pod", field(1, field(1, 5))),
        body("v1", "Pod", b"\x0b"),
    ],
)
def test_what_is_no_object_is_a_bad_request(data: bytes) -> None:
    with pytest.raises(BadRequest):
        decode(data)


@given(st.binary(max_size=200), st.sampled_from(list(KINDS)))
def test_any_bytes_are_an_object_or_a_bad_request(raw: bytes, kind: Any) -> None:
    try:
        doc = decode(body(kind.api_version, kind.name, raw))
    except BadRequest:
        return
    assert (doc["apiVersion"], doc["kind"]) == (kind.api_version, kind.name)


async def test_the_door_takes_it() -> None:
    raw = fields((1, fields((1, "one"))), (2, fields((1, "a"), (2, "1"))))
    async with kube() as ask:
        path = "/api/v1/namespaces/default/configmaps"
        sent = body("v1", "ConfigMap", raw)
        made = await ask("POST", path, sent, content_type=protobuf.MEDIA)
        assert (made.status, made.doc["data"]) == (201, {"a": "1"})
        wrong = await ask("POST", path, body("v1", "Secret", raw), content_type=protobuf.MEDIA)
        assert wrong.status == 400
