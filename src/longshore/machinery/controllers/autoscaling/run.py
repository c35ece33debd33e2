"""Sync each HorizontalPodAutoscaler every 15 seconds, and when its spec changes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from longshore.base.clock import Clock, rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Client, Patch, Update
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.autoscaling import plan as planning
from longshore.machinery.controllers.autoscaling.evaluate import World
from longshore.machinery.controllers.autoscaling.metrics import AutoscalerMetrics, action
from longshore.machinery.controllers.autoscaling.plan import Plan, Telling
from longshore.machinery.controllers.autoscaling.rates import Memory
from longshore.machinery.controllers.autoscaling.selected import Key, Selected
from longshore.machinery.controllers.autoscaling.sources import Sources
from longshore.machinery.controllers.autoscaling.status import status_of, unscalable
from longshore.machinery.controllers.autoscaling.targets import Target, Unscalable, find
from longshore.machinery.loop.answers import DONE, Answer, WakeAfter
from longshore.machinery.loop.recorder import Recorder

# kube-controller-manager's --horizontal-pod-autoscaler-sync-period.
_PERIOD_S = 15.0
log = logging.getLogger("longshore.loop.autoscaling")


class Autoscalers:
    """The reconciler. Upstream waits out the period before it looks at an autoscaler that is new or was
    changed; here it is looked at at once. Nothing goes by how often it is."""

    name = "horizontal-pod-autoscaler"
    watches: tuple[Kind, ...] = (kinds.HPA, kinds.POD)

    def __init__(
        self,
        cache: Cache,
        client: Client,
        clock: Clock,
        recorder: Recorder,
        sources: Sources,
        metrics: AutoscalerMetrics,
    ) -> None:
        self._cache = cache
        self._client = client
        self._clock = clock
        self._recorder = recorder.named("horizontal-pod-autoscaler")
        self._sources = sources
        self._metrics = metrics
        self._selected = Selected(cache)
        self._memories: dict[Key, Memory] = {}

    def keys(self, event: Frame) -> Iterable[Key]:
        namespace, name = event.stored.namespace, event.stored.name
        if event.kind is kinds.POD:
            self._selected.hear(namespace, name)
            return ()
        if event.before is not None and event.type == "MODIFIED":
            # Mostly its own status. What is new is a spec.
            return ((namespace, name),) if event.before.doc["spec"] != event.doc["spec"] else ()
        return ((namespace, name),)

    async def reconcile(self, key: Key) -> Answer:
        hpa = self._cache.get(kinds.HPA, *key)
        if hpa is None:
            self._forget(key)
            return DONE
        began = self._clock.monotonic()
        done, error = await self._sync(key, hpa)
        self._metrics.synced(done, error, self._clock.monotonic() - began)
        return WakeAfter(_PERIOD_S)

    def _forget(self, key: Key) -> None:
        self._memories.pop(key, None)
        self._selected.put(key, None)

    async def _sync(self, key: Key, hpa: Doc) -> tuple[str, str]:
        """One turn: what it did, and what kind of error it met."""
        now = self._clock.now()
        try:
            target = find(self._cache, self._sources.known, key[0], hpa["spec"]["scaleTargetRef"])
        except Unscalable as why:
            self._tell(hpa, [("Warning", "FailedGetScale", str(why))])
            await self._write(hpa, unscalable(hpa, str(why), now))
            return "none", "internal"
        plan = await self._planned(key, hpa, target, now)
        self._memories[key] = plan.memory
        scaled = not plan.failure and plan.desired != target.replicas
        if scaled:
            scaled = await self._scale(key, hpa, target, plan)
        await self._report(hpa, target, plan, scaled=scaled)
        done = action(target.replicas, plan.desired) if scaled else "none"
        return done, "internal" if plan.failure else "none"

    async def _planned(self, key: Key, hpa: Doc, target: Target, now: float) -> Plan:
        spec, current = hpa["spec"], target.replicas
        plan = planning.begun(hpa, current, self._memories.get(key), now)
        decision = planning.without_metrics(spec, current)
        if decision is not None:
            planning.decided(plan, decision)
            return plan
        if not self._select(key, target, plan):
            return plan
        namespace, pods = key[0], self._selected.pods(key)
        readings = [await self._sources.read(one, namespace, pods) for one in spec["metrics"]]
        tolerances = planning.tolerances_of(spec)
        world = World(namespace, current, target.running, pods, tolerances, self._clock.now())
        planning.measured(plan, spec, readings, world)
        for asked, type_ in plan.computed:
            error = "internal" if asked is None else "none"
            self._metrics.computed(
                action(current, current if asked is None else asked), error, type_
            )
        return plan

    def _select(self, key: Key, target: Target, plan: Plan) -> bool:
        """Whether it is clear which pods the target has, and that no other autoscaler scales them."""
        selector = target.parsed()
        self._selected.put(key, selector)
        if selector is None:
            planning.unselected(plan, *_no_selector(target))
            return False
        rivals = self._selected.rivals(key)
        if rivals:
            planning.unselected(plan, _ambiguous(key[0], target, rivals))
        return not rivals

    async def _scale(self, key: Key, hpa: Doc, target: Target, plan: Plan) -> bool:
        """Give the target its replicas; whether that could be done."""
        scale = target.with_replicas(plan.desired)
        try:
            await self._client.write(Update(target.kind, scale, "scale"))
        except ApiError as error:
            planning.not_scaled(plan, error.message)
            return False
        planning.scaled(plan, hpa["spec"], target.replicas, self._clock.now())
        self._memories[key] = plan.memory
        return True

    async def _report(self, hpa: Doc, target: Target, plan: Plan, *, scaled: bool) -> None:
        self._tell(hpa, plan.tellings)
        if plan.failure:
            log.info("%s: %s", hpa["metadata"]["name"], plan.failure)
        before = (hpa.get("status") or {}).get("desiredReplicas", 0)
        desired = before if plan.failure else plan.desired
        status = status_of(hpa, plan.conditions, plan.metrics, target.replicas, desired)
        if scaled:
            status["lastScaleTime"] = rfc3339(self._clock.now())
        await self._write(hpa, status)

    def _tell(self, hpa: Doc, tellings: Iterable[Telling]) -> None:
        for type_, reason, message in tellings:
            self._recorder.event(hpa, type_, reason, message)

    async def _write(self, hpa: Doc, status: Doc) -> None:
        """The status is this controller's own, so it goes into whatever the object is by now."""
        before, metadata = hpa.get("status") or {}, hpa["metadata"]
        if status == before:
            return
        gone = dict.fromkeys(before.keys() - status.keys())
        patch = {"metadata": {"uid": metadata["uid"]}, "status": {**gone, **status}}
        key = metadata["namespace"], metadata["name"]
        await self._client.write(Patch(kinds.HPA, *key, patch, "status"))


def _no_selector(target: Target) -> tuple[Telling, str]:
    if not target.selector:
        missing = "the HPA target's scale is missing a selector"
        return ("Warning", "SelectorRequired", "selector is required"), missing
    why = f"couldn't convert selector into a corresponding internal selector object: {target.selector}"
    return ("Warning", "InvalidSelector", why), why


def _ambiguous(namespace: str, target: Target, rivals: Sequence[str]) -> Telling:
    named = " ".join(f"{namespace}/{name}" for name in rivals)
    why = f"pods by selector {target.selector} are controlled by multiple HPAs: [{named}]"
    return ("Warning", "AmbiguousSelector", why)
