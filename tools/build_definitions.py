"""Make core/objects/definitions.json.gz: the schemas of every served kind, small and quick to load.

The source is PyPI's kubernetes-validate, which carries the OpenAPI definitions of each Kubernetes
release as JSON Schema. From the one release that is served this keeps what the served kinds reach,
and turns it back into plain OpenAPI: optional types lose their "null", references point to
#/definitions, and what the JSON Schema form lost (the string form of Quantity and IntOrString) is
restored.

The file is two gzip members: the definitions, and their descriptions, which only `kubectl explain`
and the published OpenAPI documents need and which are therefore read later or never.

Run `python tools/build_definitions.py` in a checkout; the build hook calls the same function.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

SERVED_RELEASE = "v1.37.0"
ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "src/longshore/core/objects/definitions.json.gz"

_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_GVK = "x-kubernetes-group-version-kind"
# What is spoken of beside the kinds themselves.
_SPOKEN = ("io.k8s.apimachinery.pkg.version.Info",)
_RESTORED: dict[str, dict[str, Any]] = {
    _QUANTITY: {"type": "string"},
    _INT_OR_STRING: {"type": "string", "format": "int-or-string"},
}

Definitions = dict[str, Any]


def build(target: Path = TARGET) -> Path:
    """Write the packaged file and return its path."""
    sys.path.insert(0, str(ROOT / "src"))
    from longshore.core.objects.kinds import ACCOUNTED, KINDS, SPOKEN
    from longshore.core.objects.schema.ours import our_definitions
    from longshore.core.objects.schema.usage import usage_definitions

    source = _source() | our_definitions() | usage_definitions()
    roots = [n for n in source if n.startswith(_META)] + list(_SPOKEN)
    for kind in (*KINDS, *SPOKEN, *ACCOUNTED):
        roots += [name for name in (kind.schema, kind.schema + "List") if name in source]
    kept = sorted(_reachable(source, roots))
    groups = {kind.group: kind.version for kind in KINDS}
    definitions = {name: _plain(name, source[name], groups) for name in kept}
    descriptions = {name: _descriptions(source[name]) for name in kept}
    target.write_bytes(_member(definitions) + _member({k: v for k, v in descriptions.items() if v}))
    return target


def _source() -> Definitions:
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"{SERVED_RELEASE}-local"
    found: Definitions = json.loads((folder / "_definitions.json").read_bytes())["$defs"]
    return found


def _member(content: Definitions) -> bytes:
    text = json.dumps(content, separators=(",", ":"), sort_keys=True)
    return gzip.compress(text.encode(), 9, mtime=0)  # mtime: the same source, the same bytes


def _reachable(source: Definitions, roots: Iterable[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(source[name])
    return found


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):  # CRDs have a field of that name
            yield node["$ref"].removeprefix("#/$defs/").removeprefix("#/definitions/")
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _plain(name: str, node: dict[str, Any], groups: dict[str, str]) -> dict[str, Any]:
    if name in _RESTORED:
        return _RESTORED[name]
    plain = _plain_schema(node)
    if len(node.get(_GVK, ())) > 1:  # DeleteOptions and WatchEvent belong to every group
        told = [gvk for gvk in node[_GVK] if gvk["group"] in groups]
        ours = groups.keys() - {gvk["group"] for gvk in told}
        more = [{**told[0], "group": group, "version": groups[group]} for group in sorted(ours)]
        plain[_GVK] = told + more
    return plain


def _plain_schema(node: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, value in node.items():
        if key in ("description", "enum"):  # enum: the source added it to apiVersion and kind
            continue
        if key == "type" and isinstance(value, list):
            plain[key] = next(one for one in value if one != "null")
        elif key == "$ref":
            plain[key] = value.replace("#/$defs/", "#/definitions/")
        elif key == "properties":
            plain[key] = {field: _plain_schema(schema) for field, schema in value.items()}
        elif key in ("items", "additionalProperties"):
            plain[key] = _plain_schema(value)
        else:
            plain[key] = value
    return plain


def _descriptions(node: dict[str, Any]) -> dict[str, str]:
    """Of the definition itself under "", and of each of its fields."""
    own = {"": node["description"]} if "description" in node else {}
    fields = node.get("properties", {})
    return own | {f: s["description"] for f, s in fields.items() if "description" in s}


if __name__ == "__main__":
    made = build()
    print(f"{made.relative_to(ROOT)}: {made.stat().st_size} bytes")
