"""Make claims of devices for pods, and give them back."""

from __future__ import annotations

from collections.abc import Iterable

from longshore.core.objects import device_claims, kinds
from longshore.core.objects.device_claims import PodClaim
from longshore.core.objects.errors import ApiError, NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Client, Create, Delete, DeleteOptions, Update
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.common import owners
from longshore.machinery.controllers.common.answers import namespace_ends, raise_first
from longshore.machinery.controllers.resourceclaims import plan
from longshore.machinery.loop.answers import DONE, Answer
from longshore.machinery.loop.recorder import Recorder

Key = tuple[Kind, str, str]
"""A pod or a claim: its kind, namespace and name."""
_CLAIM, _TEMPLATE = kinds.RESOURCE_CLAIM, kinds.RESOURCE_CLAIM_TEMPLATE


class ResourceClaims:
    """The reconciler."""

    name = "resource-claim"
    watches: tuple[Kind, ...] = (_TEMPLATE, _CLAIM, kinds.POD)

    def __init__(self, cache: Cache, client: Client, recorder: Recorder) -> None:
        self._cache = cache
        self._client = client
        self._recorder = recorder.named("resource_claim")
        # Pods that wait for a template, by its namespace and name.
        self._waiting: dict[tuple[str, str], set[str]] = {}

    def keys(self, event: Frame) -> Iterable[Key]:
        """A pod that has claims, and its claims; a claim, and the pods that have it."""
        namespace, name = event.stored.namespace, event.stored.name
        if event.kind is _TEMPLATE:
            pods = self._waiting.pop((namespace, name), set())
            return [(kinds.POD, namespace, one) for one in sorted(pods)]
        if event.kind is _CLAIM:
            return [(_CLAIM, namespace, name), *self._users(event)]
        if not any(term[0] == "devices" for term in event.stored.terms):
            return ()
        claims = [(_CLAIM, namespace, one) for one in device_claims.claim_names(event.doc)]
        return [(kinds.POD, namespace, name), *claims]

    async def reconcile(self, key: Key) -> Answer:
        doc = self._cache.get(*key)
        if doc is None:
            self._forget(key)
            return DONE
        if key[0] is _CLAIM:
            await self._settle(doc)
        elif not owners.is_deleting(doc) and not device_claims.is_done(doc):
            await self._see_to(doc)
        return DONE

    def _users(self, event: Frame) -> Iterable[Key]:
        namespace, name = event.stored.namespace, event.stored.name
        users = self._cache.indexed(kinds.POD, "devices", f"{namespace}/{name}")
        made = device_claims.owners_of(event.doc)
        names = {one["metadata"]["name"] for one in users} | {one["name"] for one in made}
        return [(kinds.POD, namespace, one) for one in sorted(names)]

    def _forget(self, key: Key) -> None:
        for pods in self._waiting.values() if key[0] is kinds.POD else ():
            pods.discard(key[2])

    # --- pods ---

    async def _see_to(self, pod: Doc) -> None:
        made = {}
        for one in device_claims.claims_of(pod):
            if one.template and one.claim is not None and (name := await self._made(pod, one)):
                made[one.name] = name
        if made:
            await self._client.write(Update(kinds.POD, plan.with_claims(pod, made), "status"))
            return  # its news brings us back
        namespace = pod["metadata"]["namespace"]
        joined = plan.to_reserve(pod, lambda name: self._cache.get(_CLAIM, namespace, name))
        raise_first(await self._client.submit([Update(_CLAIM, one, "status") for one in joined]))

    async def _made(self, pod: Doc, one: PodClaim) -> str:
        """The name of the claim for one of a pod's, where the pod does not tell of it yet."""
        namespace, uid = pod["metadata"]["namespace"], pod["metadata"]["uid"]
        known = self._cache.get(_CLAIM, namespace, one.claim) if one.claim else None
        if known is not None and plan.is_own(pod, known):
            return ""
        claim = plan.made_for(pod, one.name, self._cache.indexed(_CLAIM, "owner", uid))
        if claim is None:
            claim = await self._create(pod, one)
        return "" if claim is None else str(claim["metadata"]["name"])

    async def _create(self, pod: Doc, one: PodClaim) -> Doc | None:
        namespace = pod["metadata"]["namespace"]
        template = self._cache.get(_TEMPLATE, namespace, one.template)
        if template is None:
            self._waiting.setdefault((namespace, one.template), set()).add(pod["metadata"]["name"])
            missing = NotFound.of(_TEMPLATE, one.template).message
            self._tell(pod, one, f'resource claim template "{one.template}": {missing}')
            return None
        made = plan.claim_for(pod, one.name, template)
        try:
            return await self._client.write(Create(_CLAIM, made))
        except ApiError as error:
            if namespace_ends(error):
                return None
            self._tell(pod, one, f"create ResourceClaim : {error.message}")
            raise

    def _tell(self, pod: Doc, one: PodClaim, why: str) -> None:
        message = f"PodResourceClaim {one.name}: {why}"
        self._recorder.event(pod, "Warning", "FailedResourceClaimCreation", message)

    # --- claims ---

    async def _settle(self, claim: Doc) -> None:
        metadata = claim["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        found = plan.settled(claim, lambda pod: self._cache.get(kinds.POD, namespace, pod))
        if found.status is not None:
            claim = await self._client.write(Update(_CLAIM, found.status, "status"))
        if found.released:
            await self._client.write(Update(_CLAIM, device_claims.without_finalizer(claim)))
        if found.unneeded:
            options = DeleteOptions(uid=metadata["uid"])
            await self._client.write(Delete(_CLAIM, namespace, name, options))
