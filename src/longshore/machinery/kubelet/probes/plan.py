"""How single probe results add up to a container's health. Pure.

Thresholds as in pkg/kubelet/prober/worker.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.lifecycle.model import Health

ProbeName: TypeAlias = Literal["startup", "liveness", "readiness"]
PROBES: tuple[ProbeName, ...] = ("startup", "liveness", "readiness")


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe of a container, with upstream's defaults filled in. Times are in seconds."""

    name: ProbeName
    handler: Doc
    initial_delay_s: float = 0.0
    period_s: float = 10.0
    timeout_s: float = 1.0
    success_threshold: int = 1
    failure_threshold: int = 3
    grace_s: int | None = None


def probes_of(container: Doc) -> dict[ProbeName, Probe]:
    return {name: _probe(name, doc) for name in PROBES if (doc := container.get(f"{name}Probe"))}


def _probe(name: ProbeName, doc: Doc) -> Probe:
    return Probe(
        name,
        doc,
        float(doc.get("initialDelaySeconds") or 0),
        float(doc.get("periodSeconds") or 10),
        float(doc.get("timeoutSeconds") or 1),
        doc.get("successThreshold") or 1,
        doc.get("failureThreshold") or 3,
        doc.get("terminationGracePeriodSeconds"),
    )


@dataclass(frozen=True, slots=True)
class Tally:
    """What results add up to. passed is None until a threshold was reached for the first time."""

    passed: bool | None = None
    last: bool | None = None
    streak: int = 0

    def after(self, probe: Probe, good: bool) -> Tally:
        streak = self.streak + 1 if good == self.last else 1
        threshold = probe.success_threshold if good else probe.failure_threshold
        passed = good if streak >= threshold else self.passed
        return Tally(passed, good, streak)


def health(
    probes: dict[ProbeName, Probe], tallies: dict[ProbeName, Tally], container: str
) -> Health:
    """A container with a startup probe has not started, and one with a readiness probe is not
    ready, before the probe passed; a liveness or startup probe that failed condemns it."""
    passed = {name: tallies.get(name, Tally()).passed for name in probes}
    started = passed.get("startup", True) is True
    ready = started and passed.get("readiness", True) is True
    for name in ("startup", "liveness"):
        if passed.get(name) is False:
            sentence = f"Container {container} failed {name} probe, will be restarted"
            return Health(started, False, sentence, probes[name].grace_s)
    return Health(started, ready)
