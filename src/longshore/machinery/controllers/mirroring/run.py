"""Keep EndpointSlices in step with Endpoints that people keep: see plan.py."""

from __future__ import annotations

from collections.abc import Iterable

from longshore.core.objects import kinds
from longshore.core.objects.errors import NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Client, Create, Delete, Operation, Update
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.common.answers import first_error, namespace_ends
from longshore.machinery.controllers.mirroring import plan as planning
from longshore.machinery.controllers.mirroring.plan import MirrorPlan
from longshore.machinery.loop.answers import DONE, Answer
from longshore.machinery.loop.recorder import Recorder

Key = tuple[str, str]


class EndpointMirrors:
    """The reconciler; its keys are (namespace, name) of Endpoints, which are a Service's too."""

    name = "endpointslice-mirroring"
    watches: tuple[Kind, ...] = (kinds.SERVICE, kinds.ENDPOINTS, kinds.ENDPOINT_SLICE)

    def __init__(self, cache: Cache, client: Client, recorder: Recorder) -> None:
        self._cache = cache
        self._client = client
        self._recorder = recorder.named("endpoint-slice-mirroring-controller")

    def keys(self, event: Frame) -> Iterable[Key]:
        namespace, name = event.stored.namespace, event.stored.name
        if event.kind is kinds.ENDPOINT_SLICE:
            return [(namespace, one) for one in _mirrored(event)]
        if event.kind is kinds.SERVICE:
            states = (event.doc, event.old)
            kept = any(one is not None and not one["spec"].get("selector") for one in states)
            return ((namespace, name),) if kept else ()
        service = self._cache.get(kinds.SERVICE, namespace, name)
        has_selector = service is not None and service["spec"].get("selector")
        return () if has_selector else ((namespace, name),)

    async def reconcile(self, key: Key) -> Answer:
        namespace, name = key
        slices = self._cache.indexed(kinds.ENDPOINT_SLICE, "service", f"{namespace}/{name}")
        ours = [one for one in slices if planning.is_ours(one)]
        endpoints = self._cache.get(kinds.ENDPOINTS, *key)
        service = self._cache.get(kinds.SERVICE, *key)
        if endpoints is None or not planning.is_mirrored(service, endpoints):
            await self._apply(namespace, MirrorPlan(delete=tuple(ours)))
            return DONE
        plan = planning.plan(endpoints, ours)
        if plan.skipped:
            self._tell_skipped(endpoints, plan.skipped)
        await self._apply(namespace, plan)
        return DONE

    def _tell_skipped(self, endpoints: Doc, skipped: int) -> None:
        message = (
            f"A max of {planning.ADDRESSES_MAX} addresses can be mirrored to EndpointSlices per "
            f"Endpoints subset. {skipped} addresses were skipped"
        )
        self._recorder.event(endpoints, "Warning", "TooManyAddressesToMirror", message)

    async def _apply(self, namespace: str, plan: MirrorPlan) -> None:
        kind = kinds.ENDPOINT_SLICE
        work: list[Operation] = [Create(kind, one) for one in plan.create]
        work += [Update(kind, one) for one in plan.update]
        work += [Delete(kind, namespace, one["metadata"]["name"]) for one in plan.delete]
        if not work:
            return
        answers = await self._client.submit(work)
        error = first_error(one for one in answers if not isinstance(one, NotFound))
        if error is not None and not namespace_ends(error):
            raise error


def _mirrored(event: Frame) -> set[str]:
    """The Services for which a slice was made here, now or before the change."""
    states = [one for one in (event.doc, event.old) if one is not None and planning.is_ours(one)]
    names = ((one["metadata"].get("labels") or {}).get(planning.SERVICE_NAME) for one in states)
    return {name for name in names if name}
