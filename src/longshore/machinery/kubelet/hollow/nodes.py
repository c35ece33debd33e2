"""Many nodes without machines: 1,000 nodes and 10,000 pods in one process.

They look like real ones from outside, since the same plan.py and status.py decide; only what is
below them is missing. All nodes share one feed of pods and one writer, and everything goes in
batches: registrations, leases, statuses, deletions.

A pod says how its containers end with the annotation or label longshore.io/hollow-exit ("CODE" or
"CODE after SECONDS", for some indexes of a Job "CODE at 1,3; CODE"). Pods of Jobs succeed after a moment; all others run for ever. An image of a
repository named broken cannot be pulled. The annotation longshore.io/hollow has pods and nodes do more that is wrong (core/objects/hollow.py).
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from longshore.base.clock import Clock
from longshore.base.limits import LOOP_SLICE
from longshore.core.objects import kinds
from longshore.core.objects.errors import AlreadyExists, ApiError, NotFound, Unavailable
from longshore.core.objects.hollow import FOREVER
from longshore.core.objects.kinds import Doc
from longshore.core.objects.pod_requests import amounts_of
from longshore.core.registry.client import (
    Answers,
    Change,
    Client,
    Create,
    Delete,
    DeleteOptions,
    Operation,
    Patch,
)
from longshore.machinery.kubelet.admission.gate import Gate
from longshore.machinery.kubelet.admission.plan import Site
from longshore.machinery.kubelet.config import LEASE_RENEW_S, MAX_PODS, RECONCILE_S, KubeletConfig
from longshore.machinery.kubelet.hollow.misbehaving import node_told
from longshore.machinery.kubelet.hollow.pod import (
    HollowNode,
    HollowPod,
    advance,
    has_news,
    is_undecided,
    leave,
    new_pod,
    over,
    renew,
    rest,
    seen_of,
    take,
)
from longshore.machinery.kubelet.lifecycle.status import doubted, is_certain, pod_status
from longshore.machinery.kubelet.network import HollowNetwork
from longshore.machinery.kubelet.node.plan import (
    LEASE_NAMESPACE,
    MachineFacts,
    lease_doc,
    lease_renewal,
    node_doc,
    node_status,
)
from longshore.machinery.kubelet.writer import TRANSIENT
from longshore.machinery.loop.alarms import Alarms
from longshore.machinery.loop.follow import Among, follow
from longshore.machinery.loop.giving_way import give_way
from longshore.machinery.runtime.protocol import State

_log = logging.getLogger("longshore.kubelet.hollow")
# Writes in one call: enough to make one transaction worth it, few enough to let others in between
# (they are planned in one turn of the loop, at some 100 us each).
BATCH_MAX = 250
_RETRY_S = 1.0
_NODES = ipaddress.ip_network("10.90.0.0/16")
_PODS = ipaddress.ip_network("10.128.0.0/9")
_FIRST_NODE = 10
_PODS_PREFIX = 24

CAPACITY = {"cpu": "8", "memory": "32Gi", "pods": str(MAX_PODS), "ephemeral-storage": "100Gi"}
HOLLOW_FACTS = MachineFacts("amd64", "hollow", "Hollow", "hollow", "hollow", "hollow")


def is_hollow(node: Doc) -> bool:
    """Whether a Node says of itself that it runs nothing."""
    told = (node.get("status") or {}).get("nodeInfo") or {}
    return bool(told.get("kernelVersion") == HOLLOW_FACTS.kernel_version)


def hollow_configs(
    names: Sequence[str],
    capacity: Mapping[str, str] = CAPACITY,
    labels: Mapping[str, str] | None = None,
) -> list[KubeletConfig]:
    """A node for each name, with an address and a range of pod addresses of its own."""
    first, room = int(_PODS.network_address), 2 ** (32 - _PODS_PREFIX)
    return [
        KubeletConfig(
            node_name=name,
            root=Path("/nonexistent"),
            node_ip=str(_NODES.network_address + _FIRST_NODE + number),
            pod_cidr=f"{ipaddress.ip_address(first + number * room)}/{_PODS_PREFIX}",
            capacity=capacity,
            labels=labels or {},
        )
        for number, name in enumerate(names)
    ]


class HollowNodes:
    """All hollow nodes of a process. run() registers and serves them until cancelled. changing: others
    may come and go (become)."""

    def __init__(
        self,
        configs: Iterable[KubeletConfig],
        client: Client,
        clock: Clock,
        *,
        changing: bool = False,
    ) -> None:
        self._nodes = {c.node_name: self._hollow(c) for c in configs}
        self._changing = changing
        self._client = client
        self._clock = clock
        self._unwell: set[str] = set()
        self._pods: dict[str, HollowPod] = {}
        self._dirty: dict[str, None] = {}
        self._some = asyncio.Event()
        self._alarm: Callable[[str, float], None] = lambda uid, seconds: None

    async def run(self) -> None:
        async with asyncio.TaskGroup() as crew:
            self._alarm = Alarms[str](self._clock, self._touch, crew).set
            crew.create_task(self._keep_nodes(), name="hollow nodes")
            judging = follow(
                self._client,
                kinds.NODE,
                self._clock,
                self._judge_all,
                self._judge,
                among=Among(fields=self._own),
            )
            crew.create_task(judging, name="hollow nodes, as others see them")
            following = follow(
                self._client,
                kinds.POD,
                self._clock,
                self._replace,
                self._take,
                among=Among(fields=self._fields),
            )
            crew.create_task(following, name="hollow pods")
            crew.create_task(self._write(), name="hollow statuses")

    async def become(self, configs: Iterable[KubeletConfig]) -> None:
        """Serve exactly these nodes from now on: the Nodes of those that go are deleted."""
        assert self._changing
        wanted = {config.node_name: config for config in configs}
        gone = [name for name in self._nodes if name not in wanted]
        for name in gone:
            del self._nodes[name]
            self._unwell.discard(name)
        for uid in [uid for uid, pod in self._pods.items() if pod.node.config.node_name in gone]:
            self._drop(uid)
        new = [self._hollow(one) for name, one in wanted.items() if name not in self._nodes]
        self._nodes |= {node.config.node_name: node for node in new}
        await self._submit([Delete(kinds.NODE, "", name) for name in gone])
        await self._register(new)

    def _hollow(self, config: KubeletConfig) -> HollowNode:
        allocatable = amounts_of(config.capacity)

        def site() -> Site:
            described = node.doc or node_doc(config, HOLLOW_FACTS)
            return Site(described, allocatable, config.resources.allowed_unsafe_sysctls)

        gate = Gate(site, self._touch, lambda: node.pressure)
        node = HollowNode(config, HollowNetwork(config.pod_cidr), gate)
        return node

    def running(self) -> Iterator[str]:
        """The uids of the pods of which some container runs."""
        for uid, pod in self._pods.items():
            if any(one.state is State.RUNNING for one in pod.containers.values()):
                yield uid

    @property
    def _fields(self) -> str:
        """A node by itself hears, and may hear, of its own pods only."""
        names = list(self._nodes)
        return f"spec.nodeName={names[0]}" if len(names) == 1 and not self._changing else ""

    @property
    def _own(self) -> str:
        names = list(self._nodes)
        return f"metadata.name={names[0]}" if len(names) == 1 and not self._changing else ""

    # -- nodes -------------------------------------------------------------------------------

    async def _keep_nodes(self) -> None:
        """Register all; then, every ten seconds by default, renew all leases, and report anew what
        is not seen as it is: a report was lost, or the node was taken for lost."""
        nodes = list(self._nodes.values())
        pause_s = min((node.config.lease_renew_s for node in nodes), default=LEASE_RENEW_S)
        await self._register(nodes)
        while True:
            await self._clock.sleep(pause_s)
            await self._renew()
            await self._report(sorted(self._heard(self._unwell), key=_name_of))

    def _heard(self, names: Collection[str] | None = None) -> Iterator[HollowNode]:
        """Those (of these) that are not silent."""
        now = self._clock.now()
        nodes = self._nodes.values() if names is None else (self._nodes[one] for one in names)
        return (node for node in nodes if not node.silence(now))

    async def _register(self, nodes: Sequence[HollowNode]) -> None:
        """Create the nodes, then their statuses and leases. Nodes that exist are taken over."""
        creates = [Create(kinds.NODE, node_doc(node.config, HOLLOW_FACTS)) for node in nodes]
        for node, answer in zip(nodes, await self._submit(creates), strict=True):
            if isinstance(answer, AlreadyExists):
                answer = await self._there(node)
            if isinstance(answer, ApiError):
                _log.warning("node %s: %s", node.config.node_name, answer.message)
            else:
                node.doc = answer
        known = [node for node in nodes if node.doc]
        await self._report(known)
        now = self._clock.now()
        await self._submit([Create(kinds.LEASE, lease_doc(node.doc, now)) for node in known])

    async def _report(self, nodes: Sequence[HollowNode]) -> None:
        now = self._clock.now()
        await self._submit([self._node_status(node, now) for node in nodes])

    async def _there(self, node: HollowNode) -> Doc | ApiError:
        try:
            return await self._client.get(kinds.NODE, "", node.config.node_name)
        except ApiError as error:
            return error
        except OSError as error:
            return Unavailable(str(error))

    def _node_status(self, node: HollowNode, now: float) -> Operation:
        facts = replace(HOLLOW_FACTS, pressure=node.pressure)
        status = node_status(node.config, facts, (), node.doc.get("status") or {}, now)
        return Patch(kinds.NODE, "", node.config.node_name, {"status": status}, "status")

    async def _renew(self) -> None:
        renewal = lease_renewal(self._clock.now())
        nodes = list(self._heard())
        answers = await self._submit(
            [Patch(kinds.LEASE, LEASE_NAMESPACE, n.config.node_name, renewal) for n in nodes]
        )
        lost = [n for n, a in zip(nodes, answers, strict=True) if isinstance(a, NotFound)]
        # One that has left meanwhile stays away.
        lost = [node for node in lost if self._nodes.get(node.config.node_name) is node]
        if lost:
            await self._register(lost)

    def _judge_all(self, nodes: Sequence[Doc]) -> None:
        for doc in nodes:
            self._see(doc)

    def _judge(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.type != "DELETED":  # the lease's renewal finds out
                self._see(change.doc)

    def _see(self, doc: Doc) -> None:
        name = doc["metadata"]["name"]
        node = self._nodes.get(name)
        if node is not None:
            node.doc = doc
            self._heed(node)
            as_told = _is_ready(doc) and _pressure(doc) == node.pressure
            (self._unwell.discard if as_told else self._unwell.add)(name)

    def _heed(self, node: HollowNode) -> None:
        """It may have been told to misbehave, or to stop that."""
        behaviour = node_told(node.doc)
        if behaviour == node.behaviour:
            return
        node.behaviour, node.told_at = behaviour, self._clock.now()
        for uid in node.pods:
            self._touch(uid)

    # -- pods --------------------------------------------------------------------------------

    async def _replace(self, pods: Sequence[Doc]) -> None:
        present = set()
        for number, doc in enumerate(pods, 1):  # once: each look may decode it
            present.add(doc["metadata"]["uid"])
            self._offer(doc)
            if number % LOOP_SLICE == 0:
                await self._clock.sleep(0)
        for uid in [uid for uid in self._pods if uid not in present]:
            self._drop(uid)

    def _take(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.type == "DELETED":
                self._drop(change.doc["metadata"]["uid"])
            else:
                self._offer(change.doc)

    def _offer(self, doc: Doc) -> None:
        node = self._nodes.get(doc["spec"].get("nodeName", ""))
        if node is None:
            return
        known = self._pods.get(doc["metadata"]["uid"])
        if known is None:
            known = new_pod(doc, node, self._clock.now())
            self._pods[known.uid] = known
            node.pods.add(known.uid)
        elif known.seen != seen_of(doc):
            take(known, doc)
        else:
            # Our own status, come back, or somebody else's word against it.
            self._doubt(known, doc)
            return
        if slow_s := node.behaviour.slow_s:
            self._alarm(known.uid, slow_s)
        else:
            self._touch(known.uid)

    def _doubt(self, pod: HollowPod, doc: Doc) -> None:
        since = pod.doubted_at
        pod.doubted_at = doubted(since, doc, pod.reported, self._clock.monotonic())
        if pod.doc or pod.doubted_at is not None:
            renew(pod, doc)
        if since is None and pod.doubted_at is not None:
            self._alarm(pod.uid, RECONCILE_S)

    def _touch(self, uid: str) -> None:
        self._dirty[uid] = None
        self._some.set()

    def _drop(self, uid: str) -> None:
        pod = self._pods.pop(uid, None)
        self._dirty.pop(uid, None)
        if pod is not None:
            pod.node.pods.discard(uid)
            pod.node.gate.leave(uid)
            if pod.ips:
                leave(pod)

    async def _write(self) -> None:
        """Advance what changed and send all of it, a batch at a time."""
        while True:
            await self._some.wait()
            batch = list(self._dirty)[:BATCH_MAX]
            for uid in batch:
                del self._dirty[uid]
            if not self._dirty:
                self._some.clear()
            sent = [(pod, op) for uid in batch for pod, op in self._operations(uid)]
            answers = await self._submit([op for _, op in sent])
            again = {
                p.uid for (p, _), a in zip(sent, answers, strict=True) if isinstance(a, TRANSIENT)
            }
            for uid in again & self._pods.keys():
                self._pods[uid].reported, self._pods[uid].finished = {}, False
                self._alarm(uid, _RETRY_S)
            self._let_rest(uid for uid in batch if uid not in again)
            if len(batch) == BATCH_MAX:
                # In a burst the control plane that shares this process goes first.
                await give_way(self._clock)

    def _let_rest(self, uids: Iterable[str]) -> None:
        """Of thousands of pods, few have something to be decided about them at a time."""
        for uid in uids:
            pod = self._pods.get(uid)
            if pod is not None and pod.calm and pod.doubted_at is None and uid not in self._dirty:
                rest(pod)

    def _operations(self, uid: str) -> Iterator[tuple[HollowPod, Operation]]:
        """What the API server must hear of a pod after all that is due has been done."""
        pod = self._pods.get(uid)
        if pod is None or over(pod) or not pod.doc:
            return
        if silent_s := pod.node.silence(self._clock.now()):
            pod.calm = False
            if silent_s < FOREVER:
                self._alarm(uid, silent_s)
            return
        if is_certain(pod.doubted_at, self._clock.monotonic()):
            pod.reported, pod.doubted_at = {}, None
        wake_at = advance(pod, self._clock.now())
        pod.calm = wake_at is None and pod.resizing.pending is None
        if wake_at is not None:
            self._alarm(uid, wake_at - self._clock.now())
        if is_undecided(pod):
            return
        metadata, status = pod.doc["metadata"], pod_status(pod.view(self._clock.now()))
        namespace, name = metadata["namespace"], metadata["name"]
        if has_news(pod, status):
            pod.reported, pod.phase = status, status["phase"]
            yield pod, Patch(kinds.POD, namespace, name, {"status": status}, "status")
        if pod.finished:
            yield pod, Delete(kinds.POD, namespace, name, DeleteOptions(grace_s=0, uid=uid))

    async def _submit(self, operations: Sequence[Operation]) -> Answers:
        """Everything, in calls of BATCH_MAX. A call that fails is an answer for each of its own."""
        answers: Answers = []
        for start in range(0, len(operations), BATCH_MAX):
            part = operations[start : start + BATCH_MAX]
            try:
                answers += await self._client.submit(part)
            except (ApiError, OSError) as error:
                _log.warning("%d hollow writes: %s", len(part), error)
                answers += [Unavailable(str(error))] * len(part)
        return answers


def _name_of(node: HollowNode) -> str:
    return node.config.node_name


def _is_ready(node: Doc) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _pressure(node: Doc) -> frozenset[str]:
    """Which pressures others see the node under."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    return frozenset(
        one["type"]
        for one in conditions
        if one["type"].endswith("Pressure") and one["status"] == "True"
    )
