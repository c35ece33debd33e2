"""Documents that tests start from, and strategies that make documents up from the schemas."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.schema import (
    INT_OR_STRING,
    MICRO_TIME,
    QUANTITY,
    Schema,
    definition,
    referred,
)

WORDS = st.sampled_from(
    ["a", "web", "app.example.com/x", "", "-", "A_b", "10.0.0.1", "None", "50%"]
)
# What a JSON decoder gives: whole numbers of 64 bits, no infinities.
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | WORDS
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3)
)


def pod(**spec: Any) -> Doc:
    container = {"name": "web", "image": "nginx:1.27"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"containers": [container], **spec},
    }


def deployment(**spec: Any) -> Doc:
    labels = {"app": "nginx"}
    template = {"metadata": {"labels": labels}, "spec": pod()["spec"]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


def service(**spec: Any) -> Doc:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "nginx"}, **spec},
    }


@st.composite
def documents(draw: st.DrawFn, kind: Kind) -> Doc:
    """Documents of the right shape and with senseless values: any fields, or none."""
    doc: Doc = draw(_of_definition(kind.schema, depth=7))
    doc.pop("apiVersion", None)
    doc.pop("kind", None)
    metadata = doc.setdefault("metadata", {})
    metadata["name"] = draw(WORDS)
    return doc


def _of_definition(name: str, depth: int) -> st.SearchStrategy[Any]:
    if name == QUANTITY:
        return st.sampled_from(["1", "100m", "-1", "128Mi", "500m"])
    if name == MICRO_TIME:
        return st.just("2026-11-21T08:00:00.123456Z")
    if name == INT_OR_STRING:
        return st.integers(-5, 70_000) | WORDS
    schema = definition(name)
    if "properties" not in schema:
        return _of_schema(schema, depth)
    return st.deferred(lambda: _of_fields(schema["properties"], depth))


def _of_fields(fields: dict[str, Schema], depth: int) -> st.SearchStrategy[Doc]:
    if depth == 0:
        return st.just({})
    few = st.lists(st.sampled_from(sorted(fields)), max_size=5, unique=True)
    return few.flatmap(
        lambda chosen: st.fixed_dictionaries({f: _of_schema(fields[f], depth - 1) for f in chosen})
    )


def _of_schema(schema: Schema, depth: int) -> st.SearchStrategy[Any]:
    name = referred(schema)
    if name:
        return _of_definition(name, depth)
    match schema.get("type"):
        case "string" if schema.get("format") == "date-time":
            return st.sampled_from(["2026-11-21T08:00:00Z", "1999-12-31T23:59:59Z"])
        case "string" if schema.get("format") == "byte":
            return st.sampled_from(["", "eA==", "e30="])
        case "string":
            return WORDS
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(-3, 100_000)
        case "number":
            return st.integers(-3, 3)
        case "array":
            return st.lists(_of_schema(schema["items"], depth), max_size=3)
    inner = schema.get("additionalProperties")
    return st.dictionaries(WORDS, _of_schema(inner, depth) if inner else WORDS, max_size=3)
