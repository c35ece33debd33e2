"""Delete pods whose devices are tainted NoExecute, unless their claims tolerate that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Client, Delete, DeleteOptions
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.common.answers import raise_first
from longshore.machinery.controllers.common.disrupting import disrupted
from longshore.machinery.controllers.devicetaints import plan
from longshore.machinery.loop.answers import DONE, Answer, WakeAfter
from longshore.machinery.loop.recorder import Recorder

Key = tuple[str, str]
"""A claim's namespace and name."""
_CLAIM, _SLICE, _RULE = kinds.RESOURCE_CLAIM, kinds.RESOURCE_SLICE, kinds.DEVICE_TAINT_RULE


class DeviceTaints:
    """The reconciler."""

    name = "device-taint-eviction"
    watches: tuple[Kind, ...] = (_SLICE, _RULE, _CLAIM)

    def __init__(self, cache: Cache, client: Client, clock: Clock, recorder: Recorder) -> None:
        self._cache = cache
        self._client = client
        self._clock = clock
        self._recorder = recorder.named("device-taint-eviction-controller")

    def keys(self, event: Frame) -> Iterable[Key]:
        """A claim that was given devices; all claims that have devices of a pool that taints say
        something of, or of any that a rule does."""
        if event.kind is _CLAIM:
            return [(event.stored.namespace, event.stored.name)]
        if event.type == "DELETED" or not plan.evicts(event.doc):
            return ()
        if event.kind is _RULE:
            claims = self._cache.all(_CLAIM)
            return _keys(
                one for one in claims if any(plan.meant(event.doc, r) for r in plan.results(one))
            )
        return _keys(self._cache.indexed(_CLAIM, "pool", _pool(event.doc["spec"])))

    async def reconcile(self, key: Key) -> Answer:
        claim = self._cache.get(_CLAIM, *key)
        if claim is None or not plan.results(claim):
            return DONE
        pools = {f"{one['driver']}/{one['pool']}" for one in plan.results(claim)}
        slices = [
            one for pool in sorted(pools) for one in self._cache.indexed(_SLICE, "pool", pool)
        ]
        time = plan.eviction_s(claim, slices, self._cache.all(_RULE))
        if time is None:
            return DONE
        if (wait_s := time - self._clock.now()) > 0:
            return WakeAfter(wait_s)
        users = self._cache.indexed(kinds.POD, "devices", f"{key[0]}/{key[1]}")
        await self._evict(plan.leaving(claim, users))
        return DONE

    async def _evict(self, pods: Sequence[Doc]) -> None:
        for pod in pods:
            self._recorder.event(pod, "Normal", plan.EVENT, plan.EVENT_MESSAGE)
        now = self._clock.now()
        told = [disrupted(pod, plan.REASON, plan.MESSAGE, now) for pod in pods]
        raise_first(await self._client.submit(told))
        gone = [
            Delete(kinds.POD, meta["namespace"], meta["name"], DeleteOptions(uid=meta["uid"]))
            for meta in (pod["metadata"] for pod in pods)
        ]
        raise_first(await self._client.submit(gone))


def _keys(claims: Iterable[Doc]) -> list[Key]:
    return [(one["metadata"]["namespace"], one["metadata"]["name"]) for one in claims]


def _pool(spec: Doc) -> str:
    return f"{spec['driver']}/{spec['pool']['name']}"
