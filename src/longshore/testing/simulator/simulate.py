"""From a seed to a verdict: write the script, play it, judge it, and shrink what fails."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from longshore.core.objects.kinds import Doc
from longshore.testing.simulator.checkers import CHECKERS, IN_THE_END, judge
from longshore.testing.simulator.play import CALM_S, play
from longshore.testing.simulator.record import Record, Violation
from longshore.testing.simulator.script import ALL_DEEDS, DEEDS, FAULTS, Step, written
from longshore.testing.simulator.shrink import shrink

NODES = 10
# Seconds between two deeds of users, on average.
PACE_S = 2.0
# Enough for what was begun to be answered.
_SHORT_CALM_S = 10.0


@dataclass(frozen=True, slots=True)
class Setting:
    """What, with the seed, decides everything. ticks: simulated seconds in which users act and
    things go wrong; calm_s more follow in which all must come to rest. all_deeds: among what users
    do are also the deeds that only a long run has time for."""

    ticks: int = 600
    faults: Sequence[str] = tuple(FAULTS)
    nodes: int = NODES
    pace_s: float = PACE_S
    calm_s: float = CALM_S
    servers: int = 1
    all_deeds: bool = False

    def script(self, seed: int) -> list[Step]:
        deeds = ALL_DEEDS if self.all_deeds else DEEDS
        return written(seed, self.ticks, self.faults, self.names, self.pace_s, deeds)

    @property
    def names(self) -> list[str]:
        return [f"node-{number}" for number in range(self.nodes)]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a seed came to. script is what was played: all of it, or what is left after shrinking."""

    seed: int
    script: Sequence[Step]
    violations: Sequence[Violation]
    record: Record

    @property
    def objects(self) -> dict[str, Doc]:
        """Those that violations are about, as they ended."""
        there = self.record.objects()
        keys = dict.fromkeys(key for one in self.violations for key in one.about)
        return {key: there[key] for key in keys if key in there}

    def as_dict(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "steps": [{"at": s.at, "what": s.what, **s.args} for s in self.script],
            "violations": [{"rule": v.rule, "sentence": v.sentence} for v in self.violations],
            "writes": len(self.record.log),
            "requests": len(self.record.asked),
        }


def simulate(seed: int, setting: Setting) -> Verdict:
    return replay(seed, setting.script(seed), setting)


def replay(seed: int, script: Sequence[Step], setting: Setting) -> Verdict:
    """Play a script with the chances of a seed."""
    record = _played(seed, script, setting)
    return Verdict(seed, script, judge(record), record)


def shrunk(verdict: Verdict, setting: Setting, tries: int) -> Verdict:
    """The same first violation from a shorter script. What breaks while things happen is looked for
    without the time of rest, which is most of the time."""
    rule, seed = verdict.violations[0].rule, verdict.seed

    def failing(calm_s: float) -> Callable[[Sequence[Step]], bool]:
        tried = replace(setting, calm_s=calm_s)

        def fails(script: Sequence[Step]) -> bool:
            record = _played(seed, script, tried)
            return next(iter(CHECKERS[rule](record)), None) is not None

        return fails

    fails = failing(min(setting.calm_s, _SHORT_CALM_S))
    if rule in IN_THE_END or not fails(verdict.script):
        fails = failing(setting.calm_s)
    return replay(seed, shrink(verdict.script, fails, tries), setting)


def _played(seed: int, script: Sequence[Step], setting: Setting) -> Record:
    """A played script, with nothing left of the cluster that played it."""
    record = play(script, seed, setting.nodes, setting.calm_s, setting.servers)
    gc.collect()
    gc.freeze()  # what is left is what all clusters share: it need not be looked at again
    return record
