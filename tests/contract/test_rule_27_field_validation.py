"""Rule 27: fields that are unknown or doubled, in every verb with a body."""

from __future__ import annotations

from typing import Any

import pytest

from tests.doors.rig import Answer, Kube, config_map, deployment, kube, pod

WEBS = "/apis/apps/v1/namespaces/default/deployments"
WEB = f"{WEBS}/web"
MAPS, PODS = "/api/v1/namespaces/default/configmaps", "/api/v1/namespaces/default/pods"
JSON, YAML = "application/json", "application/yaml"
JSON_PATCH, MERGE = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC, APPLY = "application/strategic-merge-patch+json", "application/apply-patch+yaml"

# Orders as upstream's decoder gives them: as it meets them in JSON, sorted in YAML and patches.
_BODY = b"""{
  "apiVersion": "apps/v1", "kind": "Deployment",
  "metadata": {"name": "other", "name": "web", "labels": {"a": "1", "a": "2"}, "strange": 1},
  "spec": {
    "odd": "1", "oddTwice": 1, "oddTwice": {"x": 1, "x": 2}, "paused": true, "paused": false,
    "selector": {"matchLabels": {"app": "web"}},
    "template": {
      "metadata": {"labels": {"app": "web"}, "inner": true},
      "spec": {"containers": [{
        "name": "c", "image": "i", "nested": 1, "imagePullPolicy": "Always", "imagePullPolicy": "Never"
      }]}
    }
  }
}"""
_FOUND = [
    'duplicate field "metadata.name"',
    'duplicate field "metadata.labels.a"',
    'unknown field "metadata.strange"',
    'unknown field "spec.odd"',
    'unknown field "spec.oddTwice"',
    'duplicate field "spec.paused"',
    'unknown field "spec.template.metadata.inner"',
    'unknown field "spec.template.spec.containers[0].nested"',
    'duplicate field "spec.template.spec.containers[0].imagePullPolicy"',
]
_YAML = b"""apiVersion: apps/v1
kind: Deployment
metadata:
  name: other
  name: web
  strange: 1
spec:
  odd: 1
  oddTwice: 1
  oddTwice: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels:
        app: web
    spec:
      containers:
      - nested: 1
        name: c
        image: i
        imagePullPolicy: Always
        imagePullPolicy: Never
"""
_YAML_DOUBLED = [
    'line 5: key "name" already set in map',
    'line 10: key "oddTwice" already set in map',
    'line 22: key "imagePullPolicy" already set in map',
]
_YAML_UNKNOWN = [
    'unknown field "metadata.strange"',
    'unknown field "spec.odd"',
    'unknown field "spec.oddTwice"',
    'unknown field "spec.template.spec.containers[0].nested"',
]
_PATCH = b"""{"spec": {
  "odd": 1, "oddTwice": 1, "oddTwice": 2, "paused": true, "paused": false,
  "template": {"spec": {"containers": [{
    "name": "main", "image": "i", "nested": 1, "imagePullPolicy": "Never", "imagePullPolicy": "Never"
  }]}}
}}"""
_PATCH_FOUND = [
    'duplicate field "spec.oddTwice"',
    'duplicate field "spec.paused"',
    'duplicate field "spec.template.spec.containers[0].imagePullPolicy"',
    'unknown field "spec.odd"',
    'unknown field "spec.oddTwice"',
    'unknown field "spec.template.spec.containers[0].nested"',
]
_OPERATIONS = b"""[
  {"op": "add", "path": "/spec/odd", "value": 1, "foo": "bar"},
  {"op": "add", "path": "/spec/none", "path": "/spec/paused", "value": true}
]"""
_OPERATIONS_FOUND = [
    'json patch unknown field "[0].foo"',
    'json patch duplicate field "[1].path"',
    'unknown field "spec.odd"',
]


def warnings(answer: Answer) -> list[str]:
    header = answer.headers.get("Warning", "")
    parts = header.removeprefix('299 - "').removesuffix('"').split('", 299 - "')
    return [part.replace('\\"', '"') for part in parts if part]


async def _send(ask: Kube, verb: str, body: bytes, media: str, level: str) -> Answer:
    path = WEBS if verb == "POST" else WEB
    query = f"fieldValidation={level}" if level else "x=y"
    if media == APPLY:
        query += "&fieldManager=me"
    return await ask(verb, f"{path}?{query}", body, content_type=media)


async def _rig(ask: Kube, verb: str) -> None:
    if verb != "POST":
        assert (await ask("POST", WEBS, deployment("web"))).status == 201


