"""The objects of manifests, in the order in which they can be made."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longshore.cluster.config import ClusterError
from longshore.core.objects import kinds
from longshore.core.objects.errors import BadRequest
from longshore.core.objects.kinds import KINDS, Doc, Kind
from longshore.doors.kubernetes.yamlbody import read_documents

_SUFFIXES = (".yaml", ".yml", ".json")
# What others need before they can be made; workloads come last.
_FIRST = (kinds.NAMESPACE, kinds.PRIORITY_CLASS, kinds.RUNTIME_CLASS, kinds.STORAGE_CLASS)


@dataclass(frozen=True, slots=True)
class Given:
    """An object as somebody wrote it, in the namespace that it is meant for (empty: in none)."""

    kind: Kind
    namespace: str
    doc: Doc

    @property
    def title(self) -> str:
        """As kubectl says it: deployment.apps/web."""
        group = self.kind.api_version.rpartition("/")[0]
        kind = self.kind.name.lower() + (f".{group}" if group else "")
        metadata = self.doc["metadata"]
        return f"{kind}/{metadata.get('name') or metadata.get('generateName', '')}"


def read(files: Sequence[str], namespace: str) -> list[Given]:
    """All objects of files and directories (-: standard input); those that name no namespace are
    meant for this one. Raises ClusterError."""
    found = [_given(doc, namespace) for file in files for doc in _documents(file)]
    return sorted(found, key=lambda one: one.kind not in _FIRST)


def _given(doc: Any, namespace: str) -> Given:
    if not isinstance(doc, dict) or not isinstance(doc.get("metadata"), dict):
        raise ClusterError(
            "-f: each document has to be one object, with apiVersion, kind and metadata"
        )
    said = str(doc.get("apiVersion", "")), str(doc.get("kind", ""))
    kind = KINDS.named(*said)
    if kind is None:
        raise ClusterError(f'-f: no matches for kind "{said[1]}" in version "{said[0]}"')
    if not kind.namespaced:
        return Given(kind, "", doc)
    return Given(kind, str(doc["metadata"].get("namespace") or namespace), doc)


def _documents(file: str) -> Iterator[Any]:
    for where, text in _texts(file):
        try:
            for doc in read_documents(text):
                if (
                    isinstance(doc, dict)
                    and str(doc.get("kind")).endswith("List")
                    and "items" in doc
                ):
                    yield from doc["items"]
                elif doc is not None:
                    yield doc
        except BadRequest as error:
            raise ClusterError(f"-f {where}: {error}") from None


def _texts(file: str) -> Iterator[tuple[str, str]]:
    if file == "-":
        yield "-", sys.stdin.read()
        return
    path = Path(file)
    paths = sorted(p for p in path.rglob("*") if p.suffix in _SUFFIXES) if path.is_dir() else [path]
    for one in paths:
        try:
            yield str(one), one.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ClusterError(f"-f {one}: {error}") from None
