"""The binder: hear of claims, volumes and classes, plan, and write both sides of a pair.

A pair is tied in an order that can be taken up anywhere: the volume's reference to the claim (which
decides), the volume's phase, the claim's name of the volume, the claim's phase.
"""

from __future__ import annotations

from collections.abc import Iterable

from longshore.base.clock import Clock, rfc3339
from longshore.core.objects import kinds, volumes
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.volumes import Catalogue, Volume, Wanted
from longshore.core.registry.admission.classes import default_class
from longshore.core.registry.client import Client, Update
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.common import pods as pod_state
from longshore.machinery.controllers.volumes import plan
from longshore.machinery.controllers.volumes.plan import Said
from longshore.machinery.controllers.volumes.waiting import WaitingClaims
from longshore.machinery.loop.answers import DONE, Answer
from longshore.machinery.loop.recorder import Recorder

Key = tuple[Kind, str, str]
"""PersistentVolume or PersistentVolumeClaim, namespace, name."""


class VolumeBinder:
    """The reconciler."""

    name = "persistentvolume-binder"
    watches: tuple[Kind, ...] = (kinds.STORAGE_CLASS, kinds.PV, kinds.PVC)

    def __init__(self, cache: Cache, client: Client, clock: Clock, recorder: Recorder) -> None:
        self._cache = cache
        self._client = client
        self._clock = clock
        self._recorder = recorder.named("persistentvolume-controller")
        self._catalogue = Catalogue()
        self._waiting = WaitingClaims()

    def keys(self, event: Frame) -> Iterable[Key]:
        gone = event.type == "DELETED"
        if event.kind is kinds.STORAGE_CLASS:
            return [] if gone else self._of_class(event.doc)
        if event.kind is kinds.PV:
            return self._of_volume(event.doc, gone)
        return self._of_claim(event, gone)

    def _of_class(self, doc: Doc) -> list[Key]:
        """Claims that wait for something of this class; those of none may be given it."""
        classes = {doc["metadata"]["name"], ""}
        waiting = [c for one in classes for c in self._cache.indexed(kinds.PVC, "unbound", one)]
        return [_claim_key(volumes.key_of(claim)) for claim in waiting]

    def _of_volume(self, doc: Doc, gone: bool) -> list[Key]:
        name = doc["metadata"]["name"]
        named_by = self._cache.indexed(kinds.PVC, "volume", name)
        keys = [(kinds.PV, "", name), *(_claim_key(volumes.key_of(claim)) for claim in named_by)]
        if gone:
            self._catalogue.drop(name)
            return keys
        self._catalogue.put(volumes.volume(doc))
        if claim := self._next_for(name):
            self._waiting.note(claim, name)
            keys.append(_claim_key(claim))
        return keys

    def _of_claim(self, event: Frame, gone: bool) -> list[Key]:
        """The claim; the volume that it leaves behind, when it goes."""
        key = volumes.key_of(event.doc)
        if not gone:
            return [_claim_key(key)]
        self._waiting.drop(key)
        left = self._catalogue.names_held(key)
        return [_claim_key(key), *((kinds.PV, "", name) for name in sorted(left))]

    def _next_for(self, name: str) -> str:
        """The claim that is to look at a volume, if it is free and anybody may have it."""
        one = self._catalogue.get(name)
        return self._waiting.next_for(one) if one is not None and one.free else ""

    async def reconcile(self, key: Key) -> Answer:
        kind, namespace, name = key
        if kind is kinds.PVC:
            await self._settle_claims(f"{namespace}/{name}")
        elif (doc := self._cache.get(kinds.PV, "", name)) is not None:
            await self._settle_volume(doc)
        return DONE

    async def _settle_claims(self, first: str) -> None:
        """A claim, and after it whoever may have the volume that it was woken for and left."""
        offered, key = self._waiting.woken_for(first), first
        while key:
            claim = self._cache.get(kinds.PVC, *key.split("/"))
            try:
                if claim is not None and "deletionTimestamp" not in claim["metadata"]:
                    await self._settle_claim(claim)
            except ApiError:
                self._waiting.note(first, offered)
                if claim is not None:
                    self._wait(claim)
                raise
            key = self._next_for(offered)

    async def _settle_claim(self, claim: Doc) -> None:
        best = self._best(claim)
        match plan.of_claim(claim, self._facts(claim, best)):
            case plan.Bind(volume):
                await self._bind(volume, claim)
            case plan.Grade(name):
                spec = {**claim["spec"], "storageClassName": name}
                await self._client.write(Update(kinds.PVC, {**claim, "spec": spec}))
            case plan.Provision(provisioner, said):
                asked = plan.with_provisioner(claim, provisioner)
                if asked is not claim:
                    await self._client.write(Update(kinds.PVC, asked))
                    self._say(claim, said)
                self._wait(claim)
            case plan.Rest(phase, said, looking):
                if looking:
                    self._wait(claim)
                await self._rest(claim, phase, said)

    def _wait(self, claim: Doc) -> None:
        """Let volumes that turn up be offered to a claim, unless its pod is to choose."""
        asked = volumes.wanted(claim)
        if not volumes.waits_for_pod(self._class(asked.grade[0])):
            self._waiting.add(asked)

    async def _rest(self, claim: Doc, phase: str, said: Said | None) -> None:
        resting = plan.claim_status(claim, phase, None)
        await self._save(kinds.PVC, claim, resting, "status")
        # What is lost is said when it is lost; what is waited for, at each look.
        if said is not None and (phase == "Pending" or resting is not claim):
            self._say(claim, said)

    def _facts(self, claim: Doc, best: Doc | None) -> plan.ClaimFacts:
        class_name, name = volumes.storage_class(claim), claim["spec"].get("volumeName")
        pods = self._cache.indexed(kinds.POD, "claim", volumes.key_of(claim))
        return plan.ClaimFacts(
            volume=self._cache.get(kinds.PV, "", name) if name else None,
            best=best,
            storage_class=self._class(class_name),
            default_class=default_class(self._cache, kinds.STORAGE_CLASS),
            pods=[pod["metadata"]["name"] for pod in pods if _needs_node(pod)],
        )

    def _class(self, name: str) -> Doc | None:
        return self._cache.get(kinds.STORAGE_CLASS, "", name) if name else None

    def _best(self, claim: Doc) -> Doc | None:
        """The volume that an unbound claim gets; one that waits for its pod gets what is its
        already, or nothing."""
        if claim["spec"].get("volumeName"):
            return None
        asked = volumes.wanted(claim)
        while (best := self._preferred(asked)) is not None:
            found = self._cache.get(kinds.PV, "", best.name)
            if found is not None:
                return found
            # Its end was missed, while everything was read anew.
            self._catalogue.drop(best.name)
        return None

    def _preferred(self, asked: Wanted) -> Volume | None:
        held = self._catalogue.held_for(asked)
        if held is not None or volumes.waits_for_pod(self._class(asked.grade[0])):
            return held
        return next(self._catalogue.fitting(asked), None)

    async def _bind(self, volume: Doc, claim: Doc) -> None:
        name = volume["metadata"]["name"]
        # Not offered to anybody else while this is being written.
        self._catalogue.drop(name)
        self._waiting.drop(volumes.key_of(claim))
        try:
            volume = await self._save(kinds.PV, volume, volumes.tied(volume, claim))
            bound = plan.volume_status(volume, "Bound", rfc3339(self._clock.now()))
            volume = await self._save(kinds.PV, volume, bound, "status")
            claim = await self._save(kinds.PVC, claim, plan.completed(claim, volume))
            await self._save(kinds.PVC, claim, plan.claim_status(claim, "Bound", volume), "status")
        finally:
            if (now := self._cache.get(kinds.PV, "", name)) is not None:
                self._catalogue.put(volumes.volume(now))

    async def _settle_volume(self, volume: Doc) -> None:
        reference = volume["spec"].get("claimRef")
        where = (reference.get("namespace", ""), reference.get("name", "")) if reference else None
        claim = self._cache.get(kinds.PVC, *where) if where else None
        decided = plan.of_volume(volume, claim)
        if decided.unbind:
            volume = await self._save(kinds.PV, volume, plan.unbound(volume))
        now = rfc3339(self._clock.now())
        settled = plan.volume_status(volume, decided.phase, now, decided.message)
        await self._save(kinds.PV, volume, settled, "status")
        if decided.said is not None and (settled is not volume or decided.about_claim):
            self._say(volume, decided.said)
        if claim is not None and decided.about_claim is not None:
            self._say(claim, decided.about_claim)
        if decided.wake and claim is not None:
            await self._settle_claims(volumes.key_of(claim))

    async def _save(self, kind: Kind, old: Doc, new: Doc, subresource: str = "") -> Doc:
        if new is old:
            return old
        return await self._client.write(Update(kind, new, subresource))

    def _say(self, about: Doc, said: Said) -> None:
        self._recorder.event(about, said.type, said.reason, said.message)


def _claim_key(key: str) -> Key:
    namespace, _, name = key.partition("/")
    return kinds.PVC, namespace, name


def _needs_node(pod: Doc) -> bool:
    return not pod_state.node_name(pod) and not pod_state.is_terminal(pod)
