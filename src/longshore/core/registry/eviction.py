"""Eviction: a pod is deleted if the disruption budget that covers it can spare one.

Rules: pkg/registry/core/pod/storage/eviction.go of Kubernetes and
kubernetes.io/docs/concepts/scheduling-eviction/api-eviction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from longshore.base.clock import Clock, rfc3339
from longshore.base.users import User, loop_user
from longshore.core.objects import kinds
from longshore.core.objects.errors import (
    ApiError,
    Cause,
    Conflict,
    Forbidden,
    InternalError,
    NotFound,
    TooManyRequests,
)
from longshore.core.objects.kinds import Doc, Ref
from longshore.core.objects.selectors import from_doc
from longshore.core.registry.client import DeleteOptions
from longshore.core.registry.deletion import check_preconditions
from longshore.core.registry.registry import Registry
from longshore.core.watch.cache import scope
from longshore.core.watch.stored import Stored

# Who may evict need not be allowed to delete pods or to write budgets: this does it for them.
_EVICTOR = loop_user("eviction")
# How many evictions of one budget may wait for its controller to hear of them.
DISRUPTED_MAX = 2000
# How often a pod that changes meanwhile is looked at again.
_TRIES = 20
_VIOLATES = "Cannot evict pod as it would violate the pod's disruption budget."


class Evictions:
    """Evicts pods of a registry."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock

    async def evict(
        self, who: User, namespace: str, name: str, options: DeleteOptions, *, dry_run: bool
    ) -> None:
        """Raises NotFound, Forbidden, Conflict (a precondition), TooManyRequests (the budget has
        none to spare, or nobody has counted yet), InternalError (there are several budgets)."""
        permission = self._registry.permission
        permission.authorize(who, "create", kinds.POD, namespace, name, "eviction")
        self._registry.admit("create", who, Ref(kinds.POD, namespace, name, "eviction"))
        ref = Ref(kinds.POD, namespace, name)
        await self._registry.confirm()
        for _ in range(_TRIES):
            try:
                return await self._evict(ref, options, dry_run=dry_run)
            except Conflict:
                if options.revision or options.uid:
                    raise
        raise Conflict.of(kinds.POD, name, "the pod changes faster than it can be evicted")

    async def _evict(self, ref: Ref, options: DeleteOptions, *, dry_run: bool) -> None:
        stored = self._registry.cache.shelf(kinds.POD).get(ref.key)
        if stored is None:
            raise NotFound.of(kinds.POD, ref.name)
        pod = stored.doc
        here = replace(options, revision=options.revision or str(stored.revision))
        if _is_over(pod):
            await self._remove(ref, options, dry_run=dry_run)
        elif _phase(pod) == "Pending":
            # It may become ready in this moment, and then its budget counts it.
            await self._remove(ref, here, dry_run=dry_run)
        else:
            await self._guarded(ref, pod, options, here, dry_run=dry_run)

    async def _guarded(
        self, ref: Ref, pod: Doc, options: DeleteOptions, here: DeleteOptions, *, dry_run: bool
    ) -> None:
        budget = self._budget(pod)
        if budget is None:
            return await self._remove(ref, options, dry_run=dry_run)
        if not _may_go_unready(pod, budget.doc):
            await self._spend(budget, ref.name, dry_run=dry_run)
            return await self._remove(ref, options, dry_run=dry_run)
        try:
            await self._remove(ref, here, dry_run=dry_run)
        except Conflict:
            if options.revision or options.uid:
                raise
            raise _unsettled(budget.name) from None

    def _budget(self, pod: Doc) -> Stored | None:
        """The one budget that covers a pod. Raises InternalError for several."""
        labels = pod["metadata"].get("labels") or {}
        prefix = scope(kinds.PDB, pod["metadata"]["namespace"])
        found = [
            budget
            for budget in self._registry.cache.shelf(kinds.PDB).range(prefix)
            if _covers(budget.doc, labels)
        ]
        if len(found) > 1:
            raise InternalError(
                "This pod has more than one PodDisruptionBudget, which the eviction subresource "
                "does not support."
            )
        return found[0] if found else None

    async def _spend(self, budget: Stored, pod: str, *, dry_run: bool) -> None:
        ref = Ref(kinds.PDB, budget.namespace, budget.name, "status")
        now = rfc3339(self._clock.now())
        if dry_run:
            spent(budget.doc, pod, now)
        else:
            await self._registry.change(_EVICTOR, ref, lambda there: spent(there.doc, pod, now))

    async def _remove(self, ref: Ref, options: DeleteOptions, *, dry_run: bool) -> None:
        if not dry_run:
            marked = await self._registry.change(
                _EVICTOR, ref._replace(subresource="status"), self._marking(options)
            )
            if options.revision:
                options = replace(options, revision=str(marked.revision))
        await self._registry.delete(_EVICTOR, ref, options, dry_run=dry_run)

    def _marking(self, options: DeleteOptions) -> Callable[[Stored], Doc]:
        """Says on the pod why it goes (KEP-3329)."""

        def marked(there: Stored) -> Doc:
            check_preconditions(kinds.POD, there.doc, options)
            return with_target(there.doc, rfc3339(self._clock.now()))

        return marked


