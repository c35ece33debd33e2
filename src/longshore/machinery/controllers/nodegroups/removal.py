"""One node on its way out: taint, drain, end the machine, delete the Node. What was done is in the cluster,
so whoever comes after a crash goes on or takes it back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from longshore.core.objects import kinds
from longshore.core.objects.errors import ApiError, Conflict, NotFound
from longshore.core.objects.kinds import Doc
from longshore.core.objects.selectors import from_doc
from longshore.core.registry.client import Delete, DeleteOptions
from longshore.machinery.controllers.common.owners import is_deleting
from longshore.machinery.controllers.common.pods import is_ready
from longshore.machinery.controllers.nodegroups import taints
from longshore.machinery.controllers.nodegroups.drainable import (
    NOT_ENOUGH_PDB,
    Budget,
    hindrance,
    is_daemon,
    is_mirror,
    must_move,
)
from longshore.machinery.controllers.nodegroups.hands import Hands
from longshore.machinery.controllers.nodegroups.protocol import ProviderFailure

# How often a pod that its budget keeps is asked to go again (drain.go, DefaultEvictionRetryTime), and
# what pods get beyond their grace (DefaultPodEvictionHeadroom).
AGAIN_S, _HEADROOM_S = 10.0, 30.0
_GRACE_S = 30


class Kept(Exception):
    """The node cannot be removed; the message says why."""


@dataclass(slots=True)
class Removal:
    """began: monotonic seconds; reason is empty, underutilized or unready. tainted: the node says that
    it goes."""

    node: str
    began: float
    reason: str
    tainted: bool = False
    asked: set[str] = field(default_factory=set)


class Remover:
    """Takes one step at a time; who calls it keeps the removals."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    async def step(self, removal: Removal) -> float | None:
        """Go on; seconds until the next look, None if the node is gone. Raises Kept, after which the
        node is to be taken back."""
        node = self._node(removal.node)
        if (wait_s := self._until_seen(removal)) > 0:
            return wait_s
        if node is not None:
            if not taints.has(node, taints.TO_BE_DELETED):
                raise Kept("its taint was taken off")
            if await self._drain(removal, node):
                return AGAIN_S
        await self._end(removal.node)
        if node is not None:
            await self._forget(removal, node)
        return None

    async def begin(self, removal: Removal) -> None:
        """Say that a node goes; what follows is step()'s."""
        node = self._node(removal.node)
        if node is None:
            return
        now = self._hands.clock.now()
        if patch := taints.with_taint(node, taints.TO_BE_DELETED, now):
            await self._hands.client.write(patch)
            self._event(node, "ScaleDown", "marked the node as toBeDeleted/unschedulable")
        removal.began, removal.tainted = self._hands.clock.monotonic(), True

    async def take_back(self, name: str, why: str, *, drained: bool) -> None:
        """Let a node be used again, and say what was in the way."""
        node = self._node(name)
        if node is None:
            return
        what = "drain and delete node" if drained else "delete empty node"
        self._event(node, "ScaleDownFailed", f"failed to {what}: {why}", bad=True)
        if patch := taints.without_taints(node, taints.TO_BE_DELETED, taints.CANDIDATE):
            await self._hands.client.write(patch)

    def blocked(self, pods: Iterable[Doc]) -> str:
        """Why pods that must move may not; empty if they may."""
        return next((why for pod in pods if (why := hindrance(pod, self._budgets(pod)))), "")

    def _budgets(self, pod: Doc) -> list[Budget]:
        return [
            Budget(one["metadata"]["namespace"], selector, _allowed(one))
            for one in self._hands.cache.all(kinds.PDB, pod["metadata"]["namespace"])
            if (selector := from_doc(one["spec"].get("selector"))) is not None
        ]

    def _until_seen(self, removal: Removal) -> float:
        """Seconds until the scheduler has surely seen the taint."""
        if not removal.tainted:
            return AGAIN_S
        return removal.began + self._hands.rules.taint_delay_s - self._hands.clock.monotonic()

    async def _drain(self, removal: Removal, node: Doc) -> bool:
        """Whether pods are left that somebody would miss."""
        pods = self._hands.cache.indexed(kinds.POD, "node", removal.node)
        movers = [pod for pod in pods if must_move(pod)]
        why = self.blocked(movers)
        if why and why != NOT_ENOUGH_PDB:
            raise Kept(f"a pod came that may not be moved: {why}")
        for pod in movers:
            await self._evict(removal, pod)
        await self._evict_daemons(removal, pods if movers else ())
        if not is_ready(node):
            return False  # what was told to end there can tell nobody that it did
        left = [pod for pod in pods if not (is_daemon(pod) or is_mirror(pod))]
        left = [pod for pod in left if must_move(pod) or is_deleting(pod)]
        self._check_patience(removal, node, left)
        return bool(left)

    async def _evict(self, removal: Removal, pod: Doc) -> None:
        uid = pod["metadata"]["uid"]
        if uid not in removal.asked:
            self._event(pod, "ScaleDown", "deleting pod for node scale down")
            removal.asked.add(uid)
        try:
            await self._ask(pod)
        except (NotFound, Conflict):
            return
        except ApiError as error:
            if self._hands.clock.monotonic() - removal.began < self._hands.rules.eviction_s:
                return
            self._hands.metrics.evicted("failed")
            self._event(pod, "ScaleDownFailed", "failed to delete pod for ScaleDown", bad=True)
            raise Kept(_not_evicted(pod, error)) from None
        self._hands.metrics.evicted("succeeded")

    async def _evict_daemons(self, removal: Removal, pods: Sequence[Doc]) -> None:
        """Best effort, so that they end well (--daemonset-eviction-for-occupied-nodes)."""
        for pod in pods:
            uid = pod["metadata"]["uid"]
            if is_daemon(pod) and uid not in removal.asked and not is_deleting(pod):
                removal.asked.add(uid)
                with contextlib.suppress(ApiError):
                    await self._ask(pod)

    async def _ask(self, pod: Doc) -> None:
        metadata = pod["metadata"]
        grace = pod["spec"].get("terminationGracePeriodSeconds")
        grace_s = min(
            _GRACE_S if grace is None else int(grace), int(self._hands.rules.termination_s)
        )
        await self._hands.tools.evict(
            metadata["namespace"], metadata["name"], metadata["uid"], grace_s
        )

    def _check_patience(self, removal: Removal, node: Doc, left: Sequence[Doc]) -> None:
        rules = self._hands.rules
        patience_s = rules.eviction_s + rules.termination_s + _HEADROOM_S
        if left and self._hands.clock.monotonic() - removal.began > patience_s:
            name = node["metadata"]["name"]
            raise Kept(f"Failed to drain node /{name}: pods remaining after timeout")

    async def _end(self, name: str) -> None:
        try:
            await self._hands.tools.provider.delete([name])
        except ProviderFailure as error:
            raise Kept(f"failed to delete {name}: {error}") from None

    async def _forget(self, removal: Removal, node: Doc) -> None:
        self._event(node, "ScaleDown", "nodes removed by cluster autoscaler")
        self._hands.metrics.removed(removal.reason)
        options = DeleteOptions(uid=node["metadata"]["uid"])
        with contextlib.suppress(NotFound, Conflict):
            await self._hands.client.write(Delete(kinds.NODE, "", removal.node, options))

    def _node(self, name: str) -> Doc | None:
        return self._hands.cache.get(kinds.NODE, "", name)

    def _event(self, about: Doc, reason: str, message: str, *, bad: bool = False) -> None:
        self._hands.recorder.event(about, "Warning" if bad else "Normal", reason, message)


def _allowed(budget: Doc) -> int:
    return int((budget.get("status") or {}).get("disruptionsAllowed", 0))


def _not_evicted(pod: Doc, error: ApiError) -> str:
    metadata = pod["metadata"]
    return (
        f"failed to evict pod {metadata['namespace']}/{metadata['name']} within allowed timeout "
        f"(last error: {error.message})"
    )
