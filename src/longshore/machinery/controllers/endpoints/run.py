"""Keep EndpointSlices and Endpoints in step with Services and their pods."""

from __future__ import annotations

from collections.abc import Iterable

from longshore.core.objects import kinds, selectors
from longshore.core.objects.errors import NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Client, Create, Delete, Operation, Update
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.common.answers import first_error, namespace_ends
from longshore.machinery.controllers.common.watching import SelectorIndex, is_news
from longshore.machinery.controllers.endpoints import plan as planning
from longshore.machinery.loop.answers import DONE, Answer

Key = tuple[str, str]


class Endpoints:
    """The reconciler; its keys are a Service's (namespace, name).

    It remembers which pods each Service selects: found again for each change of a pod by the pod's
    labels, so that no change looks at all pods of a namespace. And in which zone each node is, lest a
    change of a pod reads the nodes of all its siblings; a node that changes its zone is seen with the next.
    """

    name = "endpoints"
    watches: tuple[Kind, ...] = (
        kinds.NODE,
        kinds.SERVICE,
        kinds.POD,
        kinds.ENDPOINT_SLICE,
        kinds.ENDPOINTS,
    )

    def __init__(self, cache: Cache, client: Client) -> None:
        self._cache = cache
        self._client = client
        self._selectors = SelectorIndex()
        self._members: dict[Key, set[str]] = {}
        self._services_of: dict[Key, frozenset[str]] = {}
        self._zone_of: dict[str, str] = {}

    def keys(self, event: Frame) -> Iterable[Key]:
        metadata = event.doc["metadata"]
        if event.kind is kinds.NODE:
            return self._hear_node(event, metadata)
        namespace, name = metadata["namespace"], metadata["name"]
        if event.kind is kinds.POD:
            return self._hear_pod(event, namespace, name)
        if event.kind is kinds.SERVICE:
            self._hear_service(event, namespace, name)
            return ((namespace, name),)
        if event.kind is kinds.ENDPOINTS:
            return ((namespace, name),)
        owner = (metadata.get("labels") or {}).get(planning.SERVICE_NAME)
        managed = (metadata.get("labels") or {}).get(planning.MANAGED_BY) == planning.MANAGER
        return ((namespace, owner),) if owner and managed else ()

    async def reconcile(self, key: Key) -> Answer:
        service = self._cache.get(kinds.SERVICE, *key)
        if service is None:
            return await self._forget_endpoints(key)
        if not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            return DONE
        work = self._work(service, self._pods(key))
        if work and "deletionTimestamp" not in service["metadata"]:
            error = first_error(await self._client.submit(work))
            if error is not None and not namespace_ends(error):
                raise error
        return DONE

    def _work(self, service: Doc, pods: list[Doc]) -> list[Operation]:
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        slices = [
            one
            for one in self._cache.indexed(
                kinds.ENDPOINT_SLICE, "owner", service["metadata"]["uid"]
            )
            if (one["metadata"].get("labels") or {}).get(planning.MANAGED_BY) == planning.MANAGER
        ]
        plan = planning.plan_slices(service, pods, slices, self._zones(pods))
        kind = kinds.ENDPOINT_SLICE
        work: list[Operation] = [Create(kind, one) for one in plan.create]
        work += [Update(kind, one) for one in plan.update]
        work += [Delete(kind, namespace, one["metadata"]["name"]) for one in plan.delete]
        existing = self._cache.get(kinds.ENDPOINTS, namespace, name)
        wanted = planning.endpoints_for(service, pods, existing)
        if wanted is not None:
            work.append((Update if existing is not None else Create)(kinds.ENDPOINTS, wanted))
        return work

    def _pods(self, key: Key) -> list[Doc]:
        names = sorted(self._members.get(key, ()))
        found = (self._cache.get(kinds.POD, key[0], name) for name in names)
        return [pod for pod in found if pod is not None]

    def _zones(self, pods: Iterable[Doc]) -> dict[str, str]:
        nodes = {pod["spec"].get("nodeName") for pod in pods}
        return {node: self._zone_of[node] for node in nodes & self._zone_of.keys()}

    def _hear_node(self, event: Frame, metadata: Doc) -> Iterable[Key]:
        zone = (metadata.get("labels") or {}).get(planning.ZONE)
        if zone and event.type != "DELETED":
            self._zone_of[metadata["name"]] = zone
        else:
            self._zone_of.pop(metadata["name"], None)
        return ()

    async def _forget_endpoints(self, key: Key) -> Answer:
        """Slices have an owner and are collected; Endpoints have none, so they are deleted here."""
        existing = self._cache.get(kinds.ENDPOINTS, *key)
        labels = existing["metadata"].get("labels") or {} if existing is not None else {}
        if labels.get(planning.ENDPOINTS_MANAGED_BY) == planning.ENDPOINTS_MANAGER:
            (answer,) = await self._client.submit([Delete(kinds.ENDPOINTS, *key)])
            error = first_error([answer])
            if error is not None and not isinstance(error, NotFound):
                raise error
        return DONE

    def _hear_service(self, event: Frame, namespace: str, name: str) -> None:
        key = (namespace, name)
        gone = event.type == "DELETED"
        selector = None if gone else selectors.from_map(event.doc["spec"].get("selector"))
        if not self._selectors.put(namespace, name, selector):
            return
        for pod in self._members.pop(key, ()):
            left = self._services_of[namespace, pod] - {name}
            self._note(namespace, pod, left)
        if selector is not None:
            # A new question is asked of every pod of the namespace, once.
            for found in self._cache.indexed(kinds.POD, "namespace", namespace):
                if selector.matches(found["metadata"].get("labels")):
                    pod = found["metadata"]["name"]
                    before = self._services_of.get((namespace, pod), frozenset())
                    self._note(namespace, pod, before | {name})

    def _hear_pod(self, event: Frame, namespace: str, name: str) -> list[Key]:
        before = self._services_of.get((namespace, name), frozenset())
        after: frozenset[str] = frozenset()
        if event.type != "DELETED":
            labels = event.doc["metadata"].get("labels")
            after = frozenset(self._selectors.matching(namespace, labels))
        if before != after:
            self._note(namespace, name, after)
        concerned = before | after
        if concerned and before == after and not is_news(event, planning.facts):
            return []
        return [(namespace, service) for service in concerned]

    def _note(self, namespace: str, pod: str, services: frozenset[str]) -> None:
        """Write down which Services select a pod, both ways."""
        for gone in self._services_of.get((namespace, pod), frozenset()) - services:
            members = self._members.get((namespace, gone), set())
            members.discard(pod)
        for service in services:
            self._members.setdefault((namespace, service), set()).add(pod)
        if services:
            self._services_of[namespace, pod] = services
        else:
            self._services_of.pop((namespace, pod), None)
