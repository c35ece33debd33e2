"""Whatever comes, in whatever order: a pod's life goes one way, as its status tells it."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.admission.gate import Gate
from longshore.machinery.kubelet.admission.plan import Site
from longshore.machinery.kubelet.config import KubeletConfig
from longshore.machinery.kubelet.hollow.nodes import hollow_configs
from longshore.machinery.kubelet.hollow.pod import HollowNode, advance, new_pod, rest, take
from longshore.machinery.kubelet.lifecycle.status import pod_status
from longshore.machinery.kubelet.network import HollowNetwork

from .docs import NOW, container, deleting, pod

_RANK = {"Pending": 0, "Running": 1, "Succeeded": 2, "Failed": 2}
_ENDED = ("Succeeded", "Failed")
_CPUS = ("1", "2", "3", "9")


def _node(config: KubeletConfig) -> HollowNode:
    room = {"cpu": 4000, "pods": 110}
    site = Site({"metadata": {"name": config.node_name, "labels": {}}}, room)
    return HollowNode(config, HollowNetwork(config.pod_cidr), Gate(lambda: site, lambda uid: None))


def rule(action: str, code: int) -> Doc:
    return {"action": action, "exitCodes": {"operator": "In", "values": [code]}}


def one(name: str, policy: str, action: str, cpu: str, when: str) -> Doc:
    made = container(name, resources={"requests": {"cpu": cpu}})
    if policy:
        made |= {"restartPolicy": policy, "restartPolicyRules": [rule(action, 3)]}
    if when:
        made["resizePolicy"] = [{"resourceName": "cpu", "restartPolicy": when}]
    return made


@dataclass
class Life:
    """A pod on a hollow node, and all that was ever told of it."""

    doc: Doc
    now: float = NOW
    told: list[Doc] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.node = _node(hollow_configs(["n1"])[0])
        self.pod = new_pod(self.doc, self.node, self.now)
        self.look()

    def look(self) -> None:
        """As the node does when it was woken."""
        if self.pod.finished or not self.pod.doc:
            return
        wake_at = advance(self.pod, self.now)
        assert wake_at is None or wake_at > self.now, "woken at once, again and again"
        status = pod_status(self.pod.view(self.now))
        self.pod.reported, self.pod.phase = status, status["phase"]
        self.doc = {**self.doc, "status": {**self.doc.get("status", {}), **status}}
        self.told.append(self.doc["status"])

    def happen(self, what: str, number: int) -> None:
        if what == "wait":
            self.now += number
        elif what == "forget":  # the process begins anew, and knows what the API server knows
            if not self.pod.finished:
                self.node = _node(hollow_configs(["n1"])[0])
                self.pod = new_pod(self.doc, self.node, self.now)
        elif what == "rest":
            rest(self.pod)
        else:
            self.change(what, number)
        self.look()

    def change(self, what: str, number: int) -> None:
        """A new generation of the pod."""
        metadata = {**self.doc["metadata"], "generation": self.doc["metadata"]["generation"] + 1}
        self.doc = {**self.doc, "metadata": metadata}
        if what == "delete":
            self.doc = deleting(self.doc, number)
        else:
            cpu = {"requests": {"cpu": _CPUS[number % len(_CPUS)]}}
            mains = [{**main, "resources": cpu} for main in self.doc["spec"]["containers"]]
            self.doc = {**self.doc, "spec": {**self.doc["spec"], "containers": mains}}
        take(self.pod, self.doc)


_EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(0, 400)),
        st.tuples(st.just("resize"), st.integers(0, 3)),
        st.tuples(st.sampled_from(["forget", "rest"]), st.just(0)),
        st.tuples(st.just("delete"), st.integers(0, 30)),
    ),
    max_size=20,
)
_ONE = st.builds(
    one,
    st.just("main"),
    st.sampled_from(["", "", "Never", "OnFailure", "Always"]),
    st.sampled_from(["Restart", "RestartAllContainers"]),
    st.sampled_from(["1", "2", "9"]),
    st.sampled_from(["", "NotRequired", "RestartContainer"]),
)


def _pod(main: Doc, policy: str, inits: list[Doc], ends: str) -> Doc:
    doc = pod(main, container("beside"), inits=inits, restartPolicy=policy)
    if ends:
        doc["metadata"]["annotations"] = {"longshore.io/hollow-exit": ends}
    return doc


_PODS = st.builds(
    _pod,
    _ONE,
    st.sampled_from(["Always", "OnFailure", "Never"]),
    st.sampled_from([[], [container("setup")], [container("side", restartPolicy="Always")]]),
    st.sampled_from(["", "0 after 30", "3 after 20", "1 after 5"]),
)


def _restarts(status: Doc) -> dict[str, int]:
    every = (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
    return {one["name"]: one["restartCount"] for one in every}


@given(_PODS, _EVENTS)
@settings(max_examples=150, deadline=None)
def test_nothing_ever_goes_back(doc: Doc, events: list[tuple[str, int]]) -> None:
    life = Life(doc)
    for event in events:
        life.happen(*event)
    for before, after in zip(life.told, life.told[1:], strict=False):
        assert _RANK[before["phase"]] <= _RANK[after["phase"]]
        if before["phase"] in _ENDED:
            assert before["phase"] == after["phase"]
        counts = _restarts(after)
        assert all(counts[name] >= count for name, count in _restarts(before).items())
        assert before["observedGeneration"] <= after["observedGeneration"]


@given(_PODS, _EVENTS)
@settings(max_examples=100, deadline=None)
def test_room_is_held_by_those_that_live_and_nobody_else(
    doc: Doc, events: list[tuple[str, int]]
) -> None:
    life = Life(doc)
    for event in events:
        life.happen(*event)
    lives = life.pod.phase not in _ENDED and not life.pod.finished
    asked = [_cpu(one) for one in life.told[-1].get("containerStatuses", ())]
    assert life.node.gate.holds(life.pod.uid) is lives
    if lives:
        assert sum(asked) <= 4000


def _cpu(status: Doc) -> int:
    given = status.get("allocatedResources") or {}
    return 1000 * int(given.get("cpu", 0))
