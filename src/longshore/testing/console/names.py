"""Stable names for what is named by chance: web~2~1 is the first pod of web's second ReplicaSet, web@2
the second revision of a StatefulSet or DaemonSet."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import orjson

from longshore.core.objects.kinds import Doc
from longshore.testing.simulator.medium import Entry

_WORD = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_SUFFIX = 5
_ALIAS = re.compile(r"[a-z0-9][a-z0-9-]*(?:~\d+)+")
_UID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DIGITS = re.compile(r"(\d+)")
_SETS = "/apps/replicasets/"
_HASH = "pod-template-hash"
_REVISIONS = "/apps/controllerrevisions/"
_REVISION_HASHES = ("controller.kubernetes.io/hash", "controller-revision-hash")


class Names:
    """Learns names from what became durable, in that order."""

    def __init__(self, log: Sequence[Entry]) -> None:
        self._log = log
        self._read = 0
        self._seen: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._aliases: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def shown(self, text: str) -> str:
        """The text with aliases for names, and without uids."""
        self._catch_up()
        text = _UID.sub("UID", text)
        return _WORD.sub(lambda word: self._alias(word[0]), text)

    def real(self, text: str) -> str:
        """The text with names for aliases."""
        self._catch_up()
        return _ALIAS.sub(lambda alias: self._names.get(alias[0], alias[0]), text)

    def _alias(self, word: str) -> str:
        """web~1~? is a pod of web~1 that was refused."""
        if word in self._aliases:
            return self._aliases[word]
        stem, _, suffix = word.rpartition("-")
        made = stem in self._aliases and len(suffix) == _SUFFIX
        return f"{self._aliases[stem]}~?" if made else word

    def _catch_up(self) -> None:
        while self._read < len(self._log):
            entry = self._log[self._read]
            self._read += 1
            if entry.value is None or entry.key in self._seen:
                continue
            if entry.key.startswith((_SETS, _REVISIONS)) or b'"generateName"' in entry.value:
                self._seen.add(entry.key)
                self._learn(entry.key, orjson.loads(entry.value))

    def _learn(self, key: str, doc: Doc) -> None:
        metadata = doc["metadata"]
        if prefix := metadata.get("generateName"):
            self._name(metadata["name"], prefix.removesuffix("-"))
            return
        labels = metadata.get("labels") or {}
        if key.startswith(_SETS) and (mark := labels.get(_HASH)):
            self._name(metadata["name"], metadata["name"].removesuffix(f"-{mark}"))
            self._aliases.setdefault(mark, f"<{self._aliases[metadata['name']]}>")
        for mark in filter(None, map(labels.get, _REVISION_HASHES)):
            stem = metadata["name"].removesuffix(f"-{mark}")
            self._counts[f"{stem}@"] += 1
            alias = f"{stem}@{self._counts[f'{stem}@']}"
            self._aliases[metadata["name"]], self._aliases[mark] = alias, f"<{alias}>"

    def _name(self, name: str, stem: str) -> None:
        stem = self._aliases.get(stem, stem)
        self._counts[stem] += 1
        alias = f"{stem}~{self._counts[stem]}"
        self._aliases[name], self._names[alias] = alias, name


def natural(text: str) -> list[tuple[int, str]]:
    """A key that sorts web~10 after web~9."""
    return [(int(part) if part.isdigit() else -1, part) for part in _DIGITS.split(text)]
