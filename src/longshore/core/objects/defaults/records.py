"""Defaults of the kinds that keep data or stand for a part of the cluster.

Source: pkg/apis/core/v1/defaults.go.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from longshore.core.objects.kinds import Doc


def _secret(doc: Doc) -> None:
    plain = doc.pop("stringData", None)
    if plain:
        data = doc.setdefault("data", {})
        for key, value in plain.items():
            data[key] = base64.b64encode(value.encode()).decode()
    if not doc.get("type"):
        doc["type"] = "Opaque"


def _namespace(doc: Doc) -> None:
    metadata = doc["metadata"]
    if "name" in metadata:  # with generateName, the registry comes here again once it has one
        metadata.setdefault("labels", {})["kubernetes.io/metadata.name"] = metadata["name"]
    doc.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])


def _node(doc: Doc) -> None:
    status = doc.get("status")
    if status and "capacity" in status and "allocatable" not in status:
        status["allocatable"] = dict(status["capacity"])


DEFAULTS: dict[str, Callable[[Doc], None]] = {
    "io.k8s.api.core.v1.Secret": _secret,
    "io.k8s.api.core.v1.Namespace": _namespace,
    "io.k8s.api.core.v1.Node": _node,
}