def with_target(pod: Doc, now: str) -> Doc:
    """The pod with the condition DisruptionTarget; shares the rest."""
    status = pod.get("status") or {}
    conditions = status.get("conditions") or []
    before: Doc = next((c for c in conditions if c["type"] == "DisruptionTarget"), {})
    since = before["lastTransitionTime"] if before.get("status") == "True" else now
    target = {
        "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting", "lastTransitionTime": since,
    }  # fmt: skip
    others = [c for c in conditions if c["type"] != "DisruptionTarget"]
    return {
        **pod, "metadata": {**pod["metadata"]},
        "status": {**status, "conditions": [*others, target]},
    }  # fmt: skip


def spent(budget: Doc, pod: str, now: str) -> Doc:
    """The budget after it let a pod go; shares what stays. Raises TooManyRequests or Forbidden if
    it cannot."""
    name, status = budget["metadata"]["name"], budget.get("status") or {}
    _check_budget(name, budget["metadata"].get("generation", 0), status)
    left = status["disruptionsAllowed"] - 1
    disrupted = {**(status.get("disruptedPods") or {}), pod: now}
    status = {**status, "disruptionsAllowed": left, "disruptedPods": disrupted}
    if not left:
        status["conditions"] = _no_more(status, now)
    return {**budget, "metadata": {**budget["metadata"]}, "status": status}


def _check_budget(name: str, generation: int, status: Doc) -> None:
    if status.get("observedGeneration", 0) < generation:
        raise _unsettled(name)
    allowed = status.get("disruptionsAllowed", 0)
    if allowed < 0:
        raise _forbidden(name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or ()) > DISRUPTED_MAX:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise _forbidden(name, why)
    if not allowed:
        raise TooManyRequests(_VIOLATES, causes=[_budget_cause(_why_none(name, status))])


def _why_none(name: str, status: Doc) -> str:
    for condition in status.get("conditions") or ():
        if condition["type"] == "DisruptionAllowed" and condition.get("reason") == "SyncFailed":
            return (
                f"The disruption budget {name} does not allow evicting pods currently because it "
                f"failed sync: {condition.get('message', '')}"
            )
    wanted, healthy = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
    return f"The disruption budget {name} needs {wanted} healthy pods and has {healthy} currently"


def _no_more(status: Doc, now: str) -> list[Doc]:
    """The conditions of a budget that has none left (component-helpers/apps/poddisruptionbudget)."""
    conditions = status.get("conditions") or []
    before: Doc = next((c for c in conditions if c["type"] == "DisruptionAllowed"), {})
    since = before["lastTransitionTime"] if before.get("status") == "False" else now
    exhausted = {
        "type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods",
        "message": "", "lastTransitionTime": since,
        "observedGeneration": status.get("observedGeneration", 0),
    }  # fmt: skip
    return [*(c for c in conditions if c["type"] != "DisruptionAllowed"), exhausted]


def _unsettled(budget: str) -> TooManyRequests:
    cause = _budget_cause(f"The disruption budget {budget} is still being processed by the server.")
    return TooManyRequests(_VIOLATES, causes=[cause], retry_after_s=10)


def _budget_cause(message: str) -> Cause:
    return Cause("DisruptionBudget", message)


def _forbidden(budget: str, why: str) -> ApiError:
    return Forbidden(
        f'poddisruptionbudget.policy "{budget}" is forbidden: {why}', kind=kinds.PDB, name=budget
    )


def _covers(budget: Doc, labels: dict[str, str]) -> bool:
    given = budget["spec"].get("selector")
    # An empty selector covers everything (policy/v1); a missing one nothing.
    selector = from_doc(given) if given is not None else None
    return selector is not None and selector.matches(labels)


def _may_go_unready(pod: Doc, budget: Doc) -> bool:
    """A pod that is not ready is not counted: it may go if enough others are
    (spec.unhealthyPodEvictionPolicy)."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    if any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
        return False
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    desired = status.get("desiredHealthy", 0)
    return bool(status.get("currentHealthy", 0) >= desired > 0)


def _phase(pod: Doc) -> str:
    return str((pod.get("status") or {}).get("phase", ""))


def _is_over(pod: Doc) -> bool:
    return _phase(pod) in ("Succeeded", "Failed") or "deletionTimestamp" in pod["metadata"]
