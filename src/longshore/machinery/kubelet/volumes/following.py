"""Hear of changes of the ConfigMaps and Secrets that pods of this node have as volumes.

Upstream's agent watches each of them too (pkg/kubelet/util/manager: watch_based_manager.go). A watch
is a connection, so they are few: one an object however many pods have it, none for what is immutable,
for the CA certificate that all pods have, or for pods that end at once. What is not followed is read
again every VOLUME_REFRESH_S.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from longshore.base.clock import Clock
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import Change, Client
from longshore.machinery.kubelet.containers.environment import Sources
from longshore.machinery.kubelet.containers.references import CA_NAME, volume_sources
from longshore.machinery.loop.follow import Among, follow

# A pod that has its volumes this long may have them for longer: then its objects are followed.
FOLLOWED_AFTER_S = 0.5
FOLLOWED_MAX = 64
_ABSENT = ""


class Reference(NamedTuple):
    """A ConfigMap or a Secret."""

    kind: Kind
    namespace: str
    name: str


def seen_by(pod: Doc, sources: Sources) -> dict[Reference, str]:
    """What a pod's volumes are made of that can change, and the revision of each ("" while it is not
    there)."""
    wanted, namespace = (
        volume_sources(pod["spec"]).without_map(CA_NAME),
        pod["metadata"]["namespace"],
    )
    seen: dict[Reference, str] = {}
    for kind, names, found in (
        (kinds.CONFIG_MAP, wanted.maps, sources.config_maps),
        (kinds.SECRET, wanted.secrets, sources.secrets),
    ):
        for name in names:
            doc = found.get(name)
            if doc is None or not doc.get("immutable"):
                seen[Reference(kind, namespace, name)] = _revision(doc)
    return seen


def _revision(doc: Doc | None) -> str:
    return _ABSENT if doc is None else str(doc["metadata"]["resourceVersion"])


class Followed:
    """What the volumes of all pods of a node are made of. told(uid) is called for each pod whose volumes
    are older than an object that they are made of."""

    def __init__(
        self, client: Client, clock: Clock, crew: asyncio.TaskGroup, told: Callable[[str], None]
    ) -> None:
        self._client = client
        self._clock = clock
        self._crew = crew
        self._told = told
        self._feeds: dict[Reference, _Feed] = {}
        self._of_pod: dict[str, Mapping[Reference, str]] = {}

    def follow(self, uid: str, seen: Mapping[Reference, str]) -> None:
        """A pod's volumes are made of these, at those revisions; of others no more."""
        for gone in self._of_pod.pop(uid, {}).keys() - seen.keys():
            self._leave(gone, uid)
        for reference, revision in seen.items():
            feed = self._feeds.get(reference) or self._begin(reference)
            if feed is not None:
                feed.use(uid, revision)
        if seen:
            self._of_pod[uid] = seen

    def leave(self, uid: str) -> None:
        """The pod has no volumes any more."""
        self.follow(uid, {})

    def _begin(self, reference: Reference) -> _Feed | None:
        if len(self._feeds) >= FOLLOWED_MAX:
            return None
        feed = self._feeds[reference] = _Feed(self._told)
        name = f"follow {reference.kind.plural}/{reference.name}"
        feed.task = self._crew.create_task(self._run(reference, feed), name=name)
        return feed

    def _leave(self, reference: Reference, uid: str) -> None:
        feed = self._feeds.get(reference)
        if feed is None:
            return
        feed.users.pop(uid, None)
        if not feed.users:
            del self._feeds[reference]
            if feed.task is not None:
                feed.task.cancel()

    async def _run(self, reference: Reference, feed: _Feed) -> None:
        await self._clock.sleep(FOLLOWED_AFTER_S)
        await follow(
            self._client, reference.kind, self._clock, feed.whole, feed.changes,
            among=Among(reference.namespace, f"metadata.name={reference.name}"),
        )  # fmt: skip


class _Feed:
    """One object, and the pods that have it with the revision which each of them has."""

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told
        self._revision: str | None = None
        self.users: dict[str, str] = {}
        self.task: asyncio.Task[None] | None = None

    def use(self, uid: str, revision: str) -> None:
        """A pod has the object at that revision. One that comes while the object is followed may have
        missed its last change."""
        new = uid not in self.users
        self.users[uid] = revision
        if new and self._revision not in (None, revision):
            self._told(uid)

    def whole(self, found: Sequence[Doc]) -> None:
        self._now(_revision(found[0] if found else None))

    def changes(self, changes: Sequence[Change]) -> None:
        if changes:
            last = changes[-1]
            self._now(_ABSENT if last.type == "DELETED" else _revision(last.doc))

    def _now(self, revision: str) -> None:
        self._revision = revision
        for uid, has in self.users.items():
            if has != revision:
                self._told(uid)
