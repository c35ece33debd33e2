"""Claims of ephemeral volumes: made for their pod, owned by it, so that they go with it.

Rules: pkg/controller/volume/ephemeral and component-helpers/storage/ephemeral of Kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterable

from longshore.core.objects import kinds
from longshore.core.objects.errors import AlreadyExists, ApiError
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.volumes import claim_name
from longshore.core.registry.client import Client, Create
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.common import owners
from longshore.machinery.controllers.common.answers import namespace_ends
from longshore.machinery.loop.answers import DONE, Answer, Hopeless
from longshore.machinery.loop.recorder import Recorder

Key = tuple[str, str]
"""A pod's namespace and name."""


class EphemeralVolumes:
    """The reconciler."""

    name = "ephemeral-volume"
    watches: tuple[Kind, ...] = (kinds.PVC, kinds.POD)

    def __init__(self, cache: Cache, client: Client, recorder: Recorder) -> None:
        self._cache = cache
        self._client = client
        self._recorder = recorder.named("ephemeral_volume")

    def keys(self, event: Frame) -> Iterable[Key]:
        """A new pod that has claims; whoever had a claim that is gone."""
        if event.kind is kinds.POD:
            new = event.type == "ADDED" and any(t[0] == "claim" for t in event.stored.terms)
            return [(event.stored.namespace, event.stored.name)] if new else ()
        if event.type != "DELETED":
            return ()
        metadata = event.doc["metadata"]
        users = self._cache.indexed(
            kinds.POD, "claim", f"{metadata['namespace']}/{metadata['name']}"
        )
        return [(metadata["namespace"], pod["metadata"]["name"]) for pod in users]

    async def reconcile(self, key: Key) -> Answer:
        pod = self._cache.get(kinds.POD, *key)
        if pod is None or owners.is_deleting(pod):
            return DONE
        for volume in pod["spec"].get("volumes") or ():
            if "ephemeral" in volume:
                await self._see_to(pod, volume)
        return DONE

    async def _see_to(self, pod: Doc, volume: Doc) -> None:
        claim = claim_for(pod, volume)
        namespace, name = claim["metadata"]["namespace"], claim["metadata"]["name"]
        there = self._cache.get(kinds.PVC, namespace, name)
        if there is not None:
            self._check(pod, volume, there)
            return
        try:
            await self._client.write(Create(kinds.PVC, claim))
        except AlreadyExists:
            pass  # its own news brings us back
        except ApiError as error:
            if namespace_ends(error):
                return
            self._tell(pod, volume, f"create PVC {name}: {error.message}")
            raise

    def _check(self, pod: Doc, volume: Doc, claim: Doc) -> None:
        owner = owners.controller(claim)
        if owner is None or owner["uid"] != pod["metadata"]["uid"]:
            pod_key, key = (f"{d['metadata']['namespace']}/{d['metadata']['name']}"
                            for d in (pod, claim))  # fmt: skip
            why = f"PVC {key} was not created for pod {pod_key} (pod is not owner)"
            self._tell(pod, volume, why)
            raise Hopeless(why)

    def _tell(self, pod: Doc, volume: Doc, why: str) -> None:
        message = f"ephemeral volume {volume['name']}: {why}"
        self._recorder.event(pod, "Warning", "FailedBinding", message)


def claim_for(pod: Doc, volume: Doc) -> Doc:
    """The claim of an ephemeral volume."""
    template = volume["ephemeral"]["volumeClaimTemplate"]
    given = template.get("metadata") or {}
    metadata = {
        "namespace": pod["metadata"]["namespace"],
        "name": claim_name(pod, volume),
        "ownerReferences": [owners.reference(kinds.POD, pod)],
        **{field: given[field] for field in ("annotations", "labels") if field in given},
    }
    return {"metadata": metadata, "spec": template["spec"]}
