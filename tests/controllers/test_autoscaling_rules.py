"""The rules of autoscaling: how many replicas metrics ask for, and how fast that is followed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.base.clock import rfc3339
from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.autoscaling.evaluate import (
    Failed,
    Reading,
    Unmeasured,
    World,
    compute,
    go_selector,
)
from longshore.machinery.controllers.autoscaling.pods import Pod, Value
from longshore.machinery.controllers.autoscaling.rates import Bounds, Memory, Pace, Stamped, paced
from longshore.machinery.controllers.autoscaling.replicas import Tolerances

NOW = 1_800_000_000.0
HOUR = 3600.0


def doc_of(
    name: str, request: str = "1", *, ready: str = "True", phase: str = "Running", **more: float
) -> Doc:
    """more: age_s since it started, ready_s since it became what it is; leaving_s: it is."""
    metadata: Doc = {"name": name}
    if "leaving_s" in more:
        metadata["deletionTimestamp"] = rfc3339(NOW)
    condition = {
        "type": "Ready", "status": ready,
        "lastTransitionTime": rfc3339(NOW - more.get("ready_s", HOUR)),
    }  # fmt: skip
    requests = {"requests": {"cpu": request}} if request else {}
    return {
        "metadata": metadata,
        "spec": {"containers": [{"name": "main", "resources": requests}]},
        "status": {
            "phase": phase, "conditions": [condition],
            "startTime": rfc3339(NOW - more.get("age_s", HOUR)),
        },
    }  # fmt: skip


def pod(name: str, request: str = "1", **more: Any) -> Pod:
    return Pod.of(doc_of(name, request, **more))


def values(*milli: int, window_s: float = 60.0) -> dict[str, Value]:
    return {f"p{number}": Value(one, NOW, window_s) for number, one in enumerate(milli)}


def pods(count: int, request: str = "1", **more: Any) -> list[Pod]:
    return [pod(f"p{number}", request, **more) for number in range(count)]


def utilization(percent: int, **more: str) -> Doc:
    source = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}
    if more:
        return {"type": "ContainerResource", "containerResource": {**source, **more}}
    return {"type": "Resource", "resource": source}


def pods_metric(each: str) -> Doc:
    target = {"type": "AverageValue", "averageValue": each}
    return {"type": "Pods", "pods": {"metric": {"name": "qps"}, "target": target}}


def external(**target: str) -> Doc:
    return {"type": "External", "external": {"metric": {"name": "queue"}, "target": target}}


def world(
    current: int, of: Sequence[Pod], tolerances: Tolerances = Tolerances(), running: int = -1
) -> World:
    there = current if running < 0 else running
    return World("default", current, there, of, tolerances, NOW)


def asked(metric: Doc, reading: Reading, where: World) -> int:
    return compute(metric, reading, where).replicas


# ---- the cases of upstream's replica_calculator_test.go

UNREADY: dict[str, Any] = {"ready": "False", "age_s": 60.0, "ready_s": 60.0}


@pytest.mark.parametrize(
    ("why", "metric", "reading", "where", "expected"),
    [
        ("the walkthrough: 2.5 times the target of 50 %", utilization(50), values(1250), world(1, pods(1)), 3),
        ("up", utilization(30), values(300, 500, 700), world(3, pods(3)), 5),
        ("up, one unready", utilization(30), values(300, 500, 700),
         world(3, [pod("p0", **UNREADY), *pods(3)[1:]]), 4),
        ("up, one just ready", utilization(30), values(300, 500, 700),
         world(3, [pod("p0", age_s=60, ready_s=10), *pods(3)[1:]]), 4),
        ("up, two pending", utilization(30), values(300, 500, 700),
         world(3, [pods(1)[0], *(pod(f"p{n}", phase="Pending") for n in (1, 2))]), 3),
        ("up, one failed", utilization(30), values(500, 700),
         world(2, [*pods(2), pod("p2", phase="Failed")]), 4),
        ("up, one leaves", utilization(30), values(500, 700, 900),
         world(3, [*pods(2), pod("p2", leaving_s=1)]), 4),
        ("down", utilization(50), values(100, 300, 500, 250, 250), world(5, pods(5)), 3),
        ("within the tolerance", utilization(100), values(1010, 1030, 1020),
         world(3, pods(3, "1")), 3),
        ("one missing, down: it counts in full", utilization(50), values(100, 300, 500), world(4, pods(4)), 4),
        ("one missing, up: it counts as idle", utilization(30), values(500, 700), world(3, pods(3)), 4),
        ("missing pods never turn the direction", utilization(50), values(600), world(3, pods(3)), 3),
        ("a missing pod above 100 %", utilization(200), values(1000, 1000), world(3, pods(3)), 2),
        ("a memory of what was never ready", utilization(30), values(300, 500, 700),
         world(3, [pod("p0", ready="False", age_s=HOUR, ready_s=HOUR), *pods(3)[1:]]), 4),
        ("once ready, later not: it counts", utilization(30), values(300, 500, 700),
         world(3, [pod("p0", ready="False", age_s=HOUR, ready_s=60), *pods(3)[1:]]), 5),
        ("pods metric, up", pods_metric("15"), values(20_000, 10_000, 30_000), world(3, pods(3)), 4),
        ("pods metric goes by unready pods too", pods_metric("15"), values(50_000, 10_000, 30_000),
         world(3, [pod("p0", **UNREADY), *pods(3)[1:]]), 6),
        ("pods metric, one missing, up", pods_metric("20"), values(40_000, 30_000), world(3, pods(3)), 4),
        ("pods metric, one missing, down: it counts as the target", pods_metric("20"), values(10_000, 10_000), world(3, pods(3)), 2),
        ("external", external(value="4.4"), 8600, world(3, pods(3)), 6),
        ("external, within the tolerance", external(value="4.4"), 4600, world(3, pods(3)), 3),
        ("external counts ready pods", external(value="6"), 8600,
         world(5, [*pods(3), pod("p3", **UNREADY), pod("p4", **UNREADY)]), 5),
        ("external, each", external(averageValue="2.15"), 8600, world(3, pods(3)), 4),
        ("external, each, of none", external(averageValue="2"), 8600, world(3, pods(3), running=0), 5),
        ("never more than an int32", external(averageValue="1m"), 10**18, world(3, pods(3)), 2**31 - 1),
    ],
)  # fmt: skip
def test_replicas(why: str, metric: Doc, reading: Reading, where: World, expected: int) -> None:
    assert asked(metric, reading, where) == expected, why


@pytest.mark.parametrize(
    ("metric", "reading", "where", "reason", "why"),
    [
        (utilization(50), values(), world(1, pods(1)), "FailedGetResourceMetric",
         "failed to get cpu utilization: did not receive metrics for targeted pods (pods might be unready)"),
        (utilization(50), values(10), world(1, []), "FailedGetResourceMetric",
         "failed to get cpu utilization: no pods returned by selector while calculating replica count"),
        (utilization(50), values(10), world(1, pods(1, "")), "FailedGetResourceMetric",
         "failed to get cpu utilization: missing request for cpu in container main of Pod p0"),
        (utilization(50, container="x"), values(10), world(1, pods(1)),
         "FailedGetContainerResourceMetric",
         "failed to get cpu utilization: container x not found in Pod p0"),
        (pods_metric("1"), Unmeasured("gone"), world(1, pods(1)), "FailedGetPodsMetric",
         "unable to get metric qps: gone"),
        (external(value="1"), Unmeasured("gone"), world(1, pods(1)), "FailedGetExternalMetric",
         "unable to get external metric default/queue/nil: gone"),
        (external(value="1"), 5000, world(1, []), "FailedGetExternalMetric",
         "unable to calculate ready pods: no pods returned by selector while calculating replica count"),
    ],
)  # fmt: skip
def test_what_cannot_be_computed_is_told(
    metric: Doc, reading: Reading, where: World, reason: str, why: str
) -> None:
    with pytest.raises(Failed) as failed:
        compute(metric, reading, where)
    assert (failed.value.reason, failed.value.why) == (reason, why)


def test_resources_of_a_pod_as_a_whole_go_before_those_of_its_containers() -> None:
    one = doc_of("p0", "")
    one["spec"]["resources"] = {"requests": {"cpu": "2"}}
    assert asked(utilization(50), values(2000), world(1, [Pod.of(one)])) == 2


def test_sidecars_count_with_what_they_request() -> None:
    one = doc_of("p0")
    sidecar = {"name": "proxy", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}}
    one["spec"]["initContainers"] = [{"name": "setup", "resources": {}}, sidecar]
    assert asked(utilization(50), values(2000), world(1, [Pod.of(one)])) == 2


def test_tolerances_differ_by_direction() -> None:
    careful = Tolerances(down=0.5, up=0.0)
    assert asked(utilization(50), values(510, 510), world(2, pods(2), careful)) == 3
    assert asked(utilization(50), values(260, 260), world(2, pods(2), careful)) == 2
    assert asked(utilization(50), values(240, 240), world(2, pods(2), careful)) == 1


def test_selectors_are_written_as_go_writes_them() -> None:
    selector = {
        "matchLabels": {"queue": "a"},
        "matchExpressions": [{"key": "zone", "operator": "In", "values": ["b", "c"]}],
    }
    assert go_selector(selector) == (
        "&LabelSelector{MatchLabels:map[string]string{queue: a,},MatchExpressions:"
        "[]LabelSelectorRequirement{LabelSelectorRequirement{Key:zone,Operator:In,Values:[b c],},},}"
    )


# ---- how fast

TEN = Bounds(1, 10)


def behavior(up: Doc | None = None, down: Doc | None = None) -> Doc:
    usual_up = [("Pods", 4, 15), ("Percent", 100, 15)]
    rules = {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": policies(*usual_up),
    }
    usual_down = {"selectPolicy": "Max", "policies": policies(("Percent", 100, 15))}
    return {"scaleUp": {**rules, **(up or {})}, "scaleDown": {**usual_down, **(down or {})}}


def policies(*each: tuple[str, int, int]) -> list[Doc]:
    return [{"type": type_, "value": value, "periodSeconds": s} for type_, value, s in each]


def remembered(*ago: tuple[float, int]) -> Memory:
    return Memory(tuple(Stamped(NOW - seconds, replicas) for seconds, replicas in ago))


@pytest.mark.parametrize(
    ("why", "rules", "current", "wanted", "memory", "expected"),
    [
        ("double at most", None, 3, 20, Memory(), (6, "ScaleUpLimit")),
        ("but four", None, 1, 20, Memory(), (4, "ScaleUpLimit")),
        ("ten at most", None, 8, 20, Memory(), (10, "TooManyReplicas")),
        ("one at least", None, 3, 0, Memory(), (1, "TooFewReplicas")),
        ("the highest of five minutes", None, 8, 2, remembered((299, 6), (301, 9)), (6, "DesiredWithinRange")),
        ("four or double, whichever is more", behavior(), 3, 20, Memory(), (7, "ScaleUpLimit")),
        ("whichever is less", behavior({"selectPolicy": "Min"}), 3, 20, Memory(), (6, "ScaleUpLimit")),
        ("not up", behavior({"selectPolicy": "Disabled"}), 3, 20, Memory(), (3, "ScaleUpLimit")),
        ("not down", behavior(down={"selectPolicy": "Disabled", "stabilizationWindowSeconds": 0}),
         3, 1, Memory(), (3, "ScaleDownLimit")),
        ("one a minute", behavior(down={"stabilizationWindowSeconds": 0, "policies": policies(("Pods", 1, 60))}),
         5, 1, Memory(), (4, "ScaleDownLimit")),
        ("a tenth, rounded up on the way up",
         behavior({"policies": policies(("Percent", 10, 60))}), 3, 9, Memory(), (4, "ScaleUpLimit")),
        ("and on the way down", behavior(down={"stabilizationWindowSeconds": 0, "policies": policies(("Percent", 10, 60))}),
         9, 1, Memory(), (8, "ScaleDownLimit")),
        ("what was added counts", behavior({"policies": policies(("Pods", 4, 60))}), 7, 10,
         Memory(added=(Stamped(NOW - 30, 3),)), (8, "ScaleUpLimit")),
        ("until the period is over", behavior({"policies": policies(("Pods", 4, 60))}), 6, 10,
         Memory(added=(Stamped(NOW - 60, 3),)), (10, "DesiredWithinRange")),
        ("the lowest while it rises", behavior({"stabilizationWindowSeconds": 60}), 3, 6,
         remembered((30, 4), (61, 3)), (4, "DesiredWithinRange")),
        ("the usual window where none is given", behavior(), 8, 2, remembered((299, 6)), (6, "DesiredWithinRange")),
    ],
)  # fmt: skip
def test_pace(
    why: str,
    rules: Doc | None,
    current: int,
    wanted: int,
    memory: Memory,
    expected: tuple[int, str],
) -> None:
    pace = paced(rules, TEN, current, wanted, memory, NOW)
    assert (pace.replicas, pace.limited[0]) == expected, why


def test_what_holds_it_back_has_a_name() -> None:
    rising = paced(behavior({"stabilizationWindowSeconds": 60}), TEN, 3, 6, remembered((9, 4)), NOW)
    assert rising.stabilized[0] == "ScaleUpStabilized"
    falling = paced(None, TEN, 6, 2, remembered((9, 4)), NOW)
    assert falling.stabilized[0] == "ScaleDownStabilized"
    assert not falling.is_limited
    assert paced(None, TEN, 3, 3, Memory(), NOW).stabilized[0] == "ReadyForNewScale"


# ---- whatever the metrics ask for, and whatever the rules

_policy = st.builds(
    lambda type_, value, period: {"type": type_, "value": value, "periodSeconds": period},
    st.sampled_from(["Pods", "Percent"]),
    st.integers(1, 120),
    st.integers(1, 90),
)
_rules = st.builds(
    lambda window, select, each: {
        "stabilizationWindowSeconds": window, "selectPolicy": select, "policies": each,
    },
    st.integers(0, 90),
    st.sampled_from(["Max", "Min", "Disabled"]),
    st.lists(_policy, min_size=1, max_size=3),
)  # fmt: skip
_behaviors = st.none() | st.builds(
    lambda up, down: {"scaleUp": up, "scaleDown": down}, _rules, _rules
)
_turns = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 60)), min_size=1, max_size=40)


class Story:
    """One autoscaler's life: asked for this and that, it scales."""

    def __init__(self, rules: Doc | None, bounds: Bounds, current: int) -> None:
        self.rules, self.bounds = rules, bounds
        self.at, self.memory = NOW, Memory((Stamped(NOW, current),))
        self.asked = [(NOW, current)]
        self.counts = [(NOW, current)]

    @property
    def current(self) -> int:
        return self.counts[-1][1]

    def turn(self, after_s: int, wanted: int) -> Pace:
        self.at += after_s
        pace = paced(self.rules, self.bounds, self.current, wanted, self.memory, self.at)
        change = Stamped(self.at, pace.replicas - self.current)
        self.memory = pace.memory.scaled(self.rules, change)
        self.asked.append((self.at, wanted))
        self.counts.append((self.at, pace.replicas))
        return pace

    def within(self, past: list[tuple[float, int]], seconds: float) -> list[int]:
        """What was within the last so many seconds, the newest among them."""
        return [value for at, value in past if at > self.at - seconds]

    def before(self, seconds: float) -> int:
        """How many replicas there were so long ago."""
        return [value for at, value in self.counts if at <= self.at - seconds][-1:][0]


