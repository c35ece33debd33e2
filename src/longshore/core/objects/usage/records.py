"""UsageRecords: how a project's history lies in the store.

A project has one record of each place that chunks of minutes take by turns, and one of what was folded.
The record of the chunk that is being written changes often and is small, the others four times a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from longshore.core.objects.kinds import USAGE_RECORD, Doc
from longshore.core.objects.usage.rings import (
    CHUNK_S,
    CHUNKS_MAX,
    MINUTE_S,
    QUARTER_S,
    Folded,
    History,
    slot,
)
from longshore.core.objects.usage.series import Series, decoded, encoded

_FOLDED = "folded"


def names(project: str) -> list[str]:
    """What the records of a project are called: a namespace's name has no dot, so it is unambiguous."""
    return [f"{project}.{_FOLDED}", *(f"{project}.minutes-{one}" for one in range(CHUNKS_MAX))]


def project_of(name: str) -> str:
    """Whose record it is."""
    return name.partition(".")[0]


def of_minutes(project: str, minutes: Series) -> Doc:
    """The record of a chunk of minutes, which is not empty."""
    return _record(f"{project}.minutes-{slot(minutes.start)}", project, [minutes])


def of_folded(project: str, folded: Folded) -> Doc:
    return _record(f"{project}.{_FOLDED}", project, [folded.quarters, folded.chunks])


def history(records: Iterable[Doc]) -> History:
    """What all records of one project say."""
    by_step: dict[int, list[Series]] = {MINUTE_S: [], QUARTER_S: [], CHUNK_S: []}
    for record in records:
        for part in record["spec"]["series"]:
            step = part["stepSeconds"]
            by_step[step].append(decoded(step, part["start"], part["data"]))
    folded = Folded.nothing()
    for quarters in by_step[QUARTER_S]:
        folded.quarters = quarters
    for chunks in by_step[CHUNK_S]:
        folded.chunks = chunks
    return History(folded, by_step[MINUTE_S])


def _record(name: str, project: str, parts: Sequence[Series]) -> Doc:
    series = [{"stepSeconds": one.step, "start": one.start, "data": encoded(one)} for one in parts]
    return {
        "apiVersion": USAGE_RECORD.api_version,
        "kind": USAGE_RECORD.name,
        "metadata": {"name": name},
        "spec": {"project": project, "series": series},
    }
