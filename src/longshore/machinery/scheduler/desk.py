"""The scheduler's desk: what waits, what is parked, and one turn of work at a time. No I/O.

hear() takes changes in, turn() decides. Pods are counted in lots of one priority and one class;
those that no node takes are parked until a change could help them (hints.py), so nothing is asked
again and again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import orjson

from longshore.core.objects import dynamic_ports, kinds
from longshore.core.objects.device_claims import claims_of
from longshore.core.objects.kinds import Doc
from longshore.core.watch.frames import Frame
from longshore.machinery.scheduler import plan
from longshore.machinery.scheduler.admitting import Step, admitting
from longshore.machinery.scheduler.bunches import bunched
from longshore.machinery.scheduler.explain import explain
from longshore.machinery.scheduler.hints import Changes
from longshore.machinery.scheduler.holding import HEARD, Holding
from longshore.machinery.scheduler.memo import Memo
from longshore.machinery.scheduler.offers.held import Standing
from longshore.machinery.scheduler.pods.podclass import PodClass, PodClasses
from longshore.machinery.scheduler.pool import Line, Lot, Pending, Pool, pending_of
from longshore.machinery.scheduler.prebinding import Prebindings, Prepared, unused
from longshore.machinery.scheduler.preemption.making import TERMINATING, Made, RoomMaker
from longshore.machinery.scheduler.profile import DEFAULT, PROFILES, Profile
from longshore.machinery.scheduler.rules import dynamic_resources, volume_binding
from longshore.machinery.scheduler.turns import Refusal, Turn
from longshore.machinery.scheduler.view import devices
from longshore.machinery.scheduler.view.columns import Rows
from longshore.machinery.scheduler.view.view import ClusterView
from longshore.machinery.scheduler.waking import fitting_there, has_company, room_for

# Pods decided on in one turn, unless whoever asks has less time.
TURN_MAX = 5000
# A step that shares no factor with the number of rows of any usual cluster: ties go round.
_STEP = 7919


class Desk:
    """profiles: the schedulers that this is, by name; pods of other names are left alone. seed
    decides between nodes that are equally good."""

    def __init__(
        self,
        profiles: Mapping[str, Profile] = PROFILES,
        seed: int = 0,
        classes: PodClasses | None = None,
    ) -> None:
        self.view = ClusterView()
        self.waiting = Line()
        self.parked = Pool()
        self.making = RoomMaker(self.view)
        self.prebindings = Prebindings()
        self.holding = Holding(self._labels_of)
        self._profiles = profiles
        self._memos = {name: Memo(profile) for name, profile in profiles.items()}
        self._classes = classes or PodClasses()
        self._seed = seed
        self._changes = Changes()
        self._arrivals = 0
        self._gated: set[str] = set()

    @property
    def arrivals(self) -> int:
        """How many pods without a node were ever heard of."""
        return self._arrivals

    @property
    def gated(self) -> int:
        """How many pods wait for something else than a node: a gate, a group or a queue."""
        return len(self._gated) + self.holding.count

    @property
    def is_stale(self) -> bool:
        """Whether a selector asks for a label that classes have left out: all is to be read anew."""
        return self._classes.stale

    def emptied(self) -> Desk:
        """One that has heard of nothing yet."""
        classes = self._classes.renewed() if self.is_stale else None
        return Desk(self._profiles, self._seed, classes)

    # --- hearing ---

    def hear(self, event: Frame) -> None:
        """Take one change in."""
        gone = event.type == "DELETED"
        if event.kind is kinds.POD:
            self._hear_pod(event.doc, gone=gone)
        elif event.kind is kinds.NODE:
            self._hear_node(event.doc, gone=gone)
        elif event.kind is kinds.NAMESPACE:
            self._hear_namespace(event.doc, gone=gone)
        elif event.kind is kinds.PDB:
            self._hear_budget(event, gone=gone)
        elif event.kind is kinds.SERVICE:
            self._hear_service(event.doc, gone=gone)
        elif event.kind is kinds.OFFER:
            self._hear_offer(event, gone=gone)
        elif event.kind in HEARD:
            self.holding.hear(event)
        elif event.kind in devices.HEARD:
            self.view.devices.hear(event.kind, event.doc, gone=gone)
        else:
            self.view.volumes.hear(event.kind, event.doc, gone=gone)

    def see_pod(self, pod: Doc) -> None:
        """Note a pod as it is now."""
        uid, spec = pod["metadata"]["uid"], pod["spec"]
        phase = (pod.get("status") or {}).get("phase")
        if phase in ("Succeeded", "Failed"):
            self.forget(uid)
            if phase == "Succeeded":
                self.holding.succeed(uid, pod)
        elif node := spec.get("nodeName"):
            self._see_placed(uid, pod, node)
        elif "deletionTimestamp" in pod["metadata"]:
            self.forget(uid)
        elif _is_held_back(pod):
            self.forget(uid)
            self._gated.add(uid)
        elif spec.get("schedulerName", DEFAULT.name) in self._profiles:
            self._see_pending(uid, pod)

    def forget(self, uid: str) -> None:
        """The pod is gone, finished, or not to be placed: what it took is free."""
        self._gated.discard(uid)
        self._no_longer_waits(uid)
        self._vacate(uid)
        self._stand(self.holding.forget(uid))

    def _hear_pod(self, pod: Doc, *, gone: bool) -> None:
        if gone:
            self.forget(pod["metadata"]["uid"])
        else:
            self.see_pod(pod)

    def _hear_service(self, service: Doc, *, gone: bool) -> None:
        if gone:
            self.view.services.drop(service["metadata"]["namespace"], service["metadata"]["name"])
        else:
            self.view.services.put(service)
            if any(one.asks_for_services for one in self._profiles.values()):
                self._classes.heed(service["spec"].get("selector") or ())

    def _hear_node(self, node: Doc, *, gone: bool) -> None:
        if gone:
            self.view.drop_node(node["metadata"]["name"])
            self._changes.all = True
        else:
            self._gained(self.view.put_node(node))

    def _hear_namespace(self, namespace: Doc, *, gone: bool) -> None:
        metadata = namespace["metadata"]
        if gone:
            self.view.drop_namespace(metadata["name"])
        elif self.view.put_namespace(metadata["name"], metadata.get("labels") or {}):
            self._changes.all = True
            self.holding.queues.hear_namespace(metadata["name"])

    def _labels_of(self, namespace: str) -> Mapping[str, str]:
        return self.view.tallies.namespaces.get(namespace, {})

    def _hear_offer(self, event: Frame, *, gone: bool) -> None:
        if gone:
            self._gained(self.view.drop_pod(self.holding.offers.drop(event.stored.name)))
        else:
            self._stand(self.holding.offers.put(event.doc))

    def _stand(self, offer: Standing | None) -> None:
        """An offer stands in the view as a pod that takes what it still holds."""
        if offer is not None:
            self._gained(self.view.put_pod(offer.uid, offer.node, offer.pod_class))

    def _hear_budget(self, event: Frame, *, gone: bool) -> None:
        if gone:
            self.making.budgets.drop(event.stored.namespace, event.stored.name)
        else:
            self._classes.heed(self.making.budgets.put(event.doc))

    def _see_placed(self, uid: str, pod: Doc, node: str) -> None:
        self._no_longer_waits(uid)
        pod_class = self.making.known_class(uid, pod) or self._classes.of(pod)
        before, was_on = self.view.class_of(uid), self.view.node_of(uid)
        if before is not pod_class or was_on != node:
            if before is not None:
                self._changes.note(self._changes.left, before)
            self._changes.note(self._changes.came, pod_class)
            row = self.view.put_pod(uid, node, pod_class)
            if before is None or was_on != node or _takes(before) != _takes(pod_class):
                self._gained(row)
        self.making.see(uid, pod, pod_class)
        self.holding.place(uid, pod)
        if pod["spec"].get("schedulerName", DEFAULT.name) not in self._profiles:
            self._stand(self.holding.took(uid, pod))

    def _vacate(self, uid: str) -> None:
        pod_class = self.view.class_of(uid)
        if pod_class is not None:
            self._changes.note(self._changes.left, pod_class)
            self._gained(self.view.drop_pod(uid))
            self.making.forget(uid)

    def _no_longer_waits(self, uid: str) -> None:
        self.prebindings.pop(uid)
        waited = self.waiting.pop(uid) or self.parked.pop(uid)
        if waited or len(self.making.nominations):
            self.release(uid)

    def _see_pending(self, uid: str, pod: Doc) -> None:
        pod_class, priority = self._classes.of(pod), int(pod["spec"].get("priority") or 0)
        known = self.waiting.get(uid) or self.parked.get(uid) or self.holding.get(uid)
        if known is not None and (known.pod_class, known.priority) == (pod_class, priority):
            return
        if self.view.class_of(uid) is not None:
            return  # assumed: the news is older than our own binding, which is on its way
        self.forget(uid)
        self._arrivals += 1
        pending = pending_of(pod, pod_class, self._arrivals)
        if self.holding.enter(pending, pod):
            return
        self.waiting.add(pending)
        nominated = (pod.get("status") or {}).get("nominatedNodeName")
        if nominated:
            self.making.nominations.keep(pending, nominated)

    def _gained(self, row: int | None) -> None:
        if row is not None:
            self._changes.rows.add(row)

    # --- deciding ---

    def has_work(self) -> bool:
        self._unpark()
        some = len(self.waiting) > 0 or self.prebindings.has_settled
        return some or self.holding.has_work()

    def turn(self, most: int = TURN_MAX) -> Turn:
        """Decide about up to so many of those whose turn it is, and take the room in the view."""
        turn = Turn()
        for step in self.admitting(turn, most):
            step()
        for likeness, members in self.bunched(self.serve(most)):
            self.place_bunch(likeness, members, turn)
        self.resume(turn)
        return turn

    def resume(self, turn: Turn) -> None:
        """Let pods go on whose claims have been bound, and give up on those that wait in vain."""
        bound, in_vain = self.prebindings.settled()
        turn.bound.extend((one.pod, one.node) for one in bound)
        turn.in_vain.extend(in_vain)

    def admitting(self, turn: Turn, most: int) -> Iterator[Step]:
        """Let queues admit up to so many pods, and decide about groups that are complete, in steps of
        which each may fail."""
        self._unpark()
        return admitting(self, turn, most)

    def serve(self, most: int) -> Iterable[tuple[Lot, list[Pending]]]:
        """Take up to so many of those whose turn it is: each is to be placed, or put by."""
        self._unpark()
        return self.waiting.serve(most).items()

    def serve_few(self) -> Iterable[tuple[Lot, list[Pending]]]:
        """The same, of pods that came few at a time, while a crowd's turn is being written."""
        self._unpark()
        return self.waiting.serve_few().items()

    def place(self, lot: Lot, pods: list[Pending], turn: Turn) -> None:
        """Decide about pods of a lot, and take the room in the view."""
        if lot[1].singly and len(pods) > 1:
            for pod in pods:
                self.place(lot, [pod], turn)
            return
        left = self._to_kept_nodes(lot, pods, turn)
        rows = self.rows_for(lot, len(left))
        self.take(lot, left[: len(rows)], rows, turn)
        if len(rows) < len(left):
            self._refuse(lot, left[len(rows) :], turn)

    def bunched(
        self, served: Iterable[tuple[Lot, list[Pending]]]
    ) -> Iterator[tuple[PodClass, list[Pending]]]:
        """Pods of one priority and profile in bunches that are placed as one class each."""
        peers: dict[tuple[int, str], dict[PodClass, list[Pending]]] = {}
        for (priority, pod_class, profile), pods in served:
            peers.setdefault((priority, profile), {})[pod_class] = pods
        for (_, profile), wanted in peers.items():
            for likeness, members in bunched(self.view, wanted, self._profiles[profile]):
                yield likeness, [pod for _, pod in members]

    def place_bunch(self, likeness: PodClass, pods: list[Pending], turn: Turn) -> None:
        """place() for single pods of several classes, as if they were of one."""
        lot = pods[0].lot
        if likeness is lot[1] or len(self.making.nominations):
            for its_lot, its_pods in _by_lot(pods).items():
                self.place(its_lot, its_pods, turn)
            return
        rows = self.rows_for((lot[0], likeness, lot[2]), len(pods))
        for pod, row in zip(pods, rows, strict=False):
            self.take(pod.lot, [pod], [row], turn)
        for pod in pods[len(rows) :]:
            self.place(pod.lot, [pod], turn)

    def rows_for(self, lot: Lot, count: int) -> list[int]:
        """Rows for up to so many pods of a lot, which the view does not have yet."""
        return plan.place(self.view, lot[1], count, self._memos[lot[2]], self._next_seed())

    def rows_there(self, pod: Pending, node: str) -> list[int]:
        """The row of a node, if it has room for a pod."""
        return [*fitting_there(self.view, self._memos[pod.lot[2]], [pod], {pod.uid: node})]

    def why_not(self, lot: Lot) -> str:
        """Why no node takes one more pod of a lot."""
        return explain(self.view, lot[1], self._profiles[lot[2]])

    def recalled(self, uid: str) -> Pending | None:
        """A pod that waits for a node, which does so no more."""
        return self.waiting.pop(uid) or self.parked.pop(uid)

    def waits(self, uid: str) -> bool:
        """Whether a pod waits for a node, a queue or a group."""
        return (self.waiting.get(uid) or self.parked.get(uid) or self.holding.get(uid)) is not None

    def kept_for(self, uid: str) -> str:
        """The node that is kept for a pod; empty if there is none."""
        return self.making.nominations.node_of(uid)

    def stays(self, uid: str) -> None:
        """A pod that was to go could not be removed."""
        self.making.stays(uid)
        self.holding.queues.stays(uid)

    def put_by(self, pods: Iterable[Pending]) -> None:
        """Park those of some pods that have no node."""
        self.parked.add_all(pod for pod in pods if self.view.class_of(pod.uid) is None)

    def look_again(self, uid: str) -> None:
        """Let a parked pod be asked again."""
        pod = self.parked.pop(uid)
        if pod is not None:
            self.waiting.add(pod)
        elif group := self.holding.groups.of(uid):
            self.holding.groups.wake(group)

    def ask_all_again(self) -> None:
        """Let all parked pods be asked again."""
        for lot in self.parked.lots():
            self.waiting.add_all(self.parked.take(lot, len(self.parked)))
        self.holding.groups.wake_all()

    def _to_kept_nodes(self, lot: Lot, pods: list[Pending], turn: Turn) -> list[Pending]:
        """Give pods the nodes that were kept for them, where there is room by now; the others."""
        kept = self.making.nominations
        if not len(kept):
            return pods
        node_of = {pod.uid: kept.node_of(pod.uid) for pod in pods}
        for pod in pods:
            kept.release(pod.uid)
        left = pods
        memo = self._memos[lot[2]]
        while chosen := fitting_there(self.view, memo, left, node_of):
            self.take(lot, list(chosen.values()), list(chosen), turn)
            placed = {pod.uid for pod in chosen.values()}
            left = [pod for pod in left if pod.uid not in placed]
        for pod in left:
            if node_of[pod.uid]:
                kept.keep(pod, node_of[pod.uid])
        return left

    def take(self, lot: Lot, pods: Sequence[Pending], rows: Sequence[int], turn: Turn) -> None:
        """Give pods of a lot their nodes, and take the room in the view."""
        if not pods:
            return
        if lot[1].dynamic:
            self._take_with_ports(lot, pods, rows, turn)
            return
        for pod in pods:
            self._gained(self.making.nominations.release(pod.uid))
        self.view.put_pods([pod.uid for pod in pods], rows, lot[1])
        self.making.assume(pods, rows)
        self._changes.note(self._changes.came, lot[1])
        if self.parked.has(lot) and has_company(lot[1]):
            # Of these only as many were woken as there are rows: there may be room for another.
            self._changes.rows.update(rows)
        names = self.view.names
        placed: Iterable[tuple[Pending, int]] = zip(pods, rows, strict=True)
        if lot[1].singly:
            placed = [(pod, row) for pod, row in placed if not self._prepare(pod, row, turn)]
        turn.bound.extend((pod, names[row]) for pod, row in placed)

    def _take_with_ports(
        self, lot: Lot, pods: Sequence[Pending], rows: Sequence[int], turn: Turn
    ) -> None:
        """The same, choosing ports of the host for each; those for whom there are none left after
        the others wait on."""
        for pod, row in zip(pods, rows, strict=True):
            ports = self.view.ports.free(row, lot[1].dynamic, self._next_seed())
            if ports is None:
                self.waiting.add(pod)
                continue
            pod_class = lot[1].with_ports(ports)
            told = {dynamic_ports.GIVEN: orjson.dumps(ports).decode()}
            given = replace(pod, pod_class=pod_class, annotations=told)
            self.take((lot[0], pod_class, lot[2]), [given], [row], turn)

    def _prepare(self, pod: Pending, row: int, turn: Turn) -> bool:
        """Whether volumes or devices are to be the pod's before it is bound; if so, they are taken in
        the view."""
        own = pod.pod_class.devices
        work = volume_binding.work_for(self.view, pod.pod_class, row)
        given = None if own is None else dynamic_resources.work_for(self.view, own, row)
        if work is None and given is None:
            return False
        one = Prepared(pod, self.view.names[row], work or volume_binding.NOTHING, given)
        if work is not None:
            volume_binding.assume(self.view, work, row)
            self.prebindings.add(one)
        turn.prepared.append(one)
        return True

    def _refuse(self, lot: Lot, pods: list[Pending], turn: Turn) -> None:
        """Nobody takes these as things are: others may have to go for them, or they are parked."""
        profile = self._profiles[lot[2]]
        message = explain(self.view, lot[1], profile)
        if lot[1].refusal or not self.view.alive.any():
            turn.refused.extend(Refusal(pod, message) for pod in pods)
            self.parked.add_all(pods)
            return
        turn.unused.extend(unused(self.view.devices, pods))
        kept = {pod.uid for pod in pods if self.making.nominations.node_of(pod.uid)}
        made = self.make_room(pods)
        self.note_made(made, turn)
        turn.refused.extend(Refusal(pod, message, node) for pod, node in made.nominated)
        for pod, why in made.refused:
            # A node is kept while somebody leaves it, and no longer.
            lost = pod.uid in kept and why != TERMINATING
            turn.refused.append(Refusal(pod, f"{message} preemption: {why}", "" if lost else None))
        self.waiting.add_all(made.later)
        self.parked.add_all(pod for pod, _ in (*made.nominated, *made.refused))

    def make_room(self, pods: Sequence[Pending]) -> Made:
        """Room for pods of one lot that no node takes as things are."""
        return self.making.make(pods, self._profiles[pods[0].profile], self._next_seed())

    def note_made(self, made: Made, turn: Turn) -> None:
        """Others have to leave, and lose the nodes that were kept for them."""
        self._changes.rows |= made.released
        turn.victims.extend(made.victims)
        turn.displaced.extend(made.displaced)
        turn.sought.extend(made.costs())
        for pod in made.displaced:
            self.look_again(pod.uid)

    def nodes_for(self, lot: Lot, count: int) -> list[str]:
        """Nodes for up to so many pods of a lot, which the view does not have yet."""
        return [self.view.names[row] for row in self.rows_for(lot, count)]

    def gained(self, rows: Iterable[int]) -> None:
        """There is room again on some rows."""
        self._changes.rows.update(rows)

    def release(self, uid: str) -> None:
        """Keep no node for a pod any more."""
        self._gained(self.making.nominations.release(uid))

    def _next_seed(self) -> int:
        self._seed += _STEP
        return self._seed

    # --- waking ---

    def _unpark(self) -> None:
        """Let those wait again whom what changed could help; no more than there is room for."""
        if stir := self.view.volumes.stirred():
            self._changes.storage = stir
            self.prebindings.note(self.view.volumes, stir.claims)
        if news := self.view.devices.stirred():
            self._changes.devices = news
        groups = self.holding.groups
        if self._changes and (len(self.parked) or groups.has_parked):
            self._unpark_kept()
            rows = np.fromiter(self._changes.rows, np.intp)
            groups.wake_for(lambda lot: self._room_for(lot, rows))
            for lot in self.parked.lots():
                count = self._room_for(lot, rows)
                if count:
                    self.waiting.add_all(self.parked.take(lot, count))
        self._changes.clear()

    def _unpark_kept(self) -> None:
        """Those for whom a node is kept that has more room than it had."""
        for row in self._changes.rows if len(self.making.nominations) else ():
            for pod in self.making.nominations.on(self.view.names[row]):
                self.look_again(pod.uid)

    def _room_for(self, lot: Lot, rows: Rows) -> int:
        if self._changes.touch_claims_of(lot[1]):
            return len(self.parked)  # if only to say anew what is in the way
        return room_for(self.view, self._memos[lot[2]], self._changes, lot[1], rows)


def _is_held_back(pod: Doc) -> bool:
    """Whether a pod is not to be thought of yet: gates are on it, or claims have yet to be made for it
    (PreEnqueue of upstream's plug-ins)."""
    spec = pod["spec"]
    return bool(spec.get("schedulingGates")) or (
        "resourceClaims" in spec and any(one.claim == "" for one in claims_of(pod))
    )


def _takes(pod_class: PodClass) -> tuple[object, ...]:
    """What a pod has of its node alone."""
    return pod_class.load, pod_class.ports, pod_class.claims


def unbound(desk: Desk, pods: Iterable[tuple[Pending, Doc | None]]) -> None:
    """Take assumptions back after bindings failed; each with the pod as it is now, if it is."""
    for pod, now in pods:
        desk.forget(pod.uid)
        if now is not None and now["metadata"]["uid"] == pod.uid:
            desk.see_pod(now)


def _by_lot(pods: Iterable[Pending]) -> dict[Lot, list[Pending]]:
    found: dict[Lot, list[Pending]] = {}
    for pod in pods:
        found.setdefault(pod.lot, []).append(pod)
    return found
