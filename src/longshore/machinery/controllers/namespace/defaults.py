"""What every living namespace has: the default ServiceAccount and the cluster's CA certificate."""

from __future__ import annotations

from collections.abc import Iterable

from longshore.core.objects import kinds
from longshore.core.objects.errors import AlreadyExists, NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.pki.authority import Authority
from longshore.core.registry.client import Client, Create, Operation, Update
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.common.answers import namespace_ends, raise_first
from longshore.machinery.loop.answers import DONE, Answer, WakeAfter

ACCOUNT = "default"
_LOOK_S = 7 * 86_400.0
CA_NAME, CA_FILE = "kube-root-ca.crt", "ca.crt"
# Upstream's note on the map, so that people do not take it for their own.
CA_NOTE = {
    "kubernetes.io/description": (
        "Contains a CA bundle that can be used to verify the kube-apiserver when using internal "
        "endpoints such as the internal service IP or kubernetes.default.svc. No other usage is "
        "guaranteed across distributions of Kubernetes clusters."
    )
}


class NamespaceDefaults:
    """The reconciler; its keys are names of namespaces."""

    name = "namespace-defaults"
    watches: tuple[Kind, ...] = (kinds.NAMESPACE, kinds.SERVICE_ACCOUNT, kinds.CONFIG_MAP)

    def __init__(self, cache: Cache, client: Client, authority: Authority | None) -> None:
        self._cache = cache
        self._client = client
        self._authority = authority

    def keys(self, event: Frame) -> Iterable[str]:
        if event.kind is kinds.NAMESPACE:
            return (event.stored.name,) if event.type == "ADDED" else ()
        ours = ACCOUNT if event.kind is kinds.SERVICE_ACCOUNT else CA_NAME
        return (event.stored.namespace,) if event.stored.name == ours else ()

    async def reconcile(self, key: str) -> Answer:
        namespace = self._cache.get(kinds.NAMESPACE, "", key)
        if namespace is None or "deletionTimestamp" in namespace["metadata"]:
            return DONE
        answers = await self._client.submit(self._missing(key))
        raise_first(
            answer
            for answer in answers
            if not isinstance(answer, AlreadyExists | NotFound)
            and not (isinstance(answer, Exception) and namespace_ends(answer))
        )
        # The authority's certificate is renewed every few years: no change here tells of it.
        return WakeAfter(_LOOK_S)

    def _missing(self, namespace: str) -> list[Operation]:
        work: list[Operation] = []
        if self._cache.get(kinds.SERVICE_ACCOUNT, namespace, ACCOUNT) is None:
            work.append(Create(kinds.SERVICE_ACCOUNT, _named("ServiceAccount", namespace, ACCOUNT)))
        if self._authority is None:
            return work
        there = self._cache.get(kinds.CONFIG_MAP, namespace, CA_NAME)
        data = {CA_FILE: self._authority.pem}
        if there is None:
            made = _named("ConfigMap", namespace, CA_NAME)
            made["metadata"]["annotations"] = CA_NOTE
            work.append(Create(kinds.CONFIG_MAP, {**made, "data": data}))
        elif there.get("data") != data:
            work.append(Update(kinds.CONFIG_MAP, {**there, "data": data}))
        return work


def _named(kind: str, namespace: str, name: str) -> Doc:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"namespace": namespace, "name": name}}
