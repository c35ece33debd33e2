"""Rules for Events, which are laxer for those who ask in v1 than in events.k8s.io/v1.

Source: pkg/apis/core/validation/events.go. Fields are called as they are kept, in v1's way.
"""

from __future__ import annotations

from longshore.base.clock import parse_rfc3339
from longshore.core.objects import names
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.problems import ROOT, Path, Problems, Rule, UpdateRule

_WORD_MAX, _NOTE_MAX = 128, 1024
# What only events that were made in the old way have.
_OLD_WAY = ("firstTimestamp", "lastTimestamp", "count")
_FIXED = (
    "involvedObject", "reason", "message", "source", *_OLD_WAY, "type", "action", "related",
    "reportingComponent", "reportingInstance",
)  # fmt: skip
_NAMESPACE: Path = ((ROOT, "involvedObject"), "namespace")


def event(doc: Doc, problems: Problems) -> None:
    _lax(doc, (ROOT, "reportingComponent"), problems)


def event_v1(doc: Doc, problems: Problems) -> None:
    """A new one; what is there may have been made in the old way."""
    _lax(doc, (ROOT, "reportingController"), problems)
    _series(doc, problems)
    if not doc.get("eventTime"):
        problems.required((ROOT, "eventTime"))
    kind = doc.get("type", "")
    if kind not in ("Normal", "Warning"):
        problems.invalid((ROOT, "type"), "", f"has invalid value: {kind}")
    source = doc.get("source") or {}
    for field in _OLD_WAY:
        if doc.get(field):
            problems.invalid((ROOT, field), "", "needs to be unset")
    if source.get("component") or source.get("host"):
        problems.invalid((ROOT, "source"), "", "needs to be unset")


def event_v1_update(new: Doc, old: Doc, problems: Problems) -> None:
    _lax(new, (ROOT, "reportingController"), problems)
    if new.get("series") != old.get("series"):
        _series(new, problems)
    for field in _FIXED:
        problems.unchanged((ROOT, field), new.get(field) or None, old.get(field) or None)
    if _micros(new) != _micros(old):
        problems.unchanged((ROOT, "eventTime"), new.get("eventTime"), old.get("eventTime"))


def _micros(doc: Doc) -> int:
    """When it happened, in microseconds since 1970; clients differ in what they make of less."""
    said = doc.get("eventTime")
    return int(parse_rfc3339(said) * 1_000_000) if said else 0


def _series(doc: Doc, problems: Problems) -> None:
    series = doc.get("series")
    if series is None:
        return
    if series.get("count", 0) < 2:
        problems.invalid((ROOT, "series.count"), "", "should be at least 2")
    if not series.get("lastObservedTime"):
        problems.required((ROOT, "series.lastObservedTime"))


def _lax(doc: Doc, reporter: Path, problems: Problems) -> None:
    where = doc["metadata"].get("namespace", "")
    about = (doc.get("involvedObject") or {}).get("namespace", "")
    if doc.get("eventTime"):
        agrees = about or where in ("default", "kube-system")
        _reported(doc, reporter, problems)
    else:
        # Events about objects without a namespace are kept in "default".
        agrees = about == where if about else where in ("", "default")
    if not agrees:
        problems.invalid(_NAMESPACE, about, "does not match event.namespace")


def _reported(doc: Doc, reporter: Path, problems: Problems) -> None:
    who = doc.get("reportingComponent", "")
    if not who:
        problems.required(reporter)
    problems.all_invalid(reporter, who, names.qualified_name_problems(who))
    for field in ("reportingInstance", "action", "reason"):
        said, path = doc.get(field, ""), (ROOT, field)
        if not said:
            problems.required(path)
        if len(said.encode()) > _WORD_MAX:
            problems.invalid(path, "", f"can have at most {_WORD_MAX} characters")
    if len(doc.get("message", "").encode()) > _NOTE_MAX:
        problems.invalid((ROOT, "message"), "", f"can have at most {_NOTE_MAX} characters")


RULES: dict[str, Rule] = {
    "io.k8s.api.core.v1.Event": event,
    "io.k8s.api.events.v1.Event": event_v1,
}
UPDATE_RULES: dict[str, UpdateRule] = {
    "io.k8s.api.events.v1.Event": event_v1_update,
}
