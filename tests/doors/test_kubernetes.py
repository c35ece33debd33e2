"""The Kubernetes door's contract, each rule where clients would trip over its breach."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from longshore.base.users import User
from longshore.core.objects.errors import NotFound
from longshore.core.streams.protocols import Answering, Ask, LogOptions
from longshore.doors.kit.http import Reply, StreamReply
from longshore.doors.kubernetes.door import DoorConfig

from .rig import ADMIN, TABLE, Kube, config_map, deployment, kube, pod

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


# --- who ---


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/version"])
async def test_health_and_version_are_for_everyone(path: str) -> None:
    async with kube(roles=True) as ask:
        ask.user = None
        assert (await ask("GET", path)).status == 200


@pytest.mark.parametrize("path", ["/", "/api", "/apis", MAPS, "/openapi/v2", "/nothing"])
async def test_all_else_wants_a_user(path: str) -> None:
    async with kube() as ask:
        ask.user = None
        answer = await ask("GET", path)
        assert (answer.status, answer.doc["reason"]) == (401, "Unauthorized")


async def test_a_user_without_rights_is_told_so() -> None:
    async with kube() as ask:
        ask.user = User("jane", ("system:authenticated",))
        answer = await ask("GET", PODS)
        assert answer.status == 403
        assert answer.doc["message"] == (
            'pods is forbidden: User "jane" cannot list resource "pods" in API group "" '
            'in the namespace "default"'
        )


async def test_masters_may_impersonate_and_nobody_else() -> None:
    async with kube() as ask:
        assert (await ask("GET", PODS, impersonate_user="jane")).status == 403
        answer = await ask(
            "GET", PODS, impersonate_user="jane", impersonate_group=["system:masters", "dev"]
        )
        assert answer.status == 200
        assert (await ask("GET", PODS, impersonate_user="j", impersonate_uid="1")).status == 403
        assert (await ask("GET", PODS, impersonate_group="dev")).status == 400
        ask.user = User("jane", ("system:authenticated",))
        assert (await ask("GET", PODS, impersonate_user="admin")).status == 403


async def test_every_answer_has_an_audit_id() -> None:
    async with kube() as ask:
        seen = [(await ask("GET", MAPS)).headers["Audit-ID"] for _ in range(3)]
        assert len(set(seen)) == 3
        assert (await ask("GET", "/healthz", audit_id="mine")).headers["Audit-ID"] == "mine"
        assert (await ask("GET", "/", audit_id="a\nb")).headers["Audit-ID"] != "a\nb"


# --- objects ---


async def test_create_get_update_delete() -> None:
    async with kube() as ask:
        made = await ask("POST", MAPS, config_map("one", a="1"))
        assert made.status == 201
        metadata = made.doc["metadata"]
        assert metadata["uid"]
        assert metadata["creationTimestamp"] == "2026-01-01T00:00:00Z"
        got = await ask("GET", f"{MAPS}/one")
        assert (got.status, got.body) == (200, made.body)
        changed = made.doc | {"data": {"a": "2"}}
        assert (await ask("PUT", f"{MAPS}/one", changed)).doc["data"] == {"a": "2"}
        stale = await ask("PUT", f"{MAPS}/one", changed)
        assert (stale.status, stale.doc["reason"]) == (409, "Conflict")
        gone = await ask("DELETE", f"{MAPS}/one")
        assert (gone.status, gone.doc["status"]) == (200, "Success")
        assert gone.doc["details"] == {
            "name": "one",
            "kind": "configmaps",
            "uid": metadata["uid"],
        }


async def test_errors_are_status_objects_that_clients_branch_on() -> None:
    async with kube() as ask:
        missing = await ask("GET", f"{DEPLOYMENTS}/none")
        assert missing.doc == {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": 'deployments.apps "none" not found', "reason": "NotFound",
            "details": {"name": "none", "group": "apps", "kind": "deployments"}, "code": 404,
        }  # fmt: skip
        await ask("POST", MAPS, config_map("one"))
        twice = await ask("POST", MAPS, config_map("one"))
        assert (twice.status, twice.doc["reason"]) == (409, "AlreadyExists")
        invalid = await ask("POST", MAPS, config_map("Not A Name"))
        assert (invalid.status, invalid.doc["reason"]) == (422, "Invalid")
        assert invalid.doc["details"]["kind"] == "ConfigMap"
        assert invalid.doc["details"]["causes"][0]["field"] == "metadata.name"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"apiVersion": "v2"}, "the API version in the data (v2) does not match"),
        ({"kind": "Secret"}, "the kind in the data (Secret) does not match"),
        ({"metadata": {"name": "x", "namespace": "other"}}, "the namespace of the provided"),
        ({"metadata": {"name": "x", "resourceVersion": "7"}}, "resourceVersion should not be set"),
        ({"metadata": []}, "metadata must be an object"),
    ],
)
async def test_bodies_must_be_about_what_the_url_names(change: Any, message: str) -> None:
    async with kube() as ask:
        answer = await ask("POST", MAPS, config_map("x") | change)
        assert answer.status == 400
        assert message in answer.doc["message"]


async def test_api_version_and_kind_may_be_left_out() -> None:
    async with kube() as ask:
        made = await ask("POST", MAPS, {"metadata": {"name": "bare"}})
        assert made.doc["kind"] == "ConfigMap"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"null"])
async def test_broken_bodies_are_bad_requests(body: bytes) -> None:
    async with kube() as ask:
        assert (await ask("POST", MAPS, body)).status == 400


async def test_yaml_is_read_and_written_with_jsons_types() -> None:
    text = b"metadata: {name: y}\ndata: {when: 2026-01-01, 'yes': 'no'}\n"
    async with kube() as ask:
        made = await ask("POST", MAPS, text, content_type="application/yaml")
        assert made.status == 201, made.body
        assert made.doc["data"] == {"when": "2026-01-01", "yes": "no"}
        got = await ask("GET", f"{MAPS}/y", accept="application/yaml")
        assert got.content_type == "application/yaml"
        assert b"kind: ConfigMap\n" in got.body
        listed = await ask("GET", MAPS, accept="application/yaml")
        assert b"kind: ConfigMapList" in listed.body
        bomb = b"metadata: &a {name: y}\nx: [*a, *a]\n"
        assert (await ask("POST", MAPS, bomb, content_type="application/yaml")).status == 400


async def test_fields_that_are_unknown_or_doubled_are_warned_of_or_refused() -> None:
    body = b'{"metadata":{"name":"NAME"},"dta":{},"data":{"a":"1"},"data":{"a":"2"}}'
    async with kube() as ask:
        warned = await ask("POST", MAPS, body.replace(b"NAME", b"one"))
        assert warned.status == 201
        assert warned.headers["Warning"] == (
            '299 - "unknown field \\"dta\\"", 299 - "duplicate field \\"data\\""'
        )
        strict = await ask("POST", f"{MAPS}?fieldValidation=Strict", body)
        assert strict.status == 400
        assert strict.doc["message"] == (
            'ConfigMap in version "v1" cannot be handled as a ConfigMap: '
            'strict decoding error: unknown field "dta", duplicate field "data"'
        )
        ignored = await ask("POST", f"{MAPS}?fieldValidation=Ignore", body.replace(b"NAME", b"two"))
        assert "Warning" not in ignored.headers
        assert (await ask("POST", f"{MAPS}?fieldValidation=Maybe", body)).status == 422


async def test_a_dry_run_stores_nothing() -> None:
    async with kube() as ask:
        made = await ask("POST", f"{MAPS}?dryRun=All", config_map("one"))
        assert (made.status, made.doc["metadata"]["name"]) == (201, "one")
        assert (await ask("GET", f"{MAPS}/one")).status == 404
        assert (await ask("POST", f"{MAPS}?dryRun=Some", config_map("one"))).status == 422
        await ask("POST", MAPS, config_map("one"))
        assert (await ask("DELETE", f"{MAPS}/one", {"dryRun": ["All"]})).status == 200
        assert (await ask("GET", f"{MAPS}/one")).status == 200


# --- patches ---


@pytest.mark.parametrize(
    ("media", "patch"),
    [
        ("application/merge-patch+json", b'{"data":{"a":null,"b":"2"}}'),
        ("application/strategic-merge-patch+json", b'{"data":{"a":null,"b":"2"}}'),
        (
            "application/json-patch+json",
            b'[{"op":"remove","path":"/data/a"},{"op":"add","path":"/data/b","value":"2"}]',
        ),
    ],
)
async def test_patches_of_three_types(media: str, patch: bytes) -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("one", a="1"))
        patched = await ask("PATCH", f"{MAPS}/one", patch, content_type=media)
        assert (patched.status, patched.doc["data"]) == (200, {"b": "2"})


# --- lists ---


async def test_pages_share_one_revision() -> None:
    async with kube() as ask:
        for name in "abcde":
            await ask("POST", MAPS, config_map(name))
        first = (await ask("GET", f"{MAPS}?limit=2")).doc
        assert first["metadata"]["remainingItemCount"] == 3
        await ask("POST", MAPS, config_map("aa"))
        await ask("DELETE", f"{MAPS}/d")
        token = first["metadata"]["continue"]
        second = (await ask("GET", f"{MAPS}?limit=9&continue={token}")).doc
        assert second["metadata"] == {"resourceVersion": first["metadata"]["resourceVersion"]}
        names = [i["metadata"]["name"] for i in first["items"] + second["items"]]
        assert names == list("abcde")
        wrong = await ask("GET", f"{MAPS}?continue={token}&resourceVersion=3")
        assert wrong.status == 400


async def test_selectors_choose_and_unknown_fields_are_refused() -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("a", labels={"app": "x"}))
        await ask("POST", PODS, pod("b", labels={"app": "y"}))
        chosen = (await ask("GET", f"{PODS}?labelSelector=app in (x)")).doc["items"]
        assert [item["metadata"]["name"] for item in chosen] == ["a"]
        chosen = (await ask("GET", f"{PODS}?fieldSelector=metadata.name=b")).doc["items"]
        assert [item["metadata"]["name"] for item in chosen] == ["b"]
        wrong = await ask("GET", f"{PODS}?fieldSelector=spec.colour=red")
        assert wrong.status == 400
        assert "field label not supported" in wrong.doc["message"]


async def test_collections_are_deleted_by_selector() -> None:
    async with kube() as ask:
        for name, app in (("a", "x"), ("b", "y")):
            await ask(
                "POST",
                MAPS,
                config_map(name) | {"metadata": {"name": name, "labels": {"app": app}}},
            )
        gone = await ask("DELETE", f"{MAPS}?labelSelector=app=x")
        assert [item["metadata"]["name"] for item in gone.doc["items"]] == ["a"]
        left = (await ask("GET", MAPS)).doc["items"]
        assert [item["metadata"]["name"] for item in left] == ["b"]


# --- other forms ---


async def test_tables_have_columns_rows_and_metadata() -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("a"))
        table = (await ask("GET", PODS, accept=TABLE)).doc
        assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
        names = [column["name"] for column in table["columnDefinitions"]]
        assert names[:5] == ["Name", "Ready", "Status", "Restarts", "Age"]
        (row,) = table["rows"]
        assert row["cells"][:4] == ["a", "0/1", "Pending", "0"]
        assert row["object"]["kind"] == "PartialObjectMetadata"
        one = (await ask("GET", f"{PODS}/a?includeObject=Object", accept=TABLE)).doc
        assert one["rows"][0]["object"]["spec"]
        none = (await ask("GET", f"{PODS}/a?includeObject=None", accept=TABLE)).doc
        assert "object" not in none["rows"][0]


async def test_partial_metadata_is_all_that_some_want() -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("a", labels={"x": "y"}))
        one = (await ask("GET", f"{PODS}/a", accept=METADATA)).doc
        assert set(one) == {"kind", "apiVersion", "metadata"}
        assert one["metadata"]["labels"] == {"x": "y"}
        listed = (await ask("GET", PODS, accept=METADATA.replace("Metadata;", "MetadataList;"))).doc
        assert listed["kind"] == "PartialObjectMetadataList"
        assert set(listed["items"][0]) == {"kind", "apiVersion", "metadata"}


async def test_a_form_that_is_not_known_falls_back_or_is_refused() -> None:
    async with kube() as ask:
        strange = "application/json;as=Picture;g=meta.k8s.io;v=v1"
        assert (await ask("GET", PODS, accept=strange)).status == 406
        assert (await ask("GET", PODS, accept=strange + ",application/json")).doc[
            "kind"
        ] == "PodList"


# --- subresources ---


async def test_scale_and_status_go_by_their_own_paths() -> None:
    async with kube() as ask:
        await ask("POST", DEPLOYMENTS, deployment("web", 2))
        scale = (await ask("GET", f"{DEPLOYMENTS}/web/scale")).doc
        assert (scale["kind"], scale["spec"]["replicas"]) == ("Scale", 2)
        assert scale["status"]["selector"] == "app=web"
        scale["spec"]["replicas"] = 5
        changed = await ask("PUT", f"{DEPLOYMENTS}/web/scale", scale)
        assert (changed.doc["kind"], changed.doc["spec"]["replicas"]) == ("Scale", 5)
        stale = await ask("PUT", f"{DEPLOYMENTS}/web/scale", scale)
        assert stale.status == 409
        patch = b'{"status":{"replicas":3,"readyReplicas":3},"spec":{"replicas":9}}'
        merged = "application/merge-patch+json"
        answer = await ask("PATCH", f"{DEPLOYMENTS}/web/status", patch, content_type=merged)
        assert answer.doc["status"]["readyReplicas"] == 3
        assert answer.doc["spec"]["replicas"] == 5


async def test_a_binding_gives_a_pod_its_node_once() -> None:
    body = {"target": {"kind": "Node", "name": "n1"}}
    async with kube() as ask:
        await ask("POST", PODS, pod("a"))
        bound = await ask("POST", f"{PODS}/a/binding", body)
        assert (bound.status, bound.doc["status"]) == (201, "Success")
        assert (await ask("GET", f"{PODS}/a")).doc["spec"]["nodeName"] == "n1"
        again = await ask("POST", f"{PODS}/a/binding", body)
        assert (again.status, again.doc["reason"]) == (409, "Conflict")
        assert (await ask("POST", f"{PODS}/a/binding", {"target": {"kind": "Pod"}})).status == 422


async def test_methods_of_subresources_that_are_not_served() -> None:
    async with kube() as ask:
        answer = await ask("POST", f"{PODS}/a/resize")
        assert (answer.status, answer.doc["reason"]) == (405, "MethodNotAllowed")
        assert answer.doc["message"] == "the server does not allow POST on pods/resize"


async def test_methods_and_paths_that_are_not_served() -> None:
    async with kube() as ask:
        assert (await ask("PUT", MAPS, {})).status == 405
        assert (await ask("POST", f"{MAPS}/one", {})).status == 405
        assert (await ask("POST", "/api/v1/configmaps", config_map("x"))).status == 405
        assert (await ask("GET", f"{MAPS}/one/scale")).status == 404
        for path in ("/apis/none/v1/things", "/apix"):
            answer = await ask("GET", path)
            assert (answer.status, answer.body) == (404, b"404 page not found\n")
        for path in ("/api/v1/unicorns", f"{MAPS}/a/b/c"):
            assert (await ask("GET", path)).doc["reason"] == "NotFound"
        for path in ("/api", "/apis/apps/v1", "/openapi/v3", "/healthz"):
            assert (await ask("POST", path, {})).status == 405
        assert (await ask("POST", "/apis/authorization.k8s.io/v1/reviews", {})).status == 404


async def test_deletion_answers_pods_themselves_and_marks_what_is_running() -> None:
    async with kube() as ask:
        await ask("POST", PODS, pod("a"))
        await ask("POST", f"{PODS}/a/binding", {"target": {"name": "n1"}})
        marked = await ask("DELETE", f"{PODS}/a")
        assert marked.doc["kind"] == "Pod"
        assert marked.doc["metadata"]["deletionGracePeriodSeconds"] == 30
        wrong = {"preconditions": {"uid": "other"}}
        assert (await ask("DELETE", f"{PODS}/a", wrong)).status == 409
        gone = await ask("DELETE", f"{PODS}/a?gracePeriodSeconds=0")
        assert (gone.status, gone.doc["kind"]) == (200, "Pod")
        assert (await ask("GET", f"{PODS}/a")).status == 404
        assert (await ask("DELETE", f"{PODS}/a", {"propagationPolicy": "Odd"})).status == 422


# --- logs ---


class Logs:
    """One node with one log; remembers how it was asked."""

    def __init__(self) -> None:
        self.asked: LogOptions | None = None

    async def logs(
        self, node: str, namespace: str, pod: str, container: str, options: LogOptions
    ) -> AsyncIterator[bytes]:
        self.asked = options
        if options.previous:
            raise NotFound(f'previous terminated container "{container}" not found')
        for piece in (f"{node} {namespace}/{pod}/{container}\n", "end\n"):
            yield piece.encode()

    async def ask_node(self, node: str, ask: Ask) -> Answering:
        raise NotFound(f"{node} has nothing but a log")

    async def ask_address(self, scheme: str, host: str, port: int, ask: Ask) -> Answering:
        raise ConnectionRefusedError(host)


async def _bound(ask: Kube, body: Any) -> str:
    name = body["metadata"]["name"]
    await ask("POST", PODS, body)
    await ask("POST", f"{PODS}/{name}/binding", {"target": {"name": "n1"}})
    return f"{PODS}/{name}/log"


async def test_logs_stream_through_from_the_node() -> None:
    streams = Logs()
    async with kube(DoorConfig(streams=streams)) as ask:
        path = await _bound(ask, pod("a"))
        reply = await ask.raw("GET", f"{path}?follow=true&tailLines=5&sinceSeconds=60")
        assert isinstance(reply, StreamReply)
        assert reply.content_type == "text/plain"
        assert b"".join([p async for p in reply.pieces]) == b"n1 default/a/main\nend\n"
        since = ask.clock.now() - 60
        assert streams.asked == LogOptions(follow=True, tail_lines=5, since=since)
        failed = await ask("GET", f"{path}?previous=true")
        assert (failed.status, failed.doc["reason"]) == (404, "NotFound")
        for asked, said in (
            ("tailLines=-1", "tailLines: Invalid value: -1: must be greater than or equal to 0"),
            ("limitBytes=0", "limitBytes: Invalid value: 0: must be greater than 0"),
            ("stream=Stdout", "stream: Forbidden: may not be specified"),
        ):
            refused = await ask("GET", f"{path}?{asked}")
            assert refused.status == 422 and refused.doc["message"].endswith(f" is invalid: {said}")
        assert (await ask("GET", f"{path}?sinceTime=yesterday")).status == 400


async def test_logs_need_one_container_and_a_node() -> None:
    body = pod("two")
    body["spec"]["containers"].append({"name": "side", "image": "x"})
    async with kube(DoorConfig(streams=Logs())) as ask:
        path = await _bound(ask, body)
        assert (await ask("GET", path)).doc["message"] == (
            "a container name must be specified for pod two, choose one of: [main side]"
        )
        assert (await ask("GET", f"{path}?container=none")).status == 400
        await ask("POST", PODS, pod("loose"))
        loose = await ask("GET", f"{PODS}/loose/log")
        assert loose.doc["message"] == "pod loose does not have a host assigned"
    async with kube() as ask:
        assert (await ask("GET", await _bound(ask, pod("a")))).status == 503


# --- documents ---


async def test_discovery_names_every_kind_twice_over() -> None:
    async with kube() as ask:
        assert (await ask("GET", "/api")).doc["versions"] == ["v1"]
        groups = {g["name"] for g in (await ask("GET", "/apis")).doc["groups"]}
        assert "apps" in groups
        assert (await ask("GET", "/apis/apps")).doc["preferredVersion"]["version"] == "v1"
        resources = {r["name"]: r for r in (await ask("GET", "/apis/apps/v1")).doc["resources"]}
        assert resources["deployments"]["shortNames"] == ["deploy"]
        assert resources["deployments/scale"]["kind"] == "Scale"
        wanted = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        reply = await ask.raw("GET", "/apis", accept=f"{wanted},application/json")
        assert isinstance(reply, Reply)
        assert reply.content_type == wanted
        doc = orjson.loads(reply.body)
        assert {item["metadata"]["name"] for item in doc["items"]} == groups
        again = await ask("GET", "/apis", accept=wanted, if_none_match=reply.headers["ETag"])
        assert (again.status, again.body) == (304, b"")


async def test_openapi_leads_to_every_kind_and_says_how_fields_are_validated() -> None:
    async with kube() as ask:
        index = (await ask("GET", "/openapi/v3")).doc["paths"]
        url = index["apis/apps/v1"]["serverRelativeURL"]
        doc = (await ask("GET", url)).doc
        patch = doc["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
        assert patch["x-kubernetes-group-version-kind"]["kind"] == "Deployment"
        assert "fieldValidation" in [p["name"] for p in patch["parameters"]]
        schemas = doc["components"]["schemas"]
        assert "io.k8s.api.core.v1.PodTemplateSpec" in schemas
        assert "io.k8s.api.core.v1.Service" not in schemas
        swagger = (await ask("GET", "/openapi/v2")).doc
        assert "io.k8s.api.core.v1.Service" in swagger["definitions"]
        proto = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
        assert (await ask("GET", "/openapi/v2", accept=proto)).body.startswith(b"\x0a\x032.0")
        assert (await ask("GET", "/openapi/v2", accept="text/html")).status == 406


async def test_readiness_names_what_fails() -> None:
    async with kube(DoorConfig(checks={"store": lambda: False})) as ask:
        answer = await ask("GET", "/readyz")
        assert answer.status == 500
        assert answer.body == (
            b"[+]ping ok\n[-]store failed: reason withheld\nreadyz check failed\n"
        )
        assert (await ask("GET", "/readyz/ping")).body == b"ok"
        assert (await ask("GET", "/readyz?exclude=store")).status == 200
        assert (await ask("GET", "/readyz/none")).status == 404


async def test_version_is_plain_numbers() -> None:
    async with kube() as ask:
        doc = (await ask("GET", "/version")).doc
        assert int(doc["major"]) == 1
        assert int(doc["minor"]) >= 33


async def test_a_fault_of_ours_is_a_status_without_details(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with kube() as ask:
        monkeypatch.setattr(ask.registry, "list", lambda *_: 1 / 0)
        answer = await ask("GET", MAPS)
        assert (answer.status, answer.doc["reason"]) == (500, "InternalError")
        assert "division" not in answer.doc["message"]
    assert "ZeroDivisionError" in caplog.text


assert ADMIN.is_master