@pytest.mark.parametrize(
    ("verb", "media", "body", "found"),
    [
        ("POST", JSON, _BODY, _FOUND),
        ("PUT", JSON, _BODY.replace(b'"web"', b'"web"'), _FOUND),
        ("POST", YAML, _YAML, _YAML_DOUBLED + _YAML_UNKNOWN),
        ("PUT", YAML, _YAML, _YAML_DOUBLED + _YAML_UNKNOWN),
        ("PATCH", MERGE, _PATCH, _PATCH_FOUND),
        ("PATCH", STRATEGIC, _PATCH, _PATCH_FOUND),
        ("PATCH", JSON_PATCH, _OPERATIONS, _OPERATIONS_FOUND),
    ],
)
@pytest.mark.parametrize("level", ["", "Warn"])
async def test_warn_is_the_default_and_says_each_once(
    verb: str, media: str, body: bytes, found: list[str], level: str
) -> None:
    async with kube() as ask:
        await _rig(ask, verb)
        answer = await _send(ask, verb, body, media, level)
        assert answer.status < 300, answer.doc
        assert warnings(answer) == found
        assert "odd" not in answer.doc["spec"]


@pytest.mark.parametrize(
    ("verb", "media", "body", "status", "found"),
    [
        ("POST", JSON, _BODY, 400, _FOUND),
        ("PUT", JSON, _BODY, 400, _FOUND),
        ("POST", YAML, _YAML, 400, _YAML_UNKNOWN),
        ("PUT", YAML, _YAML, 400, _YAML_UNKNOWN),
        ("PATCH", MERGE, _PATCH, 422, _PATCH_FOUND),
        ("PATCH", STRATEGIC, _PATCH, 422, _PATCH_FOUND),
        ("PATCH", JSON_PATCH, _OPERATIONS, 422, _OPERATIONS_FOUND),
    ],
)
async def test_strict_refuses(
    verb: str, media: str, body: bytes, status: int, found: list[str]
) -> None:
    async with kube() as ask:
        await _rig(ask, verb)
        answer = await _send(ask, verb, body, media, "Strict")
        yaml = "yaml: unmarshal errors:\n  " + "\n  ".join(_YAML_DOUBLED) + ", "
        said = "strict decoding error: " + (yaml if media == YAML else "") + ", ".join(found)
        assert answer.status == status
        assert answer.doc["message"].endswith(said), answer.doc["message"]
        if status == 400:
            start = 'Deployment in version "v1" cannot be handled as a Deployment: '
            assert answer.doc["message"] == start + said
        else:
            assert answer.doc["message"].startswith(' "" is invalid: patch: Invalid value: "')
            assert answer.doc["details"]["causes"][0]["field"] == "patch"
        assert (await ask("GET", WEB)).status == (404 if verb == "POST" else 200)


@pytest.mark.parametrize(
    ("verb", "media", "body"),
    [
        ("POST", JSON, _BODY), ("PUT", JSON, _BODY), ("POST", YAML, _YAML), ("PUT", YAML, _YAML),
        ("PATCH", MERGE, _PATCH), ("PATCH", STRATEGIC, _PATCH), ("PATCH", JSON_PATCH, _OPERATIONS),
    ],
)  # fmt: skip
async def test_ignore_is_silent(verb: str, media: str, body: bytes) -> None:
    async with kube() as ask:
        await _rig(ask, verb)
        answer = await _send(ask, verb, body, media, "Ignore")
        assert (answer.status < 300, warnings(answer)) == (True, [])
        assert "odd" not in answer.doc["spec"]


async def test_what_is_applied_is_yaml() -> None:
    async with kube() as ask:
        body = _YAML.replace(b"  strange: 1\n", b"").replace(b"nested: 1\n        name", b"name")
        body = body.replace(b"  odd: 1\n  oddTwice: 1\n  oddTwice: 2\n", b"")
        lines = [
            'line 5: key "name" already set in map',
            'line 17: key "imagePullPolicy" already set in map',
        ]
        assert warnings(await _send(ask, "PATCH", body, APPLY, "")) == lines
        assert warnings(await _send(ask, "PATCH", body, APPLY, "Ignore")) == []
        strict = await _send(ask, "PATCH", body, APPLY, "Strict")
        assert strict.status == 400
        assert strict.doc["message"] == (
            "error strict decoding patch: yaml: unmarshal errors:\n  " + "\n  ".join(lines)
        )


