"""Recommendations for people, for machines, and as commands. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from itertools import groupby

import orjson

from longshore.base.clock import rfc3339
from longshore.cluster.recommend.plan import Advice, patch, shown_cpu, shown_memory
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.usage.containers import Amounts

TITLES = ("WORKLOAD", "CONTAINER", "CPU", "RECOMMENDED", "MEMORY", "RECOMMENDED", "PODS", "SAVES CPU", "SAVES MEMORY")  # fmt: skip


def row(one: Advice) -> tuple[str, ...]:
    """The cells under TITLES of what is recommended."""
    assert one.target is not None
    saves = one.saves()
    return (
        one.title, one.container, _request(shown_cpu(one.request.cpu)), _range(one, "cpu"),
        _request(shown_memory(one.request.memory)), _range(one, "memory"), str(one.replicas),
        shown_cpu(saves.cpu), shown_memory(saves.memory),
    )  # fmt: skip


def notes(advice: Sequence[Advice], needed_s: float) -> Iterator[str]:
    """What nothing is recommended for, and why."""
    for one in advice:
        if one.target is None:
            yield f"{one.title}, {one.container}: {one.why_not(needed_s)}"


def as_dict(one: Advice, needed_s: float) -> Doc:
    """cpu and memory as quantities; recommended is empty, and why says why, as long as too little is
    known."""
    told: Doc = {
        "namespace": one.namespace, "kind": one.kind.name, "name": one.name,
        "container": one.container, "replicas": one.replicas, "since": rfc3339(one.first),
        "days": round(one.days, 3), "requests": _quantities(one.request),
        "recommended": {
            bound: amounts and _quantities(amounts) for bound, amounts in one.bounds.items()
        },
    }  # fmt: skip
    if one.target is None:
        return told | {"why": one.why_not(needed_s)}
    return told | {"saves": _quantities(one.saves())}


def commands(advice: Sequence[Advice]) -> Iterator[str]:
    """A line of shell for each workload that something is recommended for."""
    known = [one for one in advice if one.target is not None]
    for _, each in groupby(known, key=lambda one: (one.kind.name, one.name)):
        yield _command(list(each))


def _command(advice: list[Advice]) -> str:
    first = advice[0]
    if first.kind is kinds.JOB:
        return f"# {first.title}: the template of a Job cannot be changed; make it anew"
    text = orjson.dumps(patch(advice)).decode()
    what = shlex.join([first.kind.singular, first.name])
    return f"kubectl -n {first.namespace} patch {what} --type strategic -p {shlex.quote(text)}"


def _range(one: Advice, resource: str) -> str:
    """The target, and the bounds within which a request is as good."""
    show = shown_cpu if resource == "cpu" else shown_memory
    low, target, high = (
        "?" if amounts is None else show(getattr(amounts, resource))
        for amounts in (one.bounds[bound] for bound in ("lowerBound", "target", "upperBound"))
    )
    return f"{target} ({low} to {high})"


def _request(text: str) -> str:
    return "none" if text == "0" else text


def _quantities(amounts: Amounts) -> dict[str, str]:
    return {"cpu": shown_cpu(amounts.cpu), "memory": shown_memory(amounts.memory)}
