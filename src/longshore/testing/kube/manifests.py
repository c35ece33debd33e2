"""What a test applies: files, directories, YAML text, dictionaries, in the order that works."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from longshore.core.objects.errors import BadRequest
from longshore.core.objects.kinds import Doc
from longshore.doors.kubernetes.yamlbody import read_documents

Source: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | Iterable[Mapping[str, Any]]"
_SUFFIXES = (".yaml", ".yml", ".json")
# What others need before they can be made.
_FIRST = ("Namespace", "CustomResourceDefinition")


def read(sources: Iterable[Source], base: Path) -> list[Doc]:
    """All objects of all sources: Namespaces first, the others in the order in which they are given.
    Paths are relative to base. Raises ValueError, FileNotFoundError."""
    docs = [doc for source in sources for doc in _docs(source, base)]
    for doc in docs:
        if not doc.get("apiVersion") or not doc.get("kind"):
            raise ValueError(f"no object: apiVersion and kind are not both there: {str(doc)[:200]}")
    return sorted(docs, key=lambda doc: doc["kind"] not in _FIRST)


def _docs(source: Source, base: Path) -> Iterator[Doc]:
    if isinstance(source, Mapping):
        yield from _items(orjson.loads(orjson.dumps(dict(source))))
    elif isinstance(source, str) and "\n" in source:
        yield from parsed(source, "YAML text")
    elif isinstance(source, (str, os.PathLike)):
        for file in _files(base / source):
            yield from parsed(file.read_text(encoding="utf-8"), str(file))
    else:
        for one in source:
            yield from _docs(one, base)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES)
    if not found:
        raise FileNotFoundError(f"{path} has no files that end in {', '.join(_SUFFIXES)}")
    return found


def parsed(text: str, where: str) -> Iterator[Doc]:
    """The objects in YAML or JSON. Raises ValueError."""
    try:
        for doc in read_documents(text):
            if isinstance(doc, dict):
                yield from _items(doc)
            elif doc is not None:
                raise ValueError(f"{where}: an object was expected, not {str(doc)[:80]!r}")
    except BadRequest as error:
        raise ValueError(f"{where} is not YAML: {error}") from None


def _items(doc: Doc) -> Iterator[Doc]:
    """An object, or those of a List."""
    if str(doc.get("kind", "")).endswith("List") and isinstance(doc.get("items"), list):
        yield from doc["items"]
    else:
        yield doc
