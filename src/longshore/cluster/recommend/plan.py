"""What follows from a workload and what it was seen to use. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from longshore.base import quantities
from longshore.base.clock import rfc3339
from longshore.core.objects import kinds, pod_requests
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.usage import containers
from longshore.core.objects.usage.containers import DAY_S, Amounts, recommended

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Form:
    """How a kind of workload has its pods' template: where, and how many pods it says."""

    kind: Kind
    template: tuple[str, ...] = ("spec", "template")
    replicas: tuple[str, ...] = ("spec", "replicas")


FORMS: Mapping[str, Form] = {
    form.kind.name: form
    for form in (
        Form(kinds.DEPLOYMENT), Form(kinds.STATEFUL_SET), Form(kinds.REPLICA_SET),
        Form(kinds.REPLICATION_CONTROLLER),
        Form(kinds.DAEMON_SET, replicas=("status", "desiredNumberScheduled")),
        Form(kinds.JOB, replicas=("spec", "parallelism")),
        Form(kinds.CRON_JOB, ("spec", "jobTemplate", "spec", "template"), ("spec", "jobTemplate", "spec", "parallelism")),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Advice:
    """For one container of a workload. request and limit are what its template says (0: nothing);
    bounds has lowerBound, target and upperBound and is empty as long as too little is known."""

    namespace: str
    kind: Kind
    name: str
    container: str
    replicas: int
    first: float
    days: float
    request: Amounts
    limit: Amounts
    bounds: Mapping[str, Amounts | None]

    @property
    def title(self) -> str:
        return f"{self.kind.singular}/{self.name}"

    @property
    def target(self) -> Amounts | None:
        return self.bounds.get("target")

    def saves(self) -> Amounts:
        """What all its pods together would request less; below 0: more."""
        target = self.target or self.request
        return Amounts(
            (self.request.cpu - target.cpu) * self.replicas,
            (self.request.memory - target.memory) * self.replicas,
        )

    def why_not(self, needed_s: float) -> str:
        """Why there is no recommendation."""
        return (
            f"too little history: measured since {rfc3339(self.first)}, {self.days * 24:.1f} hours "
            f"in all; a recommendation needs {needed_s / 3600:g}"
        )


def advised(workload: Doc, usage: Doc, needed_s: float) -> Iterator[Advice]:
    """For each container that is in the workload's template and was seen."""
    form = FORMS[usage["spec"]["targetRef"]["kind"]]
    listed = at(workload, (*form.template, "spec", "containers")) or []
    by_name = {one["name"]: one for one in listed}
    replicas = at(workload, form.replicas)
    for written in (usage.get("status") or {}).get("containers") or ():
        container = by_name.get(written["name"])
        if container is None:
            continue
        seen = containers.read(written)
        enough = seen.days * DAY_S >= needed_s
        resources = container.get("resources") or {}
        yield Advice(
            usage["metadata"]["namespace"], form.kind, workload["metadata"]["name"],
            written["name"], 1 if replicas is None else replicas, seen.first, seen.days,
            _amounts(resources.get("requests")), _amounts(resources.get("limits")),
            _rounded(recommended(seen, len(listed))) if enough else {},
        )  # fmt: skip


def at(doc: Doc, path: tuple[str, ...]) -> Any:
    """What is at a path; None if nothing is."""
    found: Any = doc
    for part in path:
        found = found.get(part) if isinstance(found, dict) else None
    return found


def patch(advice: list[Advice]) -> Doc:
    """The strategic merge patch that makes the containers of one workload request their targets. A
    limit that would be below its request is raised to it."""
    listed = [
        {"name": one.container, "resources": _resources(one, one.target)}
        for one in advice
        if one.target is not None
    ]
    made: Doc = {"spec": {"containers": listed}}
    for part in reversed(FORMS[advice[0].kind.name].template):
        made = {part: made}
    return made


def _resources(one: Advice, target: Amounts) -> Doc:
    requests = {"cpu": shown_cpu(target.cpu), "memory": shown_memory(target.memory)}
    limits = {}
    if 0 < one.limit.cpu < target.cpu:
        limits["cpu"] = requests["cpu"]
    if 0 < one.limit.memory < target.memory:
        limits["memory"] = requests["memory"]
    return {"requests": requests, "limits": limits} if limits else {"requests": requests}


def shown_cpu(millis: int) -> str:
    return pod_requests.written("cpu", millis)


def shown_memory(amount: int) -> str:
    """The sign, and MiB rounded up."""
    mib = -(-abs(amount) // _MIB)
    return quantities.text((-mib if amount < 0 else mib) * _MIB, binary=True)


def _amounts(written: Doc | None) -> Amounts:
    found = pod_requests.amounts_of(written or {})
    return Amounts(found.get("cpu", 0), found.get("memory", 0))


def _rounded(bounds: Mapping[str, Amounts | None]) -> Mapping[str, Amounts | None]:
    """Memory in whole MiB, as it is shown and patched."""
    return {
        name: one and Amounts(one.cpu, -(-one.memory // _MIB) * _MIB)
        for name, one in bounds.items()
    }
