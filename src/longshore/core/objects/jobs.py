"""What makes a Job's pods its own: the selector that it is given, and sets of indexes."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc

_PREFIX = "batch.kubernetes.io/"
# A label of every pod of a Job, and the field of the Job's metadata that it repeats. The short
# names are older, and kept.
LABELS = {
    f"{_PREFIX}controller-uid": "uid",
    f"{_PREFIX}job-name": "name",
    "controller-uid": "uid",
    "job-name": "name",
}
_SELECTED = f"{_PREFIX}controller-uid"


def with_selector(job: Doc) -> Doc:
    """The new Job with labels in its template that no other Job's pods have, and a selector for
    them, unless it brings its own (pkg/registry/batch/job/strategy.go: generateSelector). Labels
    that contradict are left to be refused. The document given stays as it is, since its uid and
    name may be drawn again."""
    spec, meta = job["spec"], job["metadata"]
    if spec.get("manualSelector"):
        return job
    template = spec.get("template", {})
    known = template.get("metadata", {})
    labels = {**{key: meta[field] for key, field in LABELS.items()}, **known.get("labels", {})}
    selector = spec.get("selector", {})
    matched = {_SELECTED: meta["uid"], **selector.get("matchLabels", {})}
    template = {**template, "metadata": {**known, "labels": labels}}
    selector = {**selector, "matchLabels": matched}
    return {**job, "spec": {**spec, "template": template, "selector": selector}}


def parse_indexes(text: str, completions: int) -> list[tuple[int, int]]:
    """Ranges of completion indexes, ends included: "0,2-4" is [(0, 0), (2, 4)]. Raises ValueError
    for what is not in order or not below completions (batch/v1: succeededIndexes)."""
    found: list[tuple[int, int]] = []
    for part in text.split(",") if text else ():
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f'cannot convert string to integer for index: "{part}"')
        begin, end = int(first), int(last or first)
        if found and begin <= found[-1][1]:
            raise ValueError(f"non-increasing order, previous: {found[-1][1]}, current: {begin}")
        if dash and end <= begin:
            raise ValueError(f"non-increasing order, previous: {begin}, current: {end}")
        if end >= completions:
            raise ValueError(f'too large index: "{part}"')
        found.append((begin, end))
    return found
