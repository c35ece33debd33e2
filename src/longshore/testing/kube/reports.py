"""What a failed test shows of its cluster."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from longshore.core.objects.kinds import Doc, Ref
from longshore.testing.kube.documents import without_managed_fields
from longshore.testing.kube.requests import Asked

# Lines and entries that are shown at most: what is older matters less.
_EVENTS, _REQUESTS, _LINES = 10, 20, 120


def unmet(ref: Ref, words: str, seconds: float, doc: Doc | None, events: Sequence[Doc]) -> str:
    """The sentence of a wait that ended in vain, the object as it is and its last events."""
    there = f" in namespace {ref.namespace}" if ref.namespace else ""
    first = f"{ref.kind.resource}/{ref.name}{there} did not {words} within {seconds:g}s"
    parts = [first, _state(ref, doc)]
    told = sorted(events, key=_when)[-_EVENTS:]
    if told:
        parts.append("Its last events:\n" + _indented(map(_event, told)))
    return "\n\n".join(parts)


def asked(requests: Sequence[Asked]) -> str:
    """The last of what clients asked, a line each; empty if nobody asked anything."""
    return "\n".join(map(str, requests[-_REQUESTS:]))


def concerning(doc: Doc | None, ref: Ref, events: Iterable[Doc]) -> list[Doc]:
    """The events about an object, and about those that were made for it and are named after it."""
    uid = (doc or {}).get("metadata", {}).get("uid")
    found = []
    for event in events:
        about = event.get("involvedObject") or {}
        name = about.get("name", "")
        if (uid and about.get("uid") == uid) or f"{name}-".startswith(f"{ref.name}-"):
            found.append(event)
    return found


def _state(ref: Ref, doc: Doc | None) -> str:
    if doc is None:
        return f'It is not there: {ref.kind.resource} "{ref.name}" not found'
    import yaml

    text = yaml.safe_dump(without_managed_fields(doc), sort_keys=False, width=100)
    lines = text.splitlines()
    if len(lines) > _LINES:
        lines = [
            *lines[: _LINES // 2],
            f"... {len(lines) - _LINES} lines ...",
            *lines[-_LINES // 2 :],
        ]
    return "What it is now:\n" + _indented(lines)


def _event(event: Doc) -> str:
    about, count = event.get("involvedObject") or {}, event.get("count") or 1
    times = f" (x{count})" if count > 1 else ""
    where = f"{about.get('kind', '')}/{about.get('name', '')}"
    return f"{event.get('type')} {event.get('reason')} {where}: {event.get('message')}{times}"


def _when(event: Doc) -> str:
    metadata = event.get("metadata") or {}
    times = (event.get("lastTimestamp"), event.get("eventTime"), metadata.get("creationTimestamp"))
    return next((time for time in times if time), "")


def _indented(lines: Iterable[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)
