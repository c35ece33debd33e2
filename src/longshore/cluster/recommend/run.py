"""Read workloads and what they used, as whoever asks, and say what follows."""

from __future__ import annotations

from longshore.cluster.client.access import Access, with_access
from longshore.cluster.config import ClusterError
from longshore.cluster.recommend.plan import FORMS, Advice, advised
from longshore.core.objects.errors import NotFound
from longshore.core.objects.kinds import WORKLOAD_USAGE, Doc, Kind
from longshore.doors.kubernetes.client import HttpClient

MEASURED = "what workloads use is written every quarter of an hour, once their pods run"


def for_namespace(access: Access, namespace: str, needed_s: float) -> list[Advice]:
    """For all workloads of a namespace that were measured. needed_s is how many seconds of history a
    recommendation needs. Raises ClusterError."""

    async def ask(client: HttpClient) -> list[Advice]:
        found: list[Advice] = []
        for usage in (await client.list(WORKLOAD_USAGE, namespace)).items:
            target = usage["spec"]["targetRef"]
            workload = (
                await _workload(client, namespace, target) if target["kind"] in FORMS else None
            )
            if workload is not None:
                found += advised(workload, usage, needed_s)
        return found

    return with_access(access, ask)


def for_workload(access: Access, namespace: str, text: str, needed_s: float) -> list[Advice]:
    """For one, KIND/NAME. Raises ClusterError, also if it has too little history."""
    kind, name = parsed(text)

    async def ask(client: HttpClient) -> list[Advice]:
        try:
            workload = await client.get(kind, namespace, name)
        except NotFound as error:
            raise ClusterError(str(error)) from None
        usage = await _usage(client, namespace, kind, name)
        return list(advised(workload, usage, needed_s))

    found = with_access(access, ask)
    for one in found:
        if one.target is None:
            raise ClusterError(f"{one.title}, {one.container}: {one.why_not(needed_s)}")
    return found


def parsed(text: str) -> tuple[Kind, str]:
    """A kind of workload by any name that kubectl knows it by, and the workload's name. Raises
    ClusterError."""
    word, _, name = text.partition("/")
    for form in FORMS.values():
        kind = form.kind
        if word.lower() in (kind.singular, kind.plural, kind.resource, *kind.short_names):
            if not name:
                break
            return kind, name
    known = ", ".join(form.kind.singular for form in FORMS.values())
    raise ClusterError(f"{text!r} is no KIND/NAME of a workload; kinds are {known}")


async def _usage(client: HttpClient, namespace: str, kind: Kind, name: str) -> Doc:
    try:
        return await client.get(WORKLOAD_USAGE, namespace, f"{kind.singular}-{name}")
    except NotFound:
        raise ClusterError(f"{kind.singular}/{name} was not measured yet: {MEASURED}") from None


async def _workload(client: HttpClient, namespace: str, target: Doc) -> Doc | None:
    """None if it is gone."""
    try:
        return await client.get(FORMS[target["kind"]].kind, namespace, target["name"])
    except NotFound:
        return None
