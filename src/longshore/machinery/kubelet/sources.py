"""Fetch what pods refer to: ConfigMaps and Secrets when asked, Services kept at hand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError, NotFound, Unavailable
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.volumes import is_bound
from longshore.core.registry.client import Change, Client
from longshore.machinery.kubelet.config import VOLUME_REFRESH_S
from longshore.machinery.kubelet.containers.environment import Sources
from longshore.machinery.kubelet.containers.references import (
    CA_NAME,
    Wanted,
    claims,
    environment_sources,
    volume_sources,
)
from longshore.machinery.kubelet.credentials import (
    PATIENCE_S,
    PATIENCE_TRIES,
    Credentials,
    TokenKey,
    token_keys,
)
from longshore.machinery.loop.follow import follow
from longshore.machinery.runtime.protocol import RuntimeFailure


class ServiceMirror:
    """Services by namespace, for the environment of containers that start."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._services: dict[str, dict[str, Doc]] = {}
        self.ready = asyncio.Event()

    def of(self, namespace: str) -> tuple[Doc, ...]:
        """The namespace's Services, and the API server's own. Empty until ready."""
        own = self._services.get(namespace, {})
        master = self._services.get("default", {}).get("kubernetes")
        rest = tuple(s for s in own.values() if s is not master)
        return rest if master is None else (*rest, master)

    async def run(self) -> None:
        """Follow Services until cancelled."""
        await follow(self._client, kinds.SERVICE, self._clock, self._replace, self._take)

    def _replace(self, services: Sequence[Doc]) -> None:
        self._services = {}
        self._take([Change("ADDED", doc) for doc in services])
        self.ready.set()

    def _take(self, changes: Sequence[Change]) -> None:
        for change in changes:
            metadata = change.doc["metadata"]
            own = self._services.setdefault(metadata["namespace"], {})
            if change.type == "DELETED":
                own.pop(metadata["name"], None)
            else:
                own[metadata["name"]] = change.doc


class Fetcher:
    """Gets what pods' environments and volumes are made of. Without credentials, no pod that asks
    for tokens can be served (Unavailable). One that is not patient knows of no Services while no
    API server can be asked."""

    def __init__(
        self,
        client: Client,
        services: ServiceMirror,
        clock: Clock,
        credentials: Credentials | None = None,
        *,
        patient: bool = True,
    ) -> None:
        self._client = client
        self._services = services
        self._patient = patient
        self._clock = clock
        self.credentials = credentials
        # The CA certificate is asked for by every pod, and hardly ever changes.
        self._authorities: dict[str, tuple[float, Doc]] = {}

    async def environment(self, pod: Doc) -> Sources:
        """The newest of what the pod's environment refers to; what does not exist is left out.
        Raises ApiError when the API server cannot be asked."""
        if self._patient:
            await self._services.ready.wait()
        namespace = pod["metadata"]["namespace"]
        maps, secrets = await self._named(namespace, environment_sources(pod["spec"]))
        return Sources(maps, secrets, self._services.of(namespace))

    async def handler(self, spec: Doc) -> str:
        """That of the pod's RuntimeClass; empty if it has none. Raises RuntimeFailure."""
        if not spec.get("runtimeClassName"):
            return ""
        found = await self._get(kinds.RUNTIME_CLASS, "", spec["runtimeClassName"])
        if isinstance(found, ApiError):
            raise RuntimeFailure(f"failed to lookup RuntimeClass: {found.message}")
        return str(found["handler"])

    async def secrets(self, namespace: str, names: Sequence[str]) -> dict[str, Doc]:
        """Those of the names that can be had."""
        async with asyncio.TaskGroup() as crew:
            asked = {
                name: crew.create_task(self._get(kinds.SECRET, namespace, name)) for name in names
            }
        answers = {name: task.result() for name, task in asked.items()}
        return {name: doc for name, doc in answers.items() if not isinstance(doc, ApiError)}

    async def volumes(self, pod: Doc) -> Sources:
        """The same, of what its volumes refer to."""
        namespace, wanted = pod["metadata"]["namespace"], volume_sources(pod["spec"])
        asks_for_tokens = next(token_keys(pod["spec"]), None) is not None
        claimed, volumes = await self._persistent(pod)
        if not asks_for_tokens:
            maps, secrets = await self._named(namespace, wanted)
            return Sources(maps, secrets, claims=claimed, persistent=volumes)
        maps, secrets = await self._named(namespace, wanted.without_map(CA_NAME))
        if CA_NAME in wanted.maps:
            maps |= await self._authority(namespace)
        tokens = await self._tokens(pod)
        return Sources(maps, secrets, tokens=tokens, claims=claimed, persistent=volumes)

    async def _persistent(self, pod: Doc) -> tuple[dict[str, Doc], dict[str, Doc]]:
        """The claims of a pod and, by the claim's name, the volumes of those that are bound."""
        names = claims(pod)
        if not names:
            return {}, {}
        found = await self._get_all(kinds.PVC, pod["metadata"]["namespace"], names)
        bound = {name: one["spec"]["volumeName"] for name, one in found.items() if is_bound(one)}
        volumes = await self._get_all(kinds.PV, "", frozenset(bound.values()))
        return found, {name: volumes[of] for name, of in bound.items() if of in volumes}

    async def _tokens(self, pod: Doc) -> dict[TokenKey, str]:
        if self.credentials is None:
            raise Unavailable("this node has nobody to ask for tokens of service accounts")
        return await self.credentials.of_pod(pod)

    async def _authority(self, namespace: str) -> dict[str, Doc]:
        """The namespace's CA certificate, which a new namespace gets after its first moment."""
        now = self._clock.now()
        since, doc = self._authorities.get(namespace, (-VOLUME_REFRESH_S, {}))
        if now - since < VOLUME_REFRESH_S:
            return {CA_NAME: doc}
        for _ in range(PATIENCE_TRIES):
            answer = await self._get(kinds.CONFIG_MAP, namespace, CA_NAME)
            if not isinstance(answer, ApiError):
                self._authorities[namespace] = (now, answer)
                return {CA_NAME: answer}
            if not isinstance(answer, NotFound):
                raise answer
            await self._clock.sleep(PATIENCE_S)
        self._authorities.pop(namespace, None)
        return {}

    async def _named(self, namespace: str, wanted: Wanted) -> tuple[dict[str, Doc], dict[str, Doc]]:
        maps = await self._get_all(kinds.CONFIG_MAP, namespace, wanted.maps)
        return maps, await self._get_all(kinds.SECRET, namespace, wanted.secrets)

    async def _get_all(self, kind: Kind, namespace: str, names: frozenset[str]) -> dict[str, Doc]:
        if not names:
            return {}
        async with asyncio.TaskGroup() as crew:
            asked = {
                name: crew.create_task(self._get(kind, namespace, name)) for name in sorted(names)
            }
        answers = {name: task.result() for name, task in asked.items()}
        for answer in answers.values():
            if isinstance(answer, ApiError) and not isinstance(answer, NotFound):
                raise answer
        return {n: doc for n, doc in answers.items() if not isinstance(doc, ApiError)}

    async def _get(self, kind: Kind, namespace: str, name: str) -> Doc | ApiError:
        """The answer as a value: a failed task would arrive wrapped in a group."""
        try:
            doc = await self._client.get(kind, namespace, name)
        except ApiError as error:
            return error
        return doc if "kind" in doc else {**doc, "kind": kind.name}
