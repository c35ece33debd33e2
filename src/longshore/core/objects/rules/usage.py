"""Rules for records of what was used: what cannot be read is not kept."""

from __future__ import annotations

from longshore.core.objects.kinds import USAGE_RECORD, WORKLOAD_USAGE, Doc
from longshore.core.objects.rules.problems import SPEC, STATUS, Path, Problems, Rule
from longshore.core.objects.usage.histogram import BUCKETS
from longshore.core.objects.usage.rings import STEPS
from longshore.core.objects.usage.series import decoded


def record(doc: Doc, problems: Problems) -> None:
    spec = doc.get("spec", {})
    if not spec.get("project"):
        problems.required((SPEC, "project"))
    for index, part in enumerate(spec.get("series", ())):
        _series(part, ((SPEC, "series"), index), problems)


def _series(part: Doc, at: Path, problems: Problems) -> None:
    step, data = part.get("stepSeconds"), part.get("data", "")
    if step not in STEPS:
        problems.unsupported((at, "stepSeconds"), step, map(str, STEPS))
        return
    try:
        decoded(step, part.get("start", 0), data)
    except ValueError as error:
        problems.invalid((at, "data"), data[:32], str(error))


def workload(doc: Doc, problems: Problems) -> None:
    target = doc.get("spec", {}).get("targetRef", {})
    for field in ("apiVersion", "kind", "name"):
        if not target.get(field):
            problems.required(((SPEC, "targetRef"), field))
    for index, container in enumerate((doc.get("status") or {}).get("containers") or ()):
        for resource in ("cpu", "memory"):
            at: Path = ((((STATUS, "containers"), index), resource), "weights")
            for bucket in container.get(resource, {}).get("weights", ()):
                if not (bucket.isdecimal() and int(bucket) < BUCKETS[resource]):
                    problems.invalid(at, bucket, f"must be a number below {BUCKETS[resource]}")


RULES: dict[str, Rule] = {
    USAGE_RECORD.schema: record,
    WORKLOAD_USAGE.schema: workload,
}