async def test_unknown_fields_are_never_applied() -> None:
    async with kube() as ask:
        refused = await _send(ask, "PATCH", _YAML, APPLY, "Ignore")
        assert refused.status == 400
        assert ".metadata.strange: field not declared in schema" in refused.doc["message"]


@pytest.mark.parametrize(
    ("verb", "path"),
    [("POST", MAPS), ("PUT", f"{MAPS}/a"), ("PATCH", f"{MAPS}/a"), ("POST", f"{PODS}/p/binding")],
)
async def test_there_are_three_levels(verb: str, path: str) -> None:
    async with kube() as ask:
        answer = await ask(verb, f"{path}?fieldValidation=Loose", {}, content_type=MERGE)
        kind = {"POST": "Create", "PUT": "Update", "PATCH": "Patch"}[verb]
        assert (answer.status, answer.doc["reason"]) == (422, "Invalid")
        assert answer.doc["message"] == (
            f'{kind}Options.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: '
            '"Loose": supported values: "", "Ignore", "Strict", "Warn"'
        )


@pytest.mark.parametrize(
    ("below", "verb", "body"),
    [
        ("binding", "POST", {"target": {"kind": "Node", "name": "n", "odd": 1}}),
        ("eviction", "POST", {"metadata": {"name": "p"}, "odd": 1}),
        ("status", "PUT", {**pod("p"), "status": {"odd": 1}}),
        ("ephemeralcontainers", "PUT", {**pod("p"), "odd": 1}),
    ],
)
async def test_subresources_are_checked_too(below: str, verb: str, body: Any) -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("p"))
        body = {"metadata": {"name": "p"}, **body}
        strict = await ask(verb, f"{PODS}/p/{below}?fieldValidation=Strict", body)
        assert strict.status == 400 and "strict decoding error: unknown" in strict.doc["message"]
        warned = await ask(verb, f"{PODS}/p/{below}", body)
        assert warned.status < 300, warned.doc
        assert len(warnings(warned)) == 1 and warnings(warned)[0].startswith("unknown field")


async def test_a_scale_is_checked_too() -> None:
    async with kube() as ask:
        await ask("POST", WEBS, deployment("web"))
        scale = {"metadata": {"name": "web"}, "spec": {"replicas": 2, "odd": 1}}
        assert warnings(await ask("PUT", f"{WEB}/scale", scale)) == ['unknown field "spec.odd"']
        patch = {"spec": {"odd": 1}}
        strict = f"{WEB}/scale?fieldValidation=Strict"
        assert (await ask("PUT", strict, scale)).status == 400
        assert (await ask("PATCH", strict, patch, content_type=MERGE)).status == 422
        assert warnings(await ask("PATCH", f"{WEB}/scale", patch, content_type=MERGE)) == [
            'unknown field "spec.odd"'
        ]


@pytest.mark.parametrize("replicas", [2**31, -(2**31) - 1, "2", 1.5])
async def test_replicas_are_a_32_bit_number(replicas: Any) -> None:
    async with kube() as ask:
        await ask("POST", WEBS, deployment("web"))
        scale = {"metadata": {"name": "web"}, "spec": {"replicas": replicas}}
        assert (await ask("PUT", f"{WEB}/scale", scale)).status == 400
        patched = await ask("PATCH", f"{WEB}/scale", scale, content_type=MERGE)
        assert patched.status == 422
        assert (await ask("GET", f"{WEB}/scale")).doc["spec"] == {"replicas": 1}


async def test_a_patch_that_makes_no_object_of_the_kind_is_invalid() -> None:
    async with kube() as ask:
        await ask("POST", WEBS, deployment("web"))
        for media in (MERGE, STRATEGIC):
            answer = await ask("PATCH", WEB, {"spec": {"replicas": "two"}}, content_type=media)
            assert (answer.status, answer.doc["reason"]) == (422, "Invalid")
            assert "cannot unmarshal string into Go" in answer.doc["message"]


async def test_a_json_patch_has_a_most() -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a"))
        many = [{"op": "test", "path": "/kind", "value": "ConfigMap"}] * 10_001
        answer = await ask("PATCH", f"{MAPS}/a", many, content_type=JSON_PATCH)
        assert (answer.status, answer.doc["reason"]) == (413, "RequestEntityTooLarge")


async def test_warnings_are_cut_short_where_they_are_many() -> None:
    async with kube() as ask:
        odd = {f"{'o' * 300}{number}": 1 for number in range(40)}
        answer = await ask("POST", MAPS, config_map("a") | odd)
        said = warnings(answer)
        assert len(said) == 16
        assert {len(one) for one in said} == {256}