@given(_behaviors, _turns, st.integers(1, 12), st.integers(0, 30), st.data())
def test_never_outside_its_bounds(
    rules: Doc | None, turns: list[tuple[int, int]], least: int, more: int, data: st.DataObject
) -> None:
    bounds = Bounds(least, least + more)
    story = Story(rules, bounds, data.draw(st.integers(least, least + more)))
    for after_s, wanted in turns:
        pace = story.turn(after_s, wanted)
        assert bounds.least <= pace.replicas <= bounds.most
        assert len(story.memory.asked) <= len(story.asked)


@given(st.builds(lambda up, down: {"scaleUp": up, "scaleDown": down}, _rules, _rules), _turns)
def test_only_within_what_was_asked_for_lately(rules: Doc, turns: list[tuple[int, int]]) -> None:
    story = Story(rules, Bounds(1, 60), 10)
    for after_s, wanted in turns:
        before = story.current
        after = story.turn(after_s, wanted).replicas
        up, down = (rules[one]["stabilizationWindowSeconds"] for one in ("scaleUp", "scaleDown"))
        if after > before:
            assert after <= min([wanted, *story.within(story.asked, up)])
        if after < before:
            assert after >= min(before, *(max([wanted, *story.within(story.asked, down)]),))


@given(st.integers(1, 20), st.integers(1, 90), _turns)
def test_never_faster_than_a_policy_of_pods_allows(
    value: int, period: int, turns: list[tuple[int, int]]
) -> None:
    one = {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": policies(("Pods", value, period)),
    }
    story = Story({"scaleUp": one, "scaleDown": one}, Bounds(1, 60), 10)
    for after_s, wanted in turns:
        before = story.current
        after = story.turn(after_s, wanted).replicas
        start = story.before(period) if story.at - period >= NOW else 10
        assert after <= max(before, start + value)
        assert after >= min(before, start - value)


@given(_behaviors, st.integers(1, 60))
def test_what_is_asked_for_steadily_is_reached_if_nothing_forbids_it(
    rules: Doc | None, wanted: int
) -> None:
    for side in (rules or {}).values():
        side["selectPolicy"] = "Max"
    story = Story(rules, Bounds(1, 60), 10)
    for _ in range(4000):
        if story.turn(90, wanted).replicas == wanted:
            return
    raise AssertionError(f"{story.current} instead of {wanted}")
