"""Decide a DaemonSet's next steps out of its roster: nodes that get a pod, pods that go, what it says.

Pure. Rules: upstream's pkg/controller/daemon (daemon_controller.go, update.go).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice

from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common.shares import scaled
from longshore.machinery.controllers.daemonset.line import Line, Removal, Rules
from longshore.machinery.controllers.daemonset.nodes import meant_by
from longshore.machinery.controllers.daemonset.roster import Roster

# Pods made, and pods ended, in one turn; the next turn continues (upstream's BurstReplicas is 250).
BURST = 500
# Counts that stand when they are zero too; Go leaves the others out.
_ALWAYS = (
    "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DaemonPlan:
    """create: names of nodes. unfinished: there may be more than one turn does."""

    create: tuple[str, ...]
    remove: tuple[Removal, ...]
    status: Doc
    unfinished: bool


def rules_of(daemon_set: Doc, mark: str) -> Rules:
    """mark: the hash of its newest revision."""
    spec = daemon_set["spec"]
    surges = _is_rolling(spec) and scaled(_rolling(spec).get("maxSurge", 0), 100, up=True) > 0
    meant = meant_by(spec["template"]["spec"])
    return Rules(meant, mark, surges, int(spec.get("minReadySeconds", 0)))


def plan(daemon_set: Doc, roster: Roster, collisions: int) -> DaemonPlan:
    """The roster is settled. collisions: how many names of revisions were found taken."""
    more: list[str] = []
    ended: list[Removal] = []
    if _is_rolling(daemon_set["spec"]):
        more, ended = _rolled(daemon_set["spec"], roster)
    managed = (one for line in roster.remove.values() for one in line.remove)
    create = tuple(islice(chain(roster.create, more), BURST))
    remove = tuple(islice(chain(managed, ended), BURST))
    unfinished = BURST in (len(create), len(remove))
    return DaemonPlan(create, remove, _status(daemon_set, roster, collisions), unfinished)


def _is_rolling(spec: Doc) -> bool:
    strategy = spec.get("updateStrategy") or {}
    return bool(strategy.get("type", "RollingUpdate") == "RollingUpdate")


def _rolling(spec: Doc) -> Doc:
    return (spec.get("updateStrategy") or {}).get("rollingUpdate") or {}


def _rolled(spec: Doc, roster: Roster) -> tuple[list[str], list[Removal]]:
    """What an update asks for: nodes that get a new pod beside the old, old pods that go."""
    desired, unsettled = roster.counts.desired, len(roster.standing_at("unsettled"))
    broken, outdated = roster.standing_at("broken"), roster.standing_at("outdated")
    if not roster.rules.surges:
        most = scaled(_rolling(spec).get("maxUnavailable", 1), desired, up=True)
        # Upstream counts broken ones only once they are ended, and so may end one more that works.
        missing = unsettled + len(broken)
        chosen = islice(outdated.values(), max(0, most - missing))
        return [], _old([*broken.values(), *chosen])
    most = scaled(_rolling(spec).get("maxSurge", 0), desired, up=True)
    nodes = [*broken, *islice(outdated, max(0, most - unsettled))]
    # All stay served: what is on nodes that are not meant any more goes as others come up.
    spare = max(0, roster.counts.running - desired)
    leaving = roster.standing_at("leaving").values()
    return nodes, _old(islice(leaving, spare))


def _old(lines: Iterable[Line]) -> list[Removal]:
    return [Removal(line.old) for line in lines if line.old is not None]


def _status(daemon_set: Doc, roster: Roster, collisions: int) -> Doc:
    counts, before = roster.counts, daemon_set.get("status") or {}
    numbers = {
        "currentNumberScheduled": counts.current,
        "numberMisscheduled": counts.misscheduled,
        "desiredNumberScheduled": counts.desired,
        "numberReady": counts.ready,
        "observedGeneration": daemon_set["metadata"].get("generation", 0),
        "updatedNumberScheduled": counts.updated,
        "numberAvailable": counts.available,
        "numberUnavailable": counts.desired - counts.available,
        "collisionCount": collisions,
    }
    status: Doc = {name: n for name, n in numbers.items() if n or name in _ALWAYS}
    if conditions := before.get("conditions"):
        status["conditions"] = conditions
    return status
