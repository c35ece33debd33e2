"""What a node is short of, and whose turn it is to go."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.objects.kinds import Doc
from longshore.machinery.kubelet.resource_settings import (
    LINUX_EVICTION_HARD,
    ResourceSettings,
    reserved_of,
)
from longshore.machinery.kubelet.resources.allocatable import allocatable
from longshore.machinery.kubelet.resources.eviction.admission import under_pressure
from longshore.machinery.kubelet.resources.eviction.limits import exceeded, has_limits
from longshore.machinery.kubelet.resources.eviction.plan import Memory, observe
from longshore.machinery.kubelet.resources.eviction.ranking import is_critical, ranked
from longshore.machinery.kubelet.resources.eviction.words import shortage_message
from longshore.machinery.kubelet.resources.gauges import MachineGauges
from longshore.machinery.kubelet.resources.thresholds import (
    Amount,
    Threshold,
    thresholds_of,
)
from longshore.machinery.kubelet.resources.use import ContainerUse, PodUse, Reading

from .docs import container, pod

MIB = 1 << 20
LOW_MEMORY = Threshold("memory.available", Amount(100 * MIB))
LOW_DISK = Threshold("nodefs.available", Amount(share=Fraction(1, 10)))


def readings(memory: int = 1000 * MIB, disk: int = 50) -> dict[str, Reading]:
    return {
        "memory.available": Reading(memory, 4000 * MIB),
        "nodefs.available": Reading(disk, 100),
    }


def asking(name: str, *, priority: int = 0, **requests: str) -> Doc:
    named = {key.replace("_", "-"): value for key, value in requests.items()}
    return pod(container(resources={"requests": named}), name=name, priority=priority)


def test_upstreams_defaults_are_read() -> None:
    read = {
        one.signal: one.value
        for one in thresholds_of(ResourceSettings(eviction_hard=LINUX_EVICTION_HARD))
    }
    assert read["memory.available"] == Amount(100 * MIB)
    assert read["imagefs.available"].of(1000) == 150
    assert read["allocatableMemory.available"] == Amount(100 * MIB)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (ResourceSettings(eviction_hard={"mood.available": "1"}), "unsupported eviction signal mood.available"),
        (ResourceSettings(eviction_hard={"memory.available": "0"}), "must be positive"),
        (ResourceSettings(eviction_hard={"nodefs.available": "120%"}), "must be 0% to 100%"),
        (ResourceSettings(eviction_soft={"memory.available": "1Gi"}), "grace period must be specified"),
    ],
)  # fmt: skip
def test_what_is_no_threshold_is_refused(settings: ResourceSettings, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        thresholds_of(settings)


def test_a_threshold_of_nothing_or_all_is_off() -> None:
    off = ResourceSettings(eviction_hard={"nodefs.available": "0%", "imagefs.available": "100%"})
    assert thresholds_of(off) == ()


def test_memory_is_relieved_before_disks() -> None:
    found = observe([LOW_DISK, LOW_MEMORY], readings(50 * MIB, 5), Memory(), 0.0, 300.0)
    assert found.due == (LOW_MEMORY, LOW_DISK)
    assert found.conditions == {"MemoryPressure", "DiskPressure"}


def test_a_soft_threshold_waits_for_its_grace_but_shows_at_once() -> None:
    soft = Threshold("memory.available", Amount(100 * MIB), grace_s=30.0)
    first = observe([soft], readings(50 * MIB), Memory(), 0.0, 300.0)
    assert not first.due
    assert first.conditions == {"MemoryPressure"}
    assert observe([soft], readings(50 * MIB), first.memory, 29.0, 300.0).due == ()
    assert observe([soft], readings(50 * MIB), first.memory, 30.0, 300.0).due == (soft,)
    better = observe([soft], readings(), first.memory, 10.0, 300.0)
    assert observe([soft], readings(50 * MIB), better.memory, 31.0, 300.0).due == ()


def test_a_condition_stays_for_the_transition_period() -> None:
    pressed = observe([LOW_MEMORY], readings(50 * MIB), Memory(), 0.0, 300.0)
    soon = observe([LOW_MEMORY], readings(), pressed.memory, 299.0, 300.0)
    assert not soon.due
    assert soon.conditions == {"MemoryPressure"}
    assert observe([LOW_MEMORY], readings(), soon.memory, 300.0, 300.0).conditions == frozenset()


def test_what_must_be_reclaimed_is_reclaimed_before_it_is_over() -> None:
    greedy = Threshold("memory.available", Amount(100 * MIB), reclaim=Amount(200 * MIB))
    pressed = observe([greedy], readings(50 * MIB), Memory(), 0.0, 0.0)
    halfway = observe([greedy], readings(250 * MIB), pressed.memory, 10.0, 0.0)
    assert halfway.due == (greedy,)
    assert observe([greedy], readings(300 * MIB), halfway.memory, 20.0, 0.0).due == ()


@given(st.lists(st.integers(0, 4000 * MIB), min_size=1, max_size=20))
def test_nothing_is_due_that_was_never_crossed(levels: list[int]) -> None:
    state = Memory()
    for second, level in enumerate(levels):
        found = observe([LOW_MEMORY], readings(level), state, float(second), 5.0)
        state = found.memory
        assert bool(found.due) == (level < 100 * MIB)
        assert set(found.due) <= set(state.first_seen)
        assert not found.due or found.conditions


def test_who_uses_more_than_was_asked_for_goes_first_then_the_lower_priority() -> None:
    def uses(doc: Doc, mib: int) -> PodUse:
        return PodUse(doc, {"main": ContainerUse(memory=mib * MIB)})

    within = uses(asking("within", memory="500Mi"), 400)
    above = uses(asking("above", memory="100Mi"), 150)
    far_above = uses(asking("far", memory="100Mi"), 300)
    important = uses(asking("important", memory="100Mi", priority=9), 900)
    order = ranked([within, important, above, far_above], "memory")
    assert [use.pod["metadata"]["name"] for use in order] == ["far", "above", "important", "within"]


def test_processes_go_by_priority_and_number() -> None:
    few, many = PodUse(pod(name="few"), pids=3), PodUse(pod(name="many"), pids=900)
    dear = PodUse(pod(name="dear", priority=5), pids=9000)
    order = ranked([dear, few, many], "pids")
    assert [use.pod["metadata"]["name"] for use in order] == ["many", "few", "dear"]


def test_the_message_names_what_was_short_and_who_took_it() -> None:
    use = PodUse(asking("web", memory="100Mi"), {"main": ContainerUse(memory=300 * MIB)})
    said = shortage_message(use, [LOW_MEMORY], "memory", readings(50 * MIB))
    assert said == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
        "Container main was using 300Mi, request is 100Mi, has larger consumption of memory. "
    )


def test_critical_and_static_pods_are_never_evicted() -> None:
    assert not is_critical(pod())
    assert is_critical(pod(priority=2_000_001_000))
    static = pod()
    static["metadata"]["annotations"] = {"kubernetes.io/config.source": "file"}
    assert is_critical(static)


def test_limits_of_local_storage() -> None:
    bounded = pod(
        container(resources={"limits": {"ephemeral-storage": "10Mi"}}),
        volumes=[{"name": "tmp", "emptyDir": {"sizeLimit": "5Mi"}}],
    )
    assert has_limits(bounded)
    assert not has_limits(pod(volumes=[{"name": "tmp", "emptyDir": {}}]))
    main = {"main": ContainerUse(written=4 * MIB, logs=MIB)}
    assert exceeded(PodUse(bounded, main, {"tmp": 4 * MIB})) is None
    assert exceeded(PodUse(bounded, main, {"tmp": 6 * MIB})) == (
        "emptydirfs.limit",
        'Usage of EmptyDir volume "tmp" exceeds the limit "5Mi". ',
    )
    full = {"main": ContainerUse(written=9 * MIB, logs=2 * MIB)}
    assert exceeded(PodUse(bounded, full)) == (
        "ephemeralpodfs.limit",
        "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ",
    )


def test_a_container_may_exceed_its_limit_within_the_pods() -> None:
    limits = {"limits": {"ephemeral-storage": "10Mi"}}
    two = pod(container("a", resources=limits), container("b", resources=limits))
    use = PodUse(two, {"a": ContainerUse(written=11 * MIB), "b": ContainerUse()})
    assert exceeded(use) == (
        "ephemeralcontainerfs.limit",
        'Container a exceeded its local ephemeral storage limit "10Mi". ',
    )


def test_who_is_taken_by_a_node_that_is_short() -> None:
    asks = pod(container(resources={"requests": {"memory": "1Mi"}}))
    tolerant = pod(
        tolerations=[{"key": "node.kubernetes.io/memory-pressure", "operator": "Exists"}]
    )
    short = frozenset({"MemoryPressure"})
    assert under_pressure(pod(), frozenset()) is None
    assert under_pressure(asks, short) is None
    assert under_pressure(tolerant, short) is None
    refused = under_pressure(pod(), short)
    assert refused is not None
    assert (refused.reason, refused.message) == (
        "Evicted",
        "The node had condition: [MemoryPressure]. ",
    )
    assert under_pressure(asks, frozenset({"DiskPressure"})) is not None


def test_allocatable_is_what_is_left() -> None:
    capacity = {"cpu": "4", "memory": "8Gi", "ephemeral-storage": "100Gi", "pods": "110"}
    assert allocatable(capacity, ResourceSettings()) == capacity
    set_aside = ResourceSettings(
        kube_reserved=reserved_of("cpu=500m,memory=1Gi"), system_reserved={"memory": "100Mi"},
        eviction_hard=LINUX_EVICTION_HARD,
    )  # fmt: skip
    assert allocatable({**capacity, "hugepages-2Mi": "512Mi"}, set_aside) == {
        "cpu": "3500m", "memory": "6456Mi", "ephemeral-storage": "96636764160",
        "pods": "110", "hugepages-2Mi": "512Mi",
    }  # fmt: skip


def test_cpus_that_are_named_are_set_aside() -> None:
    named = ResourceSettings(system_reserved={"cpu": "100m"}, reserved_cpus="0-1")
    assert allocatable({"cpu": "4"}, named) == {"cpu": "2"}


def test_no_more_than_all_can_be_set_aside() -> None:
    assert allocatable({"cpu": "1"}, ResourceSettings(kube_reserved={"cpu": "2"})) == {"cpu": "0"}
    with pytest.raises(ValueError, match="want NAME=QUANTITY"):
        reserved_of("disks=3")


def test_the_machine_can_be_measured(tmp_path: Path) -> None:
    """Images that a runtime keeps elsewhere are taken to be on the same disk."""
    read = MachineGauges(tmp_path, tmp_path / "none").read()
    assert set(read) >= {
        "memory.available",
        "pid.available",
        "nodefs.available",
        "imagefs.available",
    }
    assert all(0 <= one.available <= one.capacity for one in read.values())
    assert read["imagefs.available"].capacity == read["nodefs.available"].capacity > 0
