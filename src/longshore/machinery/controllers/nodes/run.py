"""Listen for signs of life of nodes, and act on silence: see plan.py.

A sign of life is a renewed Lease in kube-node-lease, or a Ready condition with a newer heartbeat.
When it came is told by this process's own monotonic clock, so the clocks of nodes do not matter,
and a machine that slept does not find all nodes dead when it wakes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from longshore.base.clock import Clock, parse_rfc3339, rfc3339, rfc3339_micro
from longshore.core.objects import kinds
from longshore.core.objects.errors import NotFound
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.client import (
    Client,
    Delete,
    DeleteOptions,
    Operation,
    Update,
)
from longshore.core.watch.cache import Cache
from longshore.core.watch.frames import Frame
from longshore.machinery.controllers.common import conditions as cond
from longshore.machinery.controllers.common import pods as pod_state
from longshore.machinery.controllers.common.answers import raise_first
from longshore.machinery.controllers.common.disrupting import disrupted
from longshore.machinery.controllers.nodes import plan as planning
from longshore.machinery.controllers.nodes.metrics import NodeMetrics
from longshore.machinery.controllers.nodes.plan import Eviction, NodePlan, NodeRules
from longshore.machinery.controllers.nodes.zones import Zones
from longshore.machinery.loop.answers import DONE, Answer, sooner
from longshore.machinery.loop.recorder import Recorder

LEASES = "kube-node-lease"


class NodeLifecycle:
    """The reconciler; its keys are names of nodes."""

    name = "node-lifecycle"
    watches: tuple[Kind, ...] = (kinds.NODE, kinds.LEASE, kinds.POD)

    def __init__(
        self,
        cache: Cache,
        client: Client,
        clock: Clock,
        recorder: Recorder,
        rules: NodeRules,
        metrics: NodeMetrics,
    ) -> None:
        self._cache = cache
        self._client = client
        self._clock = clock
        self._recorder = recorder.named("node-controller")
        self._evictor = recorder.named("taint-eviction-controller")
        self._rules = rules
        self._zones = Zones(rules.rates)
        self._metrics = metrics
        metrics.zones = self._zones
        self._heard: dict[str, float] = {}
        self._heard_any = clock.monotonic()
        self._silent: set[str] = set()
        self._troubled: set[str] = set()
        self._undated: dict[str, dict[tuple[str, str], str]] = {}
        self._counted: dict[str, frozenset[tuple[str, str]]] = {}

    def keys(self, event: Frame) -> Iterable[str]:
        if event.kind is kinds.LEASE:
            return self._hear_lease(event)
        if event.kind is kinds.NODE:
            return self._hear_node(event)
        node = pod_state.node_name(event.doc) if self._troubled else ""
        return (node,) if node in self._troubled else ()

    async def reconcile(self, key: str) -> Answer:
        node = self._cache.get(kinds.NODE, "", key)
        if node is None:
            return DONE
        eviction, turn_s = self._eviction(key, node)
        plan = self._plan(key, node, eviction)
        if plan.conditions is not None:
            # Its zone is judged anew with this change, and then it is looked at again.
            await self._doubt(node, plan)
            return DONE
        if plan.taints is not None:
            node = await self._taint(key, node, plan)
        return sooner(plan.wake_after_s, turn_s, await self._move_pods(key, node))

    def _plan(self, key: str, node: Doc, eviction: Eviction) -> NodePlan:
        now = self._clock.monotonic()
        ago = now - self._heard.setdefault(key, now)
        if ago >= self._rules.grace_s:
            self._silent.add(key)
        return planning.plan_node(node, ago, self._clock.now(), self._rules, eviction)

    def _eviction(self, key: str, node: Doc) -> tuple[Eviction, float | None]:
        """Whether it may be told to let go of its pods, and in how many seconds to look again."""
        if self._all_silent() or self._zones.are_lost():
            return "never", None
        if not planning.is_to_evict(node):
            return "later", None
        wait_s = self._zones.wait_s(key, self._clock.monotonic())
        return ("now", None) if wait_s == 0 else ("later", wait_s)

    async def _taint(self, key: str, node: Doc, plan: NodePlan) -> Doc:
        zone = self._zones.taint(key, self._clock.monotonic()) if plan.evicts else None
        tainted = {**node, "spec": {**node["spec"], "taints": plan.taints}}
        written = await self._client.write(Update(kinds.NODE, tainted))
        if zone is not None:
            self._metrics.evictions.add((zone,))
        return written

    async def _doubt(self, node: Doc, plan: NodePlan) -> None:
        status = {**node["status"], "conditions": plan.conditions}
        node = await self._client.write(Update(kinds.NODE, {**node, "status": status}, "status"))
        if plan.silenced:
            message = f"Node {node['metadata']['name']} status is now: NodeNotReady"
            self._recorder.event(node, "Normal", "NodeNotReady", message)

    def _all_silent(self) -> bool:
        """Agents renew several times within the grace: half of it without any word from anybody
        means that the fault is here, or that there is nowhere to go."""
        return self._clock.monotonic() - self._heard_any >= self._rules.grace_s / 2

    async def _move_pods(self, key: str, node: Doc) -> float | None:
        """Evict, remove and mark what the node's state asks for; when to look again."""
        if not _is_troubled(node):
            self._spare(key, ())
            self._troubled.discard(key)
            self._undated.pop(key, None)
            return None
        self._troubled.add(key)
        pods = self._cache.indexed(kinds.POD, "node", key)
        plan = planning.plan_pods(self._dated(key, node), pods, self._clock.now(), self._rules)
        for pod in plan.evict:
            self._tell_of_eviction("Marking for deletion Pod {}", pod)
        self._spare(key, plan.counted, plan.evict)
        await self._submit([_not_ready(pod, self._clock.now()) for pod in plan.unready])
        for pod in plan.unready:
            self._recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")
        await self._submit([disrupted(pod, *_TAINTED, self._clock.now()) for pod in plan.evict])
        await self._submit([_deletion(pod, None) for pod in plan.evict])
        await self._submit([_deletion(pod, 0) for pod in plan.remove])
        return plan.wake_after_s

    def _spare(self, key: str, counted: Sequence[Doc], evicted: Sequence[Doc] = ()) -> None:
        """Tell of pods of a node that were to be evicted later, and are not any more."""
        places = frozenset(map(_place, counted))
        for place in self._counted.pop(key, frozenset()) - places - set(map(_place, evicted)):
            pod = self._cache.get(kinds.POD, *place)
            if pod is not None and "deletionTimestamp" not in pod["metadata"]:
                self._tell_of_eviction("Cancelling deletion of Pod {}", pod)
        if places:
            self._counted[key] = places

    def _tell_of_eviction(self, what: str, pod: Doc) -> None:
        message = what.format("/".join(_place(pod)))
        self._evictor.event(pod, "Normal", "TaintManagerEviction", message)

    def _dated(self, key: str, node: Doc) -> Doc:
        """The node with the time of each taint that drives out: of one that says none, as those of
        kubectl do, when it was first seen."""
        taints: list[Doc] = node["spec"].get("taints") or []
        now, before = rfc3339_micro(self._clock.now()), self._undated.pop(key, {})
        undated = [t for t in taints if t["effect"] == "NoExecute" and not t.get("timeAdded")]
        if not undated:
            return node
        seen = {_name(taint): before.get(_name(taint), now) for taint in undated}
        self._undated[key] = seen
        dated = [{**t, "timeAdded": seen[_name(t)]} if t in undated else t for t in taints]
        return {**node, "spec": {**node["spec"], "taints": dated}}

    async def _submit(self, work: Sequence[Operation]) -> None:
        if work:
            answers = await self._client.submit(work)
            raise_first(None if isinstance(answer, NotFound) else answer for answer in answers)

    def _hear_lease(self, event: Frame) -> Iterable[str]:
        name = event.stored.name
        if event.stored.namespace != LEASES or event.type == "DELETED":
            return ()
        return self._sign_of_life(name) if event.type == "MODIFIED" else ()

    def _hear_node(self, event: Frame) -> Iterable[str]:
        name = event.stored.name
        if event.type == "DELETED":
            self._tell_of_node(event.doc, "RemovingNode", "Removing Node {} from Controller")
            self._heard.pop(name, None)
            self._silent.discard(name)
            self._troubled.discard(name)
            self._undated.pop(name, None)
            self._counted.pop(name, None)
            return self._zones.forget(name)
        again = self._zones.note(event.doc)
        known = name in self._heard
        if not known and self._is_young(event.doc):
            self._tell_of_node(event.doc, "RegisteredNode", "Registered Node {} in Controller")
        if not known or (event.old is not None and _heartbeat(event.old) != _heartbeat(event.doc)):
            again.update(self._sign_of_life(name))
        return {name, *again}

    def _is_young(self, node: Doc) -> bool:
        """Nodes that were there before this process are no news."""
        made = parse_rfc3339(node["metadata"]["creationTimestamp"])
        return self._clock.now() - made < self._rules.grace_s

    def _tell_of_node(self, node: Doc, reason: str, what: str) -> None:
        name = node["metadata"]["name"]
        message = f"Node {name} event: {what.format(name)}"
        self._recorder.event(node, "Normal", reason, message)

    def _sign_of_life(self, name: str) -> Iterable[str]:
        """Note it; whom it concerns: a node that was silent, and all others if none was heard."""
        none_was_heard = self._all_silent()
        self._heard[name] = self._heard_any = self._clock.monotonic()
        if name in self._silent:
            self._silent.discard(name)
            return {name, *self._silent} if none_was_heard else (name,)
        return tuple(self._silent) if none_was_heard else ()


