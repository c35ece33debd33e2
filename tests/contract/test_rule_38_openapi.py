"""Rule 38: the OpenAPI documents, with every operation as upstream's api/openapi-spec has it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from longshore.core.objects.kinds import KINDS, MEASURED, PEERS, SERVED, Kind, Kinds
from longshore.doors.kubernetes.openapi import OpenApi
from longshore.doors.kubernetes.operations import Operation, ways
from longshore.doors.kubernetes.routes import ROUTES
from tests.doors.rig import Kube, kube

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")


async def _document(ask: Kube, name: str) -> Any:
    index = (await ask("GET", "/openapi/v3")).doc["paths"]
    return (await ask("GET", index[name]["serverRelativeURL"])).doc


def _operations(document: Any) -> dict[tuple[str, str], Any]:
    return {
        (method, path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in _METHODS
    }


# Facts of api/openapi-spec/v3 of v1.37: name, tag, action, kind, and what stands in the query.
_FACTS = {
    ("get", "/api/v1/namespaces/{namespace}/pods/{name}/exec"): (
        "connectCoreV1GetNamespacedPodExec", "connect", "PodExecOptions",
        {"command", "container", "stderr", "stdin", "stdout", "tty"},
    ),
    ("post", "/api/v1/namespaces/{namespace}/pods/{name}/eviction"): (
        "createCoreV1NamespacedPodEviction", "post", "Eviction",
        {"dryRun", "fieldManager", "fieldValidation", "pretty"},
    ),
    ("options", "/api/v1/nodes/{name}/proxy/{path}"): (
        "connectCoreV1OptionsNodeProxyWithPath", "connect", "NodeProxyOptions", {"path"},
    ),
    ("put", "/api/v1/namespaces/{name}/finalize"): (
        "replaceCoreV1NamespaceFinalize", "put", "Namespace",
        {"dryRun", "fieldManager", "fieldValidation", "pretty"},
    ),
    ("post", "/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"): (
        "createCoreV1NamespacedServiceAccountToken", "post", "TokenRequest",
        {"dryRun", "fieldManager", "fieldValidation", "pretty"},
    ),
    ("delete", "/api/v1/namespaces/{namespace}/configmaps"): (
        "deleteCoreV1CollectionNamespacedConfigMap", "deletecollection", "ConfigMap",
        {
            "continue", "dryRun", "fieldSelector", "gracePeriodSeconds", "labelSelector", "limit",
            "orphanDependents", "pretty", "propagationPolicy", "resourceVersion",
            "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds",
        },
    ),
    ("get", "/api/v1/pods"): (
        "listCoreV1PodForAllNamespaces", "list", "Pod",
        {
            "allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "pretty",
            "resourceVersion", "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch",
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("where", list(_FACTS), ids=" ".join)
async def test_operations_are_called_and_asked_as_upstreams(where: tuple[str, str]) -> None:
    async with kube() as ask:
        document = await _document(ask, "api/v1")
    operation = _operations(document)[where]
    common = document["paths"][where[1]].get("parameters", [])
    given = [one for one in (*common, *operation.get("parameters", [])) if one["in"] == "query"]
    about = operation["x-kubernetes-group-version-kind"]["kind"]
    shown = operation["operationId"], operation["x-kubernetes-action"], about
    assert (*shown, {one["name"] for one in given}) == _FACTS[where]


async def test_subresources_take_and_give_their_own_schemas() -> None:
    async with kube() as ask:
        core, apps = await _document(ask, "api/v1"), await _document(ask, "apis/apps/v1")
    pod = "/api/v1/namespaces/{namespace}/pods/{name}"
    one = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
    for document, path, method, schema in (
        (core, f"{pod}/eviction", "post", "io.k8s.api.policy.v1.Eviction"),
        (core, f"{pod}/binding", "post", "io.k8s.api.core.v1.Binding"),
        (core, f"{pod}/ephemeralcontainers", "put", "io.k8s.api.core.v1.Pod"),
        (apps, f"{one}/scale", "put", "io.k8s.api.autoscaling.v1.Scale"),
    ):
        operation = document["paths"][path][method]
        ref = {"$ref": f"#/components/schemas/{schema}"}
        assert operation["requestBody"]["content"]["*/*"]["schema"] == ref
        for status in set(operation["responses"]) - {"401"}:
            content = operation["responses"][status]["content"]
            assert content["application/json"]["schema"] == ref
        assert schema in document["components"]["schemas"]


async def test_a_patch_says_which_patches_there_are() -> None:
    async with kube() as ask:
        core = await _document(ask, "api/v1")
    patch = core["paths"]["/api/v1/namespaces/{namespace}/configmaps/{name}"]["patch"]
    assert set(patch["requestBody"]["content"]) == {
        "application/json-patch+json", "application/merge-patch+json",
        "application/strategic-merge-patch+json", "application/apply-patch+yaml",
    }  # fmt: skip


@pytest.mark.parametrize("kind", list(KINDS), ids=lambda kind: f"{kind.api_version}.{kind.name}")
def test_what_is_served_is_published_and_nothing_else(kind: Kind) -> None:
    """By method and subresource."""
    published = {
        (operation.method.upper(), _below(way.path))
        for way in ways(kind)
        if "{name}/" in way.path and "{path}" not in way.path
        for operation in way.operations
    }
    served = {
        (method, below)
        for method, shape, below in ROUTES
        if shape == "object" and below in kind.subresources
    }
    assert {one for one in published if one[0] != "HEAD"} == served


def _below(path: str) -> str:
    return path.rpartition("/")[2]


def test_operations_have_names_of_their_own() -> None:
    every: list[Operation] = [o for kind in KINDS for way in ways(kind) for o in way.operations]
    assert len({operation.name for operation in every}) == len(every)


async def test_groups_and_the_version_have_documents_too() -> None:
    async with kube() as ask:
        for name, path in (
            ("api", "/api/"), ("apis", "/apis/"), ("apis/apps", "/apis/apps/"),
            ("version", "/version/"), ("openid/v1/jwks", "/openid/v1/jwks/"),
        ):  # fmt: skip
            assert list((await _document(ask, name))["paths"]) == [path]
        assert "/apis/apps/v1/" in (await _document(ask, "apis/apps/v1"))["paths"]


async def test_every_reference_leads_somewhere() -> None:
    async with kube() as ask:
        for name in (await ask("GET", "/openapi/v3")).doc["paths"]:
            document = await _document(ask, name)
            found = set(_references(document))
            assert found <= set(document["components"]["schemas"]), name
        swagger = (await ask("GET", "/openapi/v2")).doc
        assert set(_references(swagger)) <= set(swagger["definitions"])


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"].rpartition("/")[2]] if isinstance(node.get("$ref"), str) else []
        return own + [ref for value in node.values() for ref in _references(value)]
    if isinstance(node, list):
        return [ref for value in node for ref in _references(value)]
    return []


async def test_both_versions_say_the_same() -> None:
    async with kube() as ask:
        swagger = _operations((await ask("GET", "/openapi/v2")).doc)
        every: dict[tuple[str, str], Any] = {}
        for name in (await ask("GET", "/openapi/v3")).doc["paths"]:
            every |= _operations(await _document(ask, name))
    assert every.keys() == swagger.keys()
    for where, operation in every.items():
        assert operation["operationId"] == swagger[where]["operationId"]
        assert operation["responses"].keys() == swagger[where]["responses"].keys()


def test_what_is_measured_is_explained() -> None:

    documents = OpenApi(Kinds((*KINDS, *MEASURED)), "v1.37.0")
    document = json.loads(documents.v3("apis/metrics.k8s.io/v1beta1") or b"")
    schemas = document["components"]["schemas"]
    for kind in MEASURED:
        gvk = {"group": kind.group, "version": kind.version, "kind": kind.name}
        assert schemas[kind.schema]["x-kubernetes-group-version-kind"] == [gvk]
    assert "/apis/metrics.k8s.io/v1beta1/nodes/{name}" in document["paths"]
    assert set(_references(document)) <= set(schemas)


def test_what_policies_go_by_is_explained() -> None:
    document = json.loads(OpenApi(SERVED, "v1.37.0").v3("apis/network.longshore.io/v1") or b"")
    schemas = document["components"]["schemas"]
    for kind in PEERS:
        gvk = {"group": kind.group, "version": kind.version, "kind": kind.name}
        assert schemas[kind.schema]["x-kubernetes-group-version-kind"] == [gvk]
        operations = [way for path, way in document["paths"].items() if path.endswith(kind.plural)]
        assert operations
        assert all("post" not in way for way in operations)
    assert set(_references(document)) <= set(schemas)
