"""Keep the status of each PodDisruptionBudget in step with its pods."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from longshore.base.clock import Clock, rfc3339
from longshore.core.objects import kinds, selectors
from longshore.core.objects.kinds import Doc, Kind, Kinds
from longshore.core.registry.client import Client, Update
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.common.watching import SelectorIndex
from longshore.machinery.controllers.disruption import plan as planning
from longshore.machinery.controllers.disruption.members import Members, member_of
from longshore.machinery.controllers.disruption.scales import Scales
from longshore.machinery.controllers.disruption.stale import stale_in_s, withdrawn
from longshore.machinery.loop.answers import DONE, Answer, sooner
from longshore.machinery.loop.recorder import Recorder

Key = tuple[Kind, str, str]
"""A budget, or a pod whose disruption was announced: kind, namespace, name."""

_UNMANAGED = (
    "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a "
    "result, the status of the PDB cannot be calculated correctly, which may result in undefined "
    'behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an '
    "integer value."
)


class DisruptionBudgets:
    """The reconciler. It knows the pods of each budget by their labels, so that a pod's change
    costs what its budgets are, however many pods they cover."""

    name = "disruption"
    watches: tuple[Kind, ...] = (kinds.PDB, kinds.POD)

    def __init__(
        self, cache: Cache, client: Client, clock: Clock, recorder: Recorder, known: Kinds
    ) -> None:
        self._cache = cache
        self._client = client
        self._clock = clock
        self._recorder = recorder.named("controllermanager")
        self._scales = Scales(cache, known)
        self._selectors = SelectorIndex()
        self._members: dict[tuple[str, str], Members] = {}
        self._budgets_of: dict[tuple[str, str], frozenset[str]] = {}

    # --- hearing ---

    def keys(self, event: Frame) -> Iterable[Key]:
        namespace, name = event.stored.namespace, event.stored.name
        if event.kind is kinds.PDB:
            self._hear_budget(event, namespace, name)
            return ((kinds.PDB, namespace, name),)
        # As it is now: the books never go back to what a late event tells.
        pod = self._cache.get(kinds.POD, namespace, name)
        changed: list[Key] = [
            (kinds.PDB, namespace, one) for one in self._hear_pod(pod, namespace, name)
        ]
        if pod is not None and stale_in_s(pod, 0.0) is not None:
            changed.append((kinds.POD, namespace, name))
        return changed

    def _hear_budget(self, event: Frame, namespace: str, name: str) -> None:
        gone = event.type == "DELETED"
        selector = None if gone else selectors.from_doc(event.doc["spec"].get("selector"))
        if not self._selectors.put(namespace, name, selector):
            return
        for member in self._members.pop((namespace, name), ()):
            self._note(namespace, member, self._budgets_of[namespace, member] - {name})
        if selector is not None:
            # A new question is asked of every pod of the namespace, once.
            for pod in self._cache.indexed(kinds.POD, "namespace", namespace):
                if selector.matches(pod["metadata"].get("labels")):
                    self._hear_pod(pod, namespace, pod["metadata"]["name"])

    def _hear_pod(self, pod: Doc | None, namespace: str, name: str) -> list[str]:
        """Bring the books up to date; the budgets whose count that changes."""
        before = self._budgets_of.get((namespace, name), frozenset())
        after: frozenset[str] = frozenset()
        if pod is not None:
            after = frozenset(self._selectors.matching(namespace, pod["metadata"].get("labels")))
        if not before and not after:
            return []
        self._note(namespace, name, after)
        if pod is not None and len(after) > 1 and after != before:
            self._tell_several(pod, min(after))
        member = None if pod is None else member_of(pod)
        return [
            budget
            for budget in before | after
            if self._book(namespace, budget).put(name, member if budget in after else None)
        ]

    def _note(self, namespace: str, pod: str, budgets: frozenset[str]) -> None:
        if budgets:
            self._budgets_of[namespace, pod] = budgets
        else:
            self._budgets_of.pop((namespace, pod), None)

    def _book(self, namespace: str, budget: str) -> Members:
        return self._members.setdefault((namespace, budget), Members())

    def _tell_several(self, pod: Doc, chosen: str) -> None:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        message = (
            f'Pod "{namespace}"/"{name}" matches multiple PodDisruptionBudgets.  Chose "{chosen}" '
            "arbitrarily."
        )
        self._recorder.event(pod, "Warning", "MultiplePodDisruptionBudgets", message)

    # --- acting ---

    async def reconcile(self, key: Key) -> Answer:
        kind, namespace, name = key
        found = self._cache.get(kind, namespace, name)
        if found is None:
            return DONE
        return await (self._count(found) if kind is kinds.PDB else self._withdraw(found))

    async def _count(self, budget: Doc) -> Answer:
        namespace, name = budget["metadata"]["namespace"], budget["metadata"]["name"]
        members = self._members.get((namespace, name), Members())
        now = self._clock.now()
        try:
            scale_of = partial(self._scales.of, namespace)
            plan = planning.plan(budget, members, scale_of, now, rfc3339(now))
        except planning.Uncountable as why:
            await self._fail(budget, str(why), rfc3339(now))
            return DONE
        if plan.status != budget.get("status"):
            self._tell(budget, members, plan)
            await self._client.write(Update(kinds.PDB, {**budget, "status": plan.status}, "status"))
        return sooner(plan.recheck_after_s)

    async def _fail(self, budget: Doc, why: str, stamp: str) -> None:
        status = planning.failed(budget, why, stamp)
        if status != budget.get("status"):
            message = f"Failed to calculate the number of expected pods: {why}"
            self._recorder.event(budget, "Warning", "CalculateExpectedPodCountFailed", message)
            await self._client.write(Update(kinds.PDB, {**budget, "status": status}, "status"))

    def _tell(self, budget: Doc, members: Members, plan: planning.Plan) -> None:
        if not len(members):
            self._recorder.event(budget, "Normal", "NoPods", "No matching pods found")
        if plan.unmanaged:
            message = _UNMANAGED.format(selectors.from_doc(budget["spec"].get("selector")))
            self._recorder.event(budget, "Warning", "UnmanagedPods", message)
        namespace, name = budget["metadata"]["namespace"], budget["metadata"]["name"]
        for late in plan.overdue:
            pod = self._cache.get(kinds.POD, namespace, late)
            if pod is not None:
                message = f"Pod was expected by PDB {namespace}/{name} to be deleted but it wasn't"
                self._recorder.event(pod, "Warning", "NotDeleted", message)

    async def _withdraw(self, pod: Doc) -> Answer:
        wait = stale_in_s(pod, self._clock.now())
        if wait == 0.0:
            told = withdrawn(pod, rfc3339(self._clock.now()))
            await self._client.write(Update(kinds.POD, told, "status"))
            return DONE
        return sooner(wait)