_TAINTED = "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint"


def _name(taint: Doc) -> tuple[str, str]:
    return taint["key"], taint.get("value") or ""


def _place(pod: Doc) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def _heartbeat(node: Doc) -> str:
    ready = cond.find((node.get("status") or {}).get("conditions") or (), "Ready")
    return str(ready.get("lastHeartbeatTime", "")) if ready is not None else ""


def _is_troubled(node: Doc) -> bool:
    ready = cond.find((node.get("status") or {}).get("conditions") or (), "Ready")
    executed = any(one["effect"] == "NoExecute" for one in node["spec"].get("taints") or ())
    return executed or ready is None or ready["status"] != "True"


def _not_ready(pod: Doc, now: float) -> Update:
    """Endpoints must not lead to a pod of which nothing is known."""
    status = pod["status"]
    after = [
        {**one, "status": "False", "lastTransitionTime": rfc3339(now)}
        if one["type"] == "Ready"
        else one
        for one in status["conditions"]
    ]
    return Update(kinds.POD, {**pod, "status": {**status, "conditions": after}}, "status")


def _deletion(pod: Doc, grace_s: int | None) -> Delete:
    metadata = pod["metadata"]
    options = DeleteOptions(grace_s=grace_s, uid=metadata["uid"])
    return Delete(kinds.POD, metadata["namespace"], metadata["name"], options)
