"""Have the scheduler's desk decide about pods until nothing is left to be decided. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from longshore.core.objects.kinds import Doc, Kind
from longshore.core.watch.frames import Frame
from longshore.core.watch.stored import Stored
from longshore.machinery.scheduler.desk import Desk
from longshore.machinery.scheduler.profile import Profile
from longshore.machinery.scheduler.turns import Turn


@dataclass(slots=True)
class Decisions:
    """schedulers are the names of those who decide. By pods' uids: the nodes that they get, or why
    they get none. evicted are the names of pods
    that were there before and have to go for more important ones."""

    schedulers: Container[str]
    nodes: dict[str, str] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    evicted: list[str] = field(default_factory=list)


def heard(kind: Kind, doc: Doc) -> Frame:
    """News of an object that is there."""
    whole = {"apiVersion": kind.api_version, "kind": kind.name, **doc}
    return Frame("ADDED", Stored.of(kind, kind.key_of(doc), whole), None)


def decide(frames: Iterable[Frame], profiles: Mapping[str, Profile], seed: int) -> Decisions:
    """frames are news of all that placement depends on; pods come last."""
    heard_of = list(frames)
    desk = Desk(profiles, seed)
    for frame in heard_of:
        desk.hear(frame)
    if desk.is_stale:
        desk = desk.emptied()
        for frame in heard_of:
            desk.hear(frame)
    decided = Decisions(profiles)
    while desk.has_work():
        _note(desk.turn(), desk, decided)
    return decided


def _note(turn: Turn, desk: Desk, decided: Decisions) -> None:
    """Who has to go does so at once; what is to be written for a pod's claims counts as written."""
    for pod, node in turn.bound:
        decided.nodes[pod.uid] = node
        decided.refusals.pop(pod.uid, None)
    for one in turn.prepared:
        decided.nodes[one.pod.uid] = one.node
    for refusal in turn.refused:
        decided.refusals[refusal.pod.uid] = refusal.message
    for victim in turn.victims:
        if decided.nodes.pop(victim.uid, None) is None:
            decided.evicted.append(f"{victim.namespace}/{victim.name}")
        preemptor = victim.preemptor
        decided.refusals[victim.uid] = f"it makes room for {preemptor.namespace}/{preemptor.name}"
        desk.forget(victim.uid)
