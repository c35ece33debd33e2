"""Make doors/kubernetes/protobuf.json: which number each field has in Kubernetes' protobuf encoding.

    for m in api apimachinery apiextensions-apiserver kube-aggregator; do go mod download k8s.io/$m@v0.37.0; done
    python tools/build_protobuf.py $(go env GOMODCACHE)/k8s.io v0.37.0

The file is committed: numbers never change, so it is remade only when a newer version is served.
Each field is [name, type, form]: the type is a scalar's or a message's name; the form is value
(always sent, so its zero means nothing), pointer (its zero was meant), repeated, map (type is the
values') or inline (its fields stand in the outer object).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import orjson

from longshore.core.objects.kinds import KINDS, SPOKEN
from longshore.core.objects.schema import definitions

OUTPUT = Path(__file__).parent.parent / "src/longshore/doors/kubernetes/protobuf.json"
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
# What a request's body may hold besides the served kinds.
ROOTS = (META + "DeleteOptions",)
SCALARS = frozenset({"string", "bytes", "bool", "int32", "int64", "double"})

_MESSAGE = re.compile(r"^message (\w+) \{(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^  (optional|repeated|required) (\S+) (\w+) = (\d+)", re.MULTILINE)
_MAP = re.compile(r"^  map<string, (\S+)> (\w+) = (\d+)", re.MULTILINE)
_SIZE = re.compile(r"^func \(m \*(\w+)\) Size\(\) .*?^\}", re.MULTILINE | re.DOTALL)
_POINTER = re.compile(r"if m\.(\w+) != nil")

Message = dict[str, list[str]]


def read_package(proto: Path, table: dict[str, Message]) -> None:
    text = re.sub(r"^\s*//.*$", "", proto.read_text(), flags=re.MULTILINE)
    package = re.search(r"^package (\S+);", text, re.MULTILINE)
    assert package is not None, proto
    prefix = _definition_name(package[1]) + "."
    pointers = _pointers(proto.with_suffix(".pb.go"))
    for name, body in _MESSAGE.findall(text):
        fields: Message = {}
        for label, kind, field, number in _FIELD.findall(body):
            full = kind if kind in SCALARS else _full_name(kind, prefix)
            form = "repeated" if label == "repeated" else _form(field, pointers.get(name, set()))
            fields[number] = [field, full, _inlined(prefix + name, field, form, full)]
        for kind, field, number in _MAP.findall(body):
            full = kind if kind in SCALARS else _full_name(kind, prefix)
            fields[number] = [field, full, "map"]
        table[prefix + name] = fields


def _pointers(source: Path) -> dict[str, set[str]]:
    """For each message, the fields that Go checks for nil, in lower case."""
    found = {}
    for match in _SIZE.finditer(source.read_text()):
        found[match[1]] = {field.lower() for field in _POINTER.findall(match[0])}
    return found


def _form(field: str, pointers: set[str]) -> str:
    return "pointer" if field.lower() in pointers else "value"


def _inlined(message: str, field: str, form: str, kind: str) -> str:
    """Go embeds some structs: JSON does not know the field then, and its own fields stand there."""
    schema = definitions().get(message)
    if schema is None or kind in SCALARS or "properties" not in schema:
        return form
    return form if field in schema["properties"] else "inline"


def _full_name(kind: str, prefix: str) -> str:
    kind = kind.lstrip(".")
    return _definition_name(kind) if "." in kind else prefix + kind


def _definition_name(name: str) -> str:
    # A Go package's name has no hyphens, its definition's has.
    name = name.replace("_apiserver", "-apiserver").replace("kube_", "kube-")
    return "io.k8s." + name.removeprefix("k8s.io.")


def reached(table: dict[str, Message]) -> dict[str, Message]:
    found: dict[str, Message] = {}
    waiting = [*ROOTS, *(kind.schema for kind in (*KINDS, *SPOKEN))]
    while waiting:
        name = waiting.pop()
        if name not in found and name in table:
            found[name] = table[name]
            waiting += [kind for _, kind, _ in table[name].values() if kind not in SCALARS]
    return dict(sorted(found.items()))


def main() -> None:
    modules, version = Path(sys.argv[1]), sys.argv[2]
    table: dict[str, Message] = {}
    for module in ("api", "apimachinery", "apiextensions-apiserver", "kube-aggregator"):
        for proto in sorted((modules / f"{module}@{version}").rglob("generated.proto")):
            read_package(proto, table)
    messages = reached(table)
    OUTPUT.write_bytes(orjson.dumps(messages) + b"\n")
    print(f"{len(messages)} messages, {OUTPUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
