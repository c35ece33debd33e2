"""Objects as a test reads them: dictionaries whose fields are also attributes."""

from __future__ import annotations

from typing import Any

from longshore.core.objects.kinds import Doc


class Document(dict[str, Any]):
    """An object of the API: doc["spec"]["replicas"], or doc.spec.replicas. A field that is not there
    is a KeyError one way and an AttributeError the other; fields named like a dictionary's own
    methods (items, keys, values) are reached the first way alone."""

    def __getattr__(self, name: str) -> Any:
        try:
            return _wrapped(self[name])
        except KeyError:
            raise AttributeError(f"{self._named()} has no field {name}") from None

    def _named(self) -> str:
        metadata = self.get("metadata") or {}
        return f"{self['kind']} {metadata.get('name', '')}" if "kind" in self else "this"


def without_managed_fields(doc: Doc) -> Doc:
    metadata = {k: v for k, v in (doc.get("metadata") or {}).items() if k != "managedFields"}
    return {**doc, "metadata": metadata}


def _wrapped(value: Any) -> Any:
    if isinstance(value, dict):
        return value if isinstance(value, Document) else Document(value)
    return [_wrapped(one) for one in value] if isinstance(value, list) else value
