"""The scheduler at work: hear of pods and nodes, decide in turns, write in batches.

Hearing goes on while decisions are being written, and so does deciding about single pods: what has been
decided is in the view, written or not. Turns are short, so that one pod which comes while thousands
are being placed is bound with the next of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from longshore.base.chance import Chance
from longshore.base.clock import Clock
from longshore.base.limits import LOOP_SLICE
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError, Conflict, Expired, NotFound
from longshore.core.objects.kinds import Kind
from longshore.core.registry.client import Client
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.loop.alarms import Alarms
from longshore.machinery.loop.backoff import Failures, Pace
from longshore.machinery.loop.recorder import Recorder
from longshore.machinery.scheduler.desk import Desk, unbound
from longshore.machinery.scheduler.holding import HEARD as HELD
from longshore.machinery.scheduler.metrics import SchedulerMetrics
from longshore.machinery.scheduler.offers.held import HeldOffers
from longshore.machinery.scheduler.offers.run import OfferMaker
from longshore.machinery.scheduler.pool import Lot, Pending
from longshore.machinery.scheduler.prebinding import PATIENCE_S, Prepared, heard_anew
from longshore.machinery.scheduler.preemption.making import Victim
from longshore.machinery.scheduler.profile import PROFILES, Profile
from longshore.machinery.scheduler.queues.run import Evictor, QueueReports
from longshore.machinery.scheduler.sizing import TurnSize
from longshore.machinery.scheduler.turns import Evicted, Turn
from longshore.machinery.scheduler.untold import News, Untold
from longshore.machinery.scheduler.view.devices import HEARD as DEVICES
from longshore.machinery.scheduler.view.view import ClusterView
from longshore.machinery.scheduler.view.volumes import HEARD
from longshore.machinery.scheduler.writing import Writer

WATCHES: tuple[Kind, ...] = (
    kinds.NAMESPACE, kinds.PDB, kinds.SERVICE, *HEARD, *DEVICES, *HELD, kinds.NODE, kinds.OFFER, kinds.POD,
)  # fmt: skip
# Turns whose writes are under way at the same time: a second one would keep single pods waiting twice
# as long for hardly more pods a second. Beyond it so many turns of single pods, which would else wait
# behind a crowd.
AHEAD, EXTRA = 1, 2
# News that is heard in one turn of the loop: as many as others write in one, so that in a burst the
# scheduler keeps up, and binds pods while the cache still has them decoded. It is some 15 ms.
HEARD_SLICE = 1024
# A net below the hints: who waits for so long is asked again though nothing seems to help (upstream:
# podMaxInUnschedulablePodsDuration).
ASKED_AGAIN_S = 300.0
_Key: TypeAlias = tuple[str, str, str]
"""Namespace, name and uid of a pod."""
_EVERYBODY, _UNTOLD = ("", "", ""), ("", "", "untold")
_SEEDS = 1 << 30


class Worker:
    def __init__(
        self,
        cache: Cache,
        client: Client,
        clock: Clock,
        chance: Chance,
        recorder: Recorder,
        profiles: Mapping[str, Profile] = PROFILES,
    ) -> None:
        self._cache = cache
        self._clock = clock
        self._writer = Writer(cache, client, clock, recorder)
        self._desk = Desk(profiles, chance.below(_SEEDS))
        self._size = TurnSize()
        self._evictor = Evictor(cache, client, clock, recorder)
        self._offers = OfferMaker(cache, client, clock, self._left_over)
        self._reports = QueueReports(cache, client, clock, lambda: self._desk.holding.queues)
        # Held while a batch of changes is half heard: nothing is decided on half a picture.
        self._picture = asyncio.Lock()
        self._some = asyncio.Event()
        # Turns of which the writes are under way.
        self._under_way = 0
        self.metrics = SchedulerMetrics(self._pending)
        self._untold = Untold()
        self._is_telling = False
        self._failures: Failures[str] = Failures(Pace(first_s=0.1, most_s=10.0), chance)
        self._log = logging.getLogger("longshore.scheduler")

    async def run(self) -> None:
        """Schedule until cancelled."""
        async with asyncio.TaskGroup() as crew:
            self._alarms: Alarms[_Key] = Alarms(self._clock, self._look_again, crew)
            self._patience: Alarms[str] = Alarms(self._clock, self._give_up, crew)
            crew.create_task(self._hear(), name="scheduler hears")
            crew.create_task(self._work(crew), name="scheduler places")
            crew.create_task(self._offers.run(), name="offers")
            crew.create_task(self._reports.run(), name="status of queues")

    # --- hearing ---

    async def _hear(self) -> None:
        while True:
            feed = self._cache.subscribe(*WATCHES)
            try:
                # Nothing is decided on half a picture; later news may come in parts.
                async with self._picture:
                    await self._take_in_all(await feed.next_batch(), LOOP_SLICE)
                while not self._desk.is_stale:
                    await self._take_in_all(await feed.next_batch(), HEARD_SLICE)
            except Expired:
                self._log.warning("fell too far behind: reading everything anew")
            finally:
                feed.close()
            async with self._picture:
                self._desk = self._desk.emptied()
                self.metrics.restarted()

    async def _take_in_all(self, batch: Sequence[Frame], most: int) -> None:
        """Take changes in, at most so many in one turn of the loop."""
        for number, event in enumerate(batch, 1):
            self._take_in(event)
            if number % most == 0:
                self._some.set()
                await self._clock.sleep(0)
        self.metrics.came(self._desk.arrivals, self._clock.monotonic())
        self._some.set()
        self._reports.look()

    def _take_in(self, event: Frame) -> None:
        try:
            self._desk.hear(event)
        except Exception:  # noqa: BLE001 - the loop's rim: one odd object must not stop scheduling
            self._log.exception("%s %s not understood", event.kind.name, event.stored.key)

    # --- deciding ---

    async def _work(self, crew: asyncio.TaskGroup) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            async with self._picture:
                turn = self._decided()
            if turn != Turn():
                self._under_way += 1
                crew.create_task(self._carry_out(turn), name="scheduler writes")
                # Let it be handed over before the next is decided.
                await self._clock.sleep(0)

    def _decided(self) -> Turn:
        """A turn; while enough are under way, one of the few pods alone that need not wait."""
        turn, begun = Turn(), self._clock.monotonic()
        if self._desk.is_stale:
            # What a selector asks for is not in the picture: it is about to be read anew.
            return turn
        if self._under_way < AHEAD:
            self._fill(turn)
            if self._desk.has_work():
                self._some.set()
        elif self._under_way < AHEAD + EXTRA:
            self._place(self._desk.serve_few(), turn)
        self._reports.look()
        if turn.refused:
            self._alarms.set(_EVERYBODY, ASKED_AGAIN_S)
        self.metrics.decided(len(turn), self._clock.monotonic() - begun)
        return turn

    def _fill(self, turn: Turn) -> None:
        most, begun = self._size.next(self._desk.arrivals), self._clock.monotonic()
        self._admit(turn, most)
        self._place(self._desk.serve(most), turn)
        self._desk.resume(turn)
        if self._untold:
            self._tell_again(turn)
        self._size.learn(len(turn), self._clock.monotonic() - begun)

    def _tell_again(self, turn: Turn) -> None:
        if self._is_telling:
            self._is_telling = False
            self._untold.add_to(turn, self._desk)
        else:
            self._untold.heed(turn)

    def _admit(self, turn: Turn, most: int) -> None:
        for step in self._desk.admitting(turn, most):
            try:
                step()
            except Exception:  # noqa: BLE001 - the loop's rim: an odd queue or group must not stop the others
                self._log.exception("a queue or group not decided about")

    def _place(self, lots: Iterable[tuple[Lot, list[Pending]]], turn: Turn) -> None:
        for likeness, pods in self._desk.bunched(lots):
            try:
                self._desk.place_bunch(likeness, pods, turn)
            except Exception:  # noqa: BLE001 - the loop's rim: one odd pod must not stop the others
                self._log.exception("%s/%s not decided about", pods[0].namespace, pods[0].name)
                self._desk.put_by(pods)

    # --- writing ---

    async def _carry_out(self, turn: Turn) -> None:
        try:
            await self._write(turn)
        except Exception:  # noqa: BLE001 - the loop's rim: scheduling must go on whatever fails
            self._log.exception("a turn failed")
            self._undo(turn)
            await self._clock.sleep(1.0)
        finally:
            self._under_way -= 1
            self._some.set()

    async def _write(self, turn: Turn) -> None:
        if turn.prepared or turn.in_vain:
            await self._prepare(turn)
        begun = self._clock.monotonic()
        missed = await self._writer.bind(turn.bound)
        self._settle(turn, missed)
        self._count(turn, missed, self._clock.monotonic() - begun)
        self._tell_later(await self._writer.tell(turn))
        if turn.evicted:
            await self._evictor.end(turn.evicted, self._kept)
        if turn.victims:
            await self._writer.remove(turn.victims, self._spared)

    def _count(self, turn: Turn, missed: list[tuple[Pending, ApiError]], took_s: float) -> None:
        counts, left = self.metrics, {pod.uid for pod, _ in missed}
        bound = [pod for pod, _ in turn.bound if pod.uid not in left]
        counts.bound(bound, took_s, self._clock.monotonic())
        counts.refused((one.pod for one in turn.refused if one.tried), took_s)
        counts.preempted(turn.sought)
        for pod, _ in missed:
            counts.failed(pod, took_s)

    def _pending(self) -> dict[str, int]:
        """How many pods are in upstream's queues of these names."""
        desk, alarms = self._desk, self._alarms
        later = len(alarms) - sum(key in alarms for key in (_EVERYBODY, _UNTOLD))
        return {
            "active": len(desk.waiting), "backoff": later,
            "unschedulable": len(desk.parked), "gated": desk.gated,
        }  # fmt: skip

    def _undo(self, turn: Turn) -> None:
        """Of what was decided, anything may have been written, or nothing: it is looked at anew."""
        self._take_back(pod for pod, _ in turn.bound)
        self._without_volumes(turn.prepared)
        self._tell_later([*turn.refused, *turn.displaced, *turn.groups])
        for one in turn.evicted:
            self._again_later(one)
        for victim in turn.victims:
            self._may_stay(victim)

    def _tell_later(self, untold: Sequence[News]) -> None:
        if untold:
            self._untold.note(untold)
            self._alarms.set(_UNTOLD, self._failures.wait_s(_UNTOLD[2]))
        elif not self._untold:
            self._failures.forget(_UNTOLD[2])

    async def _prepare(self, turn: Turn) -> None:
        """Have devices reserved, after which pods can be bound, and volumes bound; those for whom that
        failed are asked again."""
        self._writer.tell_in_vain(turn.in_vain)
        self._without_volumes(turn.in_vain)
        for one in turn.prepared:
            if one.work.waits:
                self._patience.set(one.pod.uid, PATIENCE_S)
        missed = await self._writer.prepare(turn.prepared)
        for one, error in missed:
            heard_anew(one, self._desk.view, self._cache.get)
            self._missed(one.pod, error)
        failed = {one.pod.uid for one, _ in missed}
        ready = [one for one in turn.prepared if not (one.work.waits or one.pod.uid in failed)]
        turn.bound.extend((one.pod, one.node) for one in ready)

    def _without_volumes(self, pods: Sequence[Prepared]) -> None:
        for one in pods:
            heard_anew(one, self._desk.view, self._cache.get)
        self._take_back(one.pod for one in pods)

    def _give_up(self, uid: str) -> None:
        """A pod's volumes have taken too long."""
        self._desk.prebindings.give_up(uid)
        self._some.set()

    def _left_over(self) -> tuple[ClusterView, HeldOffers] | None:
        """The picture of what can be offered: nothing, as long as pods wait that may fit."""
        if self._desk.has_work():
            self._some.set()
            return None
        return self._desk.view, self._desk.holding.offers

    def _settle(self, turn: Turn, missed: list[tuple[Pending, ApiError]]) -> None:
        for pod, error in missed:
            self._missed(pod, error)
        left = {pod.uid for pod, _ in missed}
        for pod, _ in turn.bound:
            if pod.uid not in left:
                self._failures.forget(pod.uid)

    def _missed(self, pod: Pending, error: ApiError) -> None:
        """Bound by somebody else, gone, or beaten to the room: the cache tells, or will in a moment.
        What is refused again, or for other reasons, is tried later."""
        again = self._failures.of(pod.uid) > 0
        if isinstance(error, Conflict | NotFound) and not again:
            self._failures.wait_s(pod.uid)
            self._take_back([pod])
            if not self._desk.waits(pod.uid):
                self._failures.forget(pod.uid)
            return
        self._desk.forget(pod.uid)
        self._log.warning("%s/%s not bound: %s", pod.namespace, pod.name, error.message)
        self._again_later(pod)

    def _spared(self, victim: Victim, error: ApiError) -> None:
        self._log.warning("%s/%s not removed: %s", victim.namespace, victim.name, error.message)
        self._may_stay(victim)

    def _may_stay(self, victim: Victim) -> None:
        """So far at least; at once, since whoever was to have its place is asked again, later."""
        self._desk.stays(victim.uid)
        self._see_anew(victim.namespace, victim.name, victim.uid)
        self._again_later(victim.preemptor)

    def _kept(self, one: Evicted, error: ApiError) -> None:
        self._log.warning("%s/%s not evicted: %s", one.namespace, one.name, error.message)
        self._again_later(one)

    def _again_later(self, one: Pending | Evicted) -> None:
        wait_s = self._failures.wait_s(one.uid)
        self._alarms.set((one.namespace, one.name, one.uid), wait_s)

    def _take_back(self, pods: Iterable[Pending]) -> None:
        get = self._cache.get
        unbound(self._desk, [(pod, get(kinds.POD, pod.namespace, pod.name)) for pod in pods])
        self._some.set()

    def _look_again(self, key: _Key) -> None:
        if key == _EVERYBODY:
            self._desk.ask_all_again()
        elif key == _UNTOLD:
            self._is_telling = True
        else:
            self._look_again_at(*key)
        self._some.set()

    def _look_again_at(self, namespace: str, name: str, uid: str) -> None:
        if self._see_anew(namespace, name, uid):
            self._desk.stays(uid)
            self._desk.look_again(uid)
        else:
            self._failures.forget(uid)

    def _see_anew(self, namespace: str, name: str, uid: str) -> bool:
        """Whether the pod is still there; if so, it is what the cache says."""
        pod = self._cache.get(kinds.POD, namespace, name)
        if pod is None or pod["metadata"]["uid"] != uid:
            return False
        self._desk.see_pod(pod)
        return True
