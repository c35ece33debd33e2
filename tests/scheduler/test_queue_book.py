"""The queues as they stand, whatever happens: a machine that draws events, and what must hold after each."""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.pods.podclass import PodClasses
from longshore.machinery.scheduler.pool import Pending
from longshore.machinery.scheduler.queues.book import Decided, Queues
from longshore.machinery.scheduler.queues.settings import Local

from .placing import pod

NAMES = st.sampled_from(("red", "blue", "green"))
SIZES = st.integers(1, 4)
PLAIN = PodClasses().of(pod("p"))


def cluster_queue(name: str, gpus: int, *, reclaims: bool, stopped: bool) -> Doc:
    quota = {"name": "gpu", "nominalQuota": str(gpus)}
    group = {"coveredResources": ["gpu"], "flavors": [{"name": "f", "resources": [quota]}]}
    spec = {
        "cohort": "all", "namespaceSelector": {}, "resourceGroups": [group],
        "preemption": {"reclaimWithinCohort": "Any" if reclaims else "Never"},
        "stopPolicy": "Hold" if stopped else "None",
    }  # fmt: skip
    return {"metadata": {"name": name}, "spec": spec}


def local_queue(name: str) -> Doc:
    return {"metadata": {"namespace": "shop", "name": name}, "spec": {"clusterQueue": name}}


class QueueMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.queues = Queues(lambda _: {})
        self.count = 0
        self.nominal: dict[str, int] = {}
        self.locals: set[str] = set()
        # By uid: the queue that a pod names and how much it takes.
        self.waiting: dict[str, tuple[str, int]] = {}
        self.admitted: dict[str, tuple[str, int]] = {}
        self.exceeded = False
        self.together: dict[str, set[str]] = {}

    @rule(name=NAMES, gpus=st.integers(0, 8), reclaims=st.booleans(), stopped=st.booleans())
    def put_queue(self, name: str, gpus: int, reclaims: bool, stopped: bool) -> None:
        self.exceeded |= gpus < self.nominal.get(name, 0)
        self.nominal[name] = gpus
        doc = cluster_queue(name, gpus, reclaims=reclaims, stopped=stopped)
        self.queues.hear_queue(doc, gone=False)

    @rule(name=NAMES)
    def drop_queue(self, name: str) -> None:
        self.exceeded |= self.nominal.pop(name, 0) > 0
        doc = cluster_queue(name, 0, reclaims=False, stopped=False)
        self.queues.hear_queue(doc, gone=True)

    @rule(name=NAMES, there=st.booleans())
    def put_local(self, name: str, there: bool) -> None:
        self.exceeded |= bool(self.admitted)  # what was admitted before may count again
        (self.locals.add if there else self.locals.discard)(name)
        self.queues.hear_local(local_queue(name), gone=not there)

    @rule(name=NAMES, sizes=st.lists(SIZES, min_size=1, max_size=3), priority=st.integers(0, 1))
    def come(self, name: str, sizes: list[int], priority: int) -> None:
        """A pod, or a gang."""
        pods, of = {}, {}
        for size in sizes:
            self.count += 1
            uid = f"u{self.count}"
            pods[uid] = Pending(uid, "shop", uid, {}, priority, PLAIN, self.count)
            of[uid] = {"gpu": size}
            self.waiting[uid] = (name, size)
        self.together.update({key: set(pods) for key in pods})
        self.queues.enter(pods, Local("shop", name), of)

    @rule(data=st.data())
    def be_bound(self, data: st.DataObject) -> None:
        """An admitted pod is bound, or one that nobody admitted."""
        known = sorted({**self.waiting, **self.admitted})
        if not known:
            return
        uid = data.draw(st.sampled_from(known))
        if uid in self.waiting:
            self.exceeded = True
            self.admitted[uid] = self.waiting.pop(uid)
        name, size = self.admitted[uid]
        self.queues.place(uid, uid, Local("shop", name), {"gpu": size})

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        known = sorted({**self.waiting, **self.admitted})
        if known:
            uid = data.draw(st.sampled_from(known))
            self.waiting.pop(uid, None)
            self.admitted.pop(uid, None)
            self.queues.forget(uid)

    @rule(most=st.integers(1, 9))
    def decide(self, most: int) -> None:
        for one, why in self.queues.lost():
            assert one.uid in self.waiting
            assert why
        for cohort in self.queues.due():
            self.note(self.queues.decide(cohort, most))
            assert self.queues.decide(cohort, 0).admitted == []

    def note(self, decided: Decided) -> None:
        for one in decided.admitted:
            self.admitted[one.uid] = self.waiting.pop(one.uid)
        for one, why in decided.told:
            assert one.uid in self.waiting
            assert why
        for unit, queue in decided.victims:
            assert unit.workload.queue != queue
            assert all(uid in self.admitted for uid in unit.amounts)

    @invariant()
    def nobody_is_lost(self) -> None:
        for uid in self.waiting:
            assert self.queues.get(uid) is not None
            assert not self.queues.is_admitted(uid)
        for uid in self.admitted:
            assert self.queues.is_admitted(uid)
            assert self.queues.get(uid) is None

    @invariant()
    def what_is_told_is_what_is(self) -> None:
        used: Counter[str] = Counter()
        for name, size in self.admitted.values():
            used[name] += size
        for name in ("red", "blue", "green"):
            tally = self.queues.tallies.get(Local("shop", name))
            assert (tally.used["gpu"] if tally else 0) == used[name]

    @invariant()
    def no_more_is_admitted_than_there_is(self) -> None:
        if not self.exceeded:
            used = sum(size for name, size in self.admitted.values() if name in self.locals)
            assert used <= sum(self.nominal.values())

    @invariant()
    def who_fits_is_admitted(self) -> None:
        """Once all is decided, nobody waits who is within the own quota while nothing is used."""
        if self.queues.has_work() or self.admitted:
            return
        for uid, (name, _) in self.waiting.items():
            unit_size = sum(
                size for other, (_, size) in self.waiting.items() if other in self.together[uid]
            )
            if name in self.locals and name in self.nominal:
                share = self.queues.settings.share(name)
                assert share is not None
                assert share.stopped or unit_size > sum(self.nominal.values())


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
