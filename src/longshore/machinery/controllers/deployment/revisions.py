"""How a Deployment tells its ReplicaSets apart: template hashes, revisions, the sizes it last saw.

Pure. Annotations and rules are those of upstream's deploymentutil; kubectl's rollout commands read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common.hashing import template_hash
from longshore.machinery.controllers.common.owners import reference

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MOST = "deployment.kubernetes.io/max-replicas"
# A Deployment's own annotations, which its sets do not inherit.
_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "deprecated.deployment.rollback.to",
        REVISION,
        REVISION_HISTORY,
        DESIRED,
        MOST,
    }
)
# A history longer than this loses its oldest entries (maxRevHistoryLengthInChars).
_HISTORY_MAX_CHARS = 2000


def bare_template(template: Doc) -> Doc:
    """A pod template without the hash that marks its set."""
    metadata = template.get("metadata") or {}
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != HASH_LABEL}
    rest = {k: v for k, v in metadata.items() if k not in ("labels", "creationTimestamp")}
    return {**template, "metadata": {**rest, "labels": labels}}


def by_age(sets: Iterable[Doc]) -> list[Doc]:
    """The oldest first."""
    return sorted(
        sets, key=lambda rs: (rs["metadata"]["creationTimestamp"], rs["metadata"]["name"])
    )


def current(deployment: Doc, sets: Iterable[Doc]) -> Doc | None:
    """The set that has the Deployment's template; the oldest, should there be several."""
    wanted = bare_template(deployment["spec"]["template"])
    for replica_set in by_age(sets):
        if bare_template(replica_set["spec"]["template"]) == wanted:
            return replica_set
    return None


def revision(doc: Doc) -> int:
    text = notes(doc).get(REVISION, "0")
    return int(text) if text.isdigit() else 0


def notes(doc: Doc) -> Mapping[str, str]:
    return doc["metadata"].get("annotations") or {}


def noted(deployment: Doc, number: int) -> Doc:
    """The Deployment with the revision of its current set."""
    annotations = {**notes(deployment), REVISION: str(number)}
    return {**deployment, "metadata": {**deployment["metadata"], "annotations": annotations}}


def new_set(deployment: Doc, old: Sequence[Doc], replicas: int, most: int) -> Doc:
    """The ReplicaSet for the Deployment's template, at a size."""
    metadata, spec = deployment["metadata"], deployment["spec"]
    template = bare_template(spec["template"])
    mark = template_hash(template, int((deployment.get("status") or {}).get("collisionCount", 0)))
    labels = {**template["metadata"]["labels"], HASH_LABEL: mark}
    selector = spec["selector"]
    made: Doc = {
        "name": f"{metadata['name']}-{mark}",
        "namespace": metadata["namespace"],
        "labels": labels,
        "annotations": {
            **_inherited(deployment),
            REVISION: str(_next_revision(old)),
            **sizes(deployment, most),
        },
        "ownerReferences": [reference(kinds.DEPLOYMENT, deployment)],
    }
    body: Doc = {
        "replicas": replicas,
        "selector": {
            **selector,
            "matchLabels": {**(selector.get("matchLabels") or {}), HASH_LABEL: mark},
        },
        "template": {**template, "metadata": {**template["metadata"], "labels": labels}},
    }
    if spec.get("minReadySeconds"):
        body["minReadySeconds"] = spec["minReadySeconds"]
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": made, "spec": body}


def sizes(deployment: Doc, most: int) -> dict[str, str]:
    """What proportional scaling later measures by: the size asked for and the most allowed."""
    return {DESIRED: str(deployment["spec"].get("replicas", 1)), MOST: str(most)}


def kept_current(deployment: Doc, replica_set: Doc, old: Sequence[Doc]) -> Doc:
    """The current set's document with the newest revision and what it inherits; the same object
    if nothing is to change."""
    before = notes(replica_set)
    after = {**before, **_inherited(deployment)}
    number = _next_revision(old)
    if revision(replica_set) < number:
        if before.get(REVISION):
            after[REVISION_HISTORY] = _history(before)
        after[REVISION] = str(number)
    ready_s = deployment["spec"].get("minReadySeconds", 0)
    if after == before and replica_set["spec"].get("minReadySeconds", 0) == ready_s:
        return replica_set
    return {
        **replica_set,
        "metadata": {**replica_set["metadata"], "annotations": after},
        "spec": {**replica_set["spec"], "minReadySeconds": ready_s},
    }


def _next_revision(old: Iterable[Doc]) -> int:
    return max((revision(rs) for rs in old), default=0) + 1


def _inherited(deployment: Doc) -> dict[str, str]:
    return {k: v for k, v in notes(deployment).items() if k not in _NOT_COPIED}


def _history(before: Mapping[str, str]) -> str:
    entries = [one for one in before.get(REVISION_HISTORY, "").split(",") if one]
    entries.append(before[REVISION])
    while len(",".join(entries)) > _HISTORY_MAX_CHARS:
        entries.pop(0)
    return ",".join(entries)
