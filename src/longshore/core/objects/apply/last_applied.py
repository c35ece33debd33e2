"""The annotation with which kubectl applies on the client's side: on the way to server-side apply it
tells what is kubectl's own, and afterwards it is kept up, so that there is a way back.

Source: apimachinery/pkg/util/managedfields/internal/lastapplied{,manager,updater}.go.
"""

from __future__ import annotations

from typing import Any

import orjson

from longshore.base.limits import ANNOTATIONS_MAX_BYTES
from longshore.core.objects.apply.fields import Fields, difference
from longshore.core.objects.apply.shapes import Shape
from longshore.core.objects.apply.walks import UnkeyedItem, compare, field_set
from longshore.core.objects.kinds import Doc

ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
# The one field manager for whom all this is done.
MANAGER = "kubectl"


def own_fields(live: Doc, api_version: str, shape: Shape) -> Fields:
    """What was applied last and is still as it was: kubectl may change it, whoever owns it."""
    last = _decoded(_annotations(live).get(ANNOTATION))
    if last.get("apiVersion") != api_version:
        return {}
    try:
        spoken = field_set(last, shape)
    except UnkeyedItem:
        return {}
    changes = compare(last, live, shape)
    return difference(difference(spoken, changes.set), changes.removed)


def kept_up(doc: Doc, config: Doc) -> Doc:
    """The object with the configuration in its annotation, if it has one. Nothing is changed."""
    annotations = dict(_annotations(doc))
    if not annotations.get(ANNOTATION):
        return doc
    annotations[ANNOTATION] = _encoded(config)
    size = sum(len(key) + len(value.encode()) for key, value in annotations.items())
    if size > ANNOTATIONS_MAX_BYTES:
        del annotations[ANNOTATION]
    return {**doc, "metadata": {**doc["metadata"], "annotations": annotations}}


def _encoded(config: Doc) -> str:
    metadata = config.get("metadata") or {}
    annotations = {k: v for k, v in _annotations(config).items() if k != ANNOTATION}
    rest = {**config, "metadata": {**metadata, "annotations": annotations}}
    return orjson.dumps(rest, option=orjson.OPT_SORT_KEYS).decode() + "\n"


def _annotations(doc: Doc) -> dict[str, str]:
    return (doc.get("metadata") or {}).get("annotations") or {}


def _decoded(text: str | None) -> dict[str, Any]:
    try:
        doc = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return {}
    return doc if isinstance(doc, dict) else {}
