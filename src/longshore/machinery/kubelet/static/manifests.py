"""One file of the directory of static pods: read, completed and judged. Pure.

Rules: pkg/kubelet/config/common.go (applyDefaults, tryDecodeSinglePod) of Kubernetes.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import orjson

from longshore.core.objects import kinds
from longshore.core.objects.defaults import default
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules import validate_create
from longshore.core.objects.validation import check
from longshore.core.registry.permission.references import object_reference
from longshore.machinery.kubelet.static.pods import HASH, SEEN, SOURCE, BadManifest

_UID_LENGTH = 32
# Other than pods of the API, they are not evicted when something is wrong with the node.
_STAYS = {"operator": "Exists", "effect": "NoExecute"}


def static_pod(content: bytes, file: str, node: str, now: str) -> Doc:
    """The pod that a manifest (YAML or JSON) asks a node for. Its uid is made of the node, the file and
    what it says, so that a changed manifest is another pod; now is when it was seen, as RFC 3339.
    Raises BadManifest."""
    doc = _decoded(content)
    said = orjson.dumps(doc, option=orjson.OPT_SORT_KEYS)
    uid = sha256(b"\0".join((node.encode(), file.encode(), said))).hexdigest()[:_UID_LENGTH]
    metadata, spec = doc["metadata"], doc["spec"]
    metadata["name"] = f"{metadata['name']}-{node.lower()}"
    metadata.setdefault("namespace", "default")
    own = {HASH: uid, SOURCE: "file", SEEN: now}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **own}
    metadata |= {"uid": uid, "creationTimestamp": now}
    spec["nodeName"] = node
    if _STAYS not in (tolerations := spec.get("tolerations") or []):
        spec["tolerations"] = [*tolerations, dict(_STAYS)]
    return _judged(default(kinds.POD, doc))


def _decoded(content: bytes) -> Doc:
    """Of the right form, without a status. Raises BadManifest."""
    doc = _parsed(content)
    if not isinstance(doc, dict) or (doc.get("apiVersion"), doc.get("kind")) != ("v1", "Pod"):
        raise BadManifest("invalid pod: not an object of apiVersion v1 and kind Pod")
    checked = check(kinds.POD, doc)
    problems = [cause.message for cause in checked.causes] or checked.unknown
    if problems:
        raise BadManifest(f"invalid pod: {', '.join(problems)}")
    if not checked.doc.get("metadata", {}).get("name") or not checked.doc.get("spec"):
        raise BadManifest("invalid pod: metadata.name and spec are required")
    return {key: part for key, part in checked.doc.items() if key != "status"}


def _parsed(content: bytes) -> Any:
    import yaml

    try:
        return yaml.load(content, yaml.CSafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise BadManifest(f"invalid pod: {' '.join(str(error).split())}") from error


def _judged(pod: Doc) -> Doc:
    problems = [f"{cause.field}: {cause.message}" for cause in validate_create(kinds.POD, pod)]
    if problems:
        raise BadManifest(f"invalid pod: {', '.join(problems)}")
    if what := object_reference(pod["spec"]):
        raise BadManifest(f"static pods may not reference {what}")
    if pod["spec"].get("ephemeralContainers"):
        raise BadManifest("static pods may not have ephemeral containers")
    return pod
