"""Whatever is sent: an answer below 500 that is a v1 Status if it refuses, and nothing half-written."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longshore.core.objects.kinds import KINDS, Kind
from longshore.doors.kit.http import Reply, StreamReply
from tests.doors.rig import JSON, Kube, config_map, deployment, kube, pod

_CALM = settings(
    max_examples=30, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
_KINDS = sorted(KINDS, key=lambda kind: (kind.api_version, kind.name))
_TEXT = st.one_of(
    st.text(max_size=8),
    st.sampled_from([
        "", "0", "-1", "x" * 300, "a/b", "\x00", "default", "NaN", "1e999", "9" * 400, "٣", "²", "All", "true",
        "Exact", "NotOlderThan", "a in (b", "!", "a=b,c!=d", "metadata.name=x", "eyJydiI6MX0=",
    ]),
)  # fmt: skip
_PARAMETERS = (
    "limit", "continue", "resourceVersion", "resourceVersionMatch", "watch", "timeoutSeconds", "labelSelector",
    "fieldSelector", "allowWatchBookmarks", "sendInitialEvents", "dryRun", "fieldManager", "fieldValidation",
    "force", "pretty", "timeout", "includeObject", "gracePeriodSeconds", "propagationPolicy", "orphanDependents",
)  # fmt: skip
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False),
        _TEXT,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_TEXT, inner, max_size=3)),
    max_leaves=6,
)  # fmt: skip
_QUERY = st.dictionaries(st.sampled_from(_PARAMETERS), _TEXT, max_size=4)
_HEADERS = st.dictionaries(
    st.sampled_from(["accept", "content-type", "impersonate-user", "user-agent", "if-none-match"]),
    st.one_of(
        _TEXT,
        st.sampled_from([
            "application/json;as=Table;v=v1;g=meta.k8s.io", "application/yaml", "application/cbor",
            "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", "*/*;q=nan",
            "application/vnd.kubernetes.protobuf", "application/json-patch+json",
            "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml",
        ]),
    ),
    max_size=2,
)  # fmt: skip


def _path(kind: Kind, name: str = "", subresource: str = "") -> str:
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
    inside = "/namespaces/default" if kind.namespaced else ""
    return "/".join(part for part in (f"{root}{inside}/{kind.plural}", name, subresource) if part)


def _target(path: str, query: dict[str, str]) -> str:
    return path + "?" + "&".join(f"{key}={value.replace('&', '')}" for key, value in query.items())


async def _is_answered(
    ask: Kube, method: str, target: str, body: Any, headers: dict[str, str]
) -> None:
    """The reply is served, or refused as clients understand it; a stream can be begun and left."""
    reply = await ask.late(ask.raw(method, target, body, **headers))
    if isinstance(reply, StreamReply):
        await reply.pieces.aclose()
        return
    assert isinstance(reply, Reply)
    assert reply.status < 500 or reply.status in (503, 504), (
        method,
        target,
        body,
        headers,
        reply.body,
    )
    if reply.status >= 400 and "json" in reply.content_type:
        status = orjson.loads(reply.body)
        assert status["kind"] == "Status" and status["apiVersion"] == "v1", status
        assert status["code"] == reply.status and status["message"], status


def _all_whole(ask: Kube) -> None:
    """What is stored can be decoded, and is what its key says."""
    for kind in KINDS.stored:
        for stored in ask.registry.cache.shelf(kind).range(kind.prefix):
            metadata = stored.fresh()["metadata"]
            assert metadata["name"] == stored.name and metadata["uid"]


@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: f"{kind.api_version}.{kind.name}")
@settings(_CALM, max_examples=2)
@given(data=st.data())
async def test_every_kind_survives_any_body_query_and_header(
    kind: Kind, data: st.DataObject
) -> None:
    async with kube() as ask:
        for _ in range(4):
            body = data.draw(st.one_of(_JSON, _shaped(kind)))
            method = data.draw(
                st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
            )
            name = data.draw(st.sampled_from(["", "x", "default"]))
            below = data.draw(st.sampled_from(["", "", *kind.subresources])) if name else ""
            query, headers = data.draw(_QUERY), data.draw(_HEADERS)
            await _is_answered(ask, method, _target(_path(kind, name, below), query), body, headers)
        _all_whole(ask)


def _shaped(kind: Kind) -> st.SearchStrategy[Any]:
    """Nearly an object: what is looked at first is right, the rest is anything."""
    metadata = st.fixed_dictionaries(
        {"name": st.just("x")},
        optional={
            "labels": _JSON, "annotations": _JSON, "finalizers": _JSON, "ownerReferences": _JSON,
            "generateName": _TEXT, "managedFields": _JSON, "uid": _TEXT, "resourceVersion": _TEXT,
            "deletionTimestamp": _JSON, "creationTimestamp": _JSON, "generation": _JSON,
        },
    )  # fmt: skip
    return st.fixed_dictionaries(
        {"apiVersion": st.just(kind.api_version), "kind": st.just(kind.name)},
        optional={
            "metadata": metadata, "spec": _JSON, "status": _JSON, "data": _JSON, "rules": _JSON, "subsets": _JSON,
            "roleRef": _JSON, "subjects": _JSON, "webhooks": _JSON, "endpoints": _JSON, "type": _JSON, "target": _JSON,
        },
    )  # fmt: skip


_PATCHES = (
    "application/json-patch+json", "application/merge-patch+json",
    "application/strategic-merge-patch+json", "application/apply-patch+yaml",
)  # fmt: skip
_STEP = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "?"]),
        "path": st.sampled_from([
            "", "/", "/metadata", "/metadata/labels/a", "/spec", "/spec/containers/0", "/spec/containers/-",
            "/spec/containers/99999999999999999999", "/metadata/name", "/~2", "nope",
        ]),
    },
    optional={"value": _JSON, "from": st.sampled_from(["", "/spec", "/metadata", "/spec/containers/0"])},
)  # fmt: skip
_PARTIAL = st.fixed_dictionaries(
    {},
    optional={
        "metadata": _JSON, "spec": st.one_of(
            _JSON,
            st.fixed_dictionaries({}, optional={
                "containers": _JSON, "template": _JSON, "replicas": _JSON, "$patch": _TEXT, "selector": _JSON,
                "$setElementOrder/containers": _JSON, "$retainKeys": _JSON, "tolerations": _JSON,
            }),
        ), "data": _JSON, "status": _JSON, "$patch": _TEXT, "$deleteFromPrimitiveList/finalizers": _JSON,
    },
)  # fmt: skip


@_CALM
@given(
    media=st.sampled_from(_PATCHES), name=st.sampled_from(["pods/p", "configmaps/c", "pods/p/status"]),
    patch=st.one_of(_JSON, _PARTIAL, st.lists(_STEP, max_size=3)), query=_QUERY,
)  # fmt: skip
async def test_any_patch_leaves_a_whole_object_or_the_old_one(
    media: str, name: str, patch: Any, query: dict[str, str]
) -> None:
    async with kube() as ask:
        await ask("POST", "/api/v1/namespaces/default/pods", pod("p"))
        await ask("POST", "/api/v1/namespaces/default/configmaps", config_map("c", a="b"))
        path = f"/api/v1/namespaces/default/{name}"
        await _is_answered(ask, "PATCH", _target(path, query), patch, {"content_type": media})
        _all_whole(ask)


@_CALM
@given(patch=st.one_of(_PARTIAL, st.lists(_STEP, max_size=3)), media=st.sampled_from(_PATCHES))
async def test_any_patch_of_a_deployment(patch: Any, media: str) -> None:
    async with kube() as ask:
        base = "/apis/apps/v1/namespaces/default/deployments"
        await ask("POST", base, deployment("d"))
        for path in (f"{base}/d", f"{base}/d/scale", f"{base}/d/status"):
            await _is_answered(ask, "PATCH", path, patch, {"content_type": media})
        _all_whole(ask)


@_CALM
@given(body=st.binary(max_size=64), media=st.sampled_from(["", JSON, "application/yaml", "application/cbor",
       "application/vnd.kubernetes.protobuf", "text/plain", *_PATCHES]), method=st.sampled_from(["POST", "PUT", "PATCH", "DELETE"]),
       opening=st.sampled_from([b"", b"k8s\0", b"{", b'{"kind":"Pod",', b"%YAML 1.2\n", b"&a [*a]"]))  # fmt: skip
async def test_any_bytes_as_a_body(body: bytes, media: str, method: str, opening: bytes) -> None:
    async with kube() as ask:
        path = "/api/v1/namespaces/default/pods" + ("" if method == "POST" else "/p")
        await _is_answered(ask, method, path, opening + body, {"content_type": media})


@_CALM
@given(path=st.lists(_TEXT, max_size=8), method=st.sampled_from(["GET", "PUT", "DELETE", "?"]))
async def test_any_path(path: list[str], method: str) -> None:
    async with kube() as ask:
        for root in ("/api/v1/", "/apis/", "/openapi/", "/healthz/", "/"):
            await _is_answered(ask, method, root + "/".join(path), None, {})


def _deep(opening: bytes, closing: bytes) -> bytes:
    return opening * 100_000 + b"1" + closing * 100_000


_BAD_BODIES: dict[str, tuple[str, bytes]] = {
    "deep lists": (JSON, _deep(b"[", b"]")),
    "deep objects": (JSON, _deep(b'{"a":', b"}")),
    "deep yaml": ("application/yaml", _deep(b"[", b"]")),
    "deep yaml lines": ("application/yaml", b"".join(b" " * n + b"- \n" for n in range(2000))),
    "alias bomb": ("application/yaml", b"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]\n"),
    "huge number": (JSON, b'{"metadata":{"generation":1' + b"0" * 5000 + b"}}"),
    "lone surrogate": (JSON, b'{"metadata":{"name":"\\ud800"}}'),
    "invalid utf-8": (JSON, b'{"metadata":{"name":"\xff\xfe"}}'),
    "nul bytes": (JSON, b"\0" * 100),
    "yaml nul": ("application/yaml", b"a: \0"),
    "yaml huge number": ("application/yaml", b"metadata: {generation: 1" + b"0" * 5000 + b"}"),
    "yaml infinity": ("application/yaml", b"metadata: {generation: .inf}"),
    "yaml sexagesimal": ("application/yaml", b"metadata: {generation: 1:" + b"10:" * 2000 + b"1}"),
    "yaml keys": ("application/yaml", b"? [a, b]\n: c\n"),
    "yaml number keys": ("application/yaml", b"1: c\nmetadata: {name: 3}\n"),
    "yaml tag": ("application/yaml", b"!!python/object/apply:os.system [ls]"),
    "yaml binary": ("application/yaml", b"metadata: {name: !!binary aGk=}"),
    "yaml set": ("application/yaml", b"metadata: !!set {a, b}"),
    "yaml merge": ("application/yaml", b"<<: 1\n"),
    "yaml two": ("application/yaml", b"a: 1\n---\nb: 2\n"),
    "cbor": ("application/cbor", b"\xd9\xd9\xf7\xa0"),
}  # fmt: skip


@pytest.mark.parametrize("name", _BAD_BODIES)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", *_PATCHES])
async def test_hostile_bodies_are_refused_in_little_room(name: str, method: str) -> None:
    media, body = _BAD_BODIES[name]
    async with kube() as ask:
        await ask("POST", "/api/v1/namespaces/default/configmaps", config_map("c", a="b"))
        path = "/api/v1/namespaces/default/configmaps" + ("" if method == "POST" else "/c")
        if "/" in method:
            method, media = "PATCH", method
        answer = await ask(method, path, body, content_type=media)
        if method == "DELETE" and answer.status == 200:
            return  # nothing in it was an option
        assert answer.status in (400, 413, 415, 422), (answer.status, answer.body[:300])
        assert answer.doc["kind"] == "Status"
        assert (await ask("GET", "/api/v1/namespaces/default/configmaps/c")).doc["data"] == {
            "a": "b"
        }


@pytest.mark.parametrize("parameter", _PARAMETERS)
async def test_absurdly_long_parameters(parameter: str) -> None:
    async with kube() as ask:
        for value in ("9" * 100_000, "a," * 50_000, quote("\x00"), "(" * 50_000):
            await _is_answered(ask, "GET", f"/api/v1/pods?{parameter}={value}", None, {})
