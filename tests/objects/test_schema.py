"""The packaged schemas: complete, plain, and as OpenAPI clients expect them."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects import schema
from longshore.core.objects.kinds import KINDS, Kind


def refs(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(refs(value) for value in node.values()))
    return set().union(*(refs(item) for item in node)) if isinstance(node, list) else set()


def types(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {str(node["type"])} if isinstance(node.get("type"), str | list) else set()
        return own.union(*(types(value) for value in node.values()))
    return set().union(*(types(item) for item in node)) if isinstance(node, list) else set()


@pytest.mark.parametrize("kind", KINDS.stored, ids=lambda k: k.resource)
def test_every_served_kind_has_its_definition_and_list(kind: Kind) -> None:
    gvk = {"group": kind.group, "version": kind.version, "kind": kind.name}
    definition = schema.definition(kind.schema)
    assert definition["x-kubernetes-group-version-kind"] == [gvk]
    assert kind.schema + "List" in schema.definitions()


def test_references_are_all_there_and_types_are_plain() -> None:
    found = schema.definitions()
    assert {r.removeprefix("#/definitions/") for r in refs(found)} <= set(found)
    assert types(found) <= {"object", "array", "string", "integer", "boolean", "number"}


def test_patch_keys_survive_beside_a_reference() -> None:
    strategy = schema.definition("io.k8s.api.apps.v1.DeploymentSpec")["properties"]["strategy"]
    assert strategy["x-kubernetes-patch-strategy"] == "retainKeys"
    assert schema.referred(strategy) == "io.k8s.api.apps.v1.DeploymentStrategy"


def test_lost_formats_are_restored() -> None:
    v2, v3 = schema.openapi_v2_definitions(), schema.openapi_v3_schemas()
    assert v2[schema.INT_OR_STRING] == {"type": "string", "format": "int-or-string"}
    assert v2[schema.QUANTITY]["type"] == "string"
    assert v3[schema.INT_OR_STRING]["oneOf"] == [{"type": "string"}, {"type": "integer"}]
    assert v3[schema.INT_OR_STRING]["format"] == "int-or-string"


def test_published_documents_are_described() -> None:
    pod = schema.openapi_v2_definitions()["io.k8s.api.core.v1.Pod"]
    assert pod["description"].startswith("Pod is a collection of containers")
    assert pod["properties"]["spec"]["description"].startswith("Specification of the desired")
    assert "description" not in schema.definition("io.k8s.api.core.v1.Pod")


def test_v3_wraps_references_that_have_siblings() -> None:
    spec = schema.openapi_v3_schemas()["io.k8s.api.core.v1.Pod"]["properties"]["spec"]
    assert spec["allOf"] == [{"$ref": "#/components/schemas/io.k8s.api.core.v1.PodSpec"}]
    assert "$ref" not in spec


def test_kinds_of_every_group_are_cut_down_to_the_served_groups() -> None:
    options = schema.definition("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions")
    groups = {gvk["group"] for gvk in options["x-kubernetes-group-version-kind"]}
    assert groups == {kind.group for kind in KINDS}
