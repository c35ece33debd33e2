"""What a node hears of policies, and of the pods and namespaces that these speak of.

Policies are always followed. Peers (network.longshore.io: labels, addresses and named ports) only
while there is a policy: of the node's own pods, or, once something in force here names pods, of all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from longshore.base.clock import Clock
from longshore.core.objects.errors import ApiError
from longshore.core.objects.kinds import NAMESPACE_PEER, NETWORK_POLICY, POD_PEER, Doc
from longshore.core.registry.client import Change, Client
from longshore.machinery.loop.follow import Among, follow
from longshore.machinery.network.policy.model import key_of, pod_of, policy_of, revision_of
from longshore.machinery.network.policy.plan import Book

_PODS, _NAMESPACES = "pods", "namespaces"
_EVERYWHERE = ""


class Sources:
    """Keeps a Book true to the cluster while run() runs; told() is called after every change."""

    def __init__(
        self, client: Client, book: Book, node: str, clock: Clock, told: Callable[[], None]
    ) -> None:
        self._client = client
        self._book = book
        self._clock = clock
        self._told = told
        self._own = f"spec.nodeName={node}"
        self._policies_known = False
        self._snapshots = 0
        self._newest = 0
        # Which pods are followed (a field selector), None for none, and what was read whole since.
        self._scope: str | None = None
        self._known: set[str] = set()
        self._turn = asyncio.Event()
        self._asked: dict[str, asyncio.Future[ApiError | None]] = {}
        self._some_asked = asyncio.Event()

    async def run(self) -> None:
        """Follow what is needed until cancelled."""
        async with asyncio.TaskGroup() as group:
            following = follow(
                self._client, NETWORK_POLICY, self._clock, self._all_policies, self._policy_changes
            )
            group.create_task(following, name="follow networkpolicies")
            group.create_task(self._follow_peers(), name="follow peers")
            group.create_task(self._answer(), name="fresh policies")

    def complete(self) -> bool:
        """Whether the book has all that the policies in it are about; if not, that is fetched.
        Settle the book first."""
        if not self._policies_known:
            return False
        self._turn.set()
        wanted = self._wanted()
        return wanted is None or (wanted == self._scope and len(self._known) == 2)

    # -- policies

    async def refresh(self, namespace: str) -> None:
        """Return once every policy of a namespace that there was at this moment is in the book: a
        feed may bring it later than another feed brought the pod. Raises ApiError.

        Who asks at the same time for the same namespace shares an answer."""
        if (future := self._asked.get(namespace)) is None:
            future = self._asked[namespace] = asyncio.get_running_loop().create_future()
            self._some_asked.set()
        if (error := await asyncio.shield(future)) is not None:
            raise error

    async def _answer(self) -> None:
        while True:
            await self._some_asked.wait()
            self._some_asked.clear()
            asked, self._asked = self._asked, {}
            async with asyncio.TaskGroup() as group:
                for namespace, future in asked.items():
                    group.create_task(self._answer_one(namespace, future))

    async def _answer_one(self, namespace: str, future: asyncio.Future[ApiError | None]) -> None:
        try:
            await self._read(namespace)
        except ApiError as error:
            future.set_result(error)
        except OSError as error:
            future.set_result(ApiError(str(error)))
        else:
            future.set_result(None)

    async def _read(self, namespace: str) -> None:
        """Take in what is newer than all that the feed has brought: what it brought and is not in
        the book any more is gone."""
        snapshots = -1
        while snapshots != self._snapshots:
            snapshots = self._snapshots
            listing = await self._client.list(NETWORK_POLICY, namespace)
        for doc in listing.items:
            if revision_of(doc) > self._newest or not self._policies_known:
                self._put(doc)

    def _all_policies(self, docs: Sequence[Doc]) -> None:
        self._snapshots += 1
        there = {key_of(doc) for doc in docs}
        for key in self._book.policies():
            if key not in there:
                self._book.put_policy(key, None)
        for doc in docs:
            self._put(doc)
        self._newest = max([self._newest, *map(revision_of, docs)])
        self._policies_known = True
        self._told()

    def _policy_changes(self, changes: Sequence[Change]) -> None:
        for change in changes:
            self._newest = max(self._newest, revision_of(change.doc))
            if change.type == "DELETED":
                self._book.put_policy(key_of(change.doc), None)
            else:
                self._put(change.doc)
        self._told()

    def _put(self, doc: Doc) -> None:
        self._book.put_policy(key_of(doc), policy_of(doc))

    # -- peers

    def _wanted(self) -> str | None:
        """Which pods the policies need. What was widened stays so while there is any policy."""
        if not self._book.has_policies:
            return None
        wide = self._scope == _EVERYWHERE or self._book.names_pods
        return _EVERYWHERE if wide else self._own

    async def _follow_peers(self) -> None:
        while True:
            self._turn.clear()
            self._scope = self._wanted()
            self._known.clear()
            if self._scope is None:
                self._all_pods(())
                self._all_namespaces(())
            await self._follow_scope(self._scope)

    async def _follow_scope(self, scope: str | None) -> None:
        """Until another is wanted."""
        async with asyncio.TaskGroup() as group:
            tasks = [] if scope is None else [
                group.create_task(self._follow_pods(scope), name="follow podpeers"),
                group.create_task(self._follow_namespaces(), name="follow namespacepeers"),
            ]  # fmt: skip
            while self._wanted() == scope:
                await self._turn.wait()
                self._turn.clear()
            for task in tasks:
                task.cancel()

    async def _follow_pods(self, scope: str) -> None:
        await follow(
            self._client,
            POD_PEER,
            self._clock,
            self._all_pods,
            self._pod_changes,
            among=Among(fields=scope),
        )

    async def _follow_namespaces(self) -> None:
        await follow(
            self._client, NAMESPACE_PEER, self._clock, self._all_namespaces, self._namespace_changes
        )

    def _all_pods(self, docs: Iterable[Doc]) -> None:
        there = {key_of(doc): doc for doc in docs}
        for key in self._book.members.pods():
            if key not in there:
                self._book.put_pod(key, None)
        for key, doc in there.items():
            self._book.put_pod(key, pod_of(doc))
        self._mark(_PODS)

    def _pod_changes(self, changes: Sequence[Change]) -> None:
        for change in changes:
            gone = change.type == "DELETED"
            self._book.put_pod(key_of(change.doc), None if gone else pod_of(change.doc))
        self._told()

    def _all_namespaces(self, docs: Iterable[Doc]) -> None:
        there = {doc["metadata"]["name"]: doc for doc in docs}
        for name in self._book.members.namespaces():
            if name not in there:
                self._book.members.put_namespace(name, None)
        for name, doc in there.items():
            self._book.members.put_namespace(name, doc["metadata"].get("labels") or {})
        self._mark(_NAMESPACES)

    def _namespace_changes(self, changes: Sequence[Change]) -> None:
        for change in changes:
            metadata = change.doc["metadata"]
            gone = change.type == "DELETED"
            labels = None if gone else metadata.get("labels") or {}
            self._book.members.put_namespace(metadata["name"], labels)
        self._told()

    def _mark(self, what: str) -> None:
        self._known.add(what)
        self._told()
