"""How fast nodes are told to let go of their pods, zone by zone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.nodes.metrics import NodeMetrics
from longshore.machinery.controllers.nodes.zones import EXCLUDED, Rates, Zones, zone_of


def node(
    name: str, zone: str = "a", *, ready: bool = True, labels: dict[str, str] | None = None
) -> Doc:
    labels = {"topology.kubernetes.io/zone": zone, **(labels or {})}
    return {
        "metadata": {"name": name, "labels": labels},
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def zones(**sizes: int) -> Zones:
    """Zones of so many nodes that are ready: a-0, a-1 and so on."""
    made = Zones(Rates())
    for zone, size in sizes.items():
        for number in range(size):
            made.note(node(f"{zone}-{number}", zone))
    return made


def fall(of: Zones, zone: str, *numbers: int) -> set[str]:
    """They are not ready any more; who is to be looked at again after the last one."""
    again: set[str] = set()
    for number in numbers:
        again = of.note(node(f"{zone}-{number}", zone, ready=False))
    return again


def taint(of: Zones, name: str, now: float) -> None:
    assert of.wait_s(name, now) == 0
    of.taint(name, now)


def test_one_node_in_ten_seconds_and_who_waits_stands_in_line() -> None:
    made = zones(a=10)
    fall(made, "a", 0, 1, 2)
    taint(made, "a-0", 100.0)
    assert (made.wait_s("a-1", 100.0), made.wait_s("a-2", 101.0)) == (10.0, 19.0)
    assert made.wait_s("a-1", 105.0) == 5.0, "still the first in line"
    taint(made, "a-1", 110.0)
    assert made.wait_s("a-2", 110.0) == 10.0
    taint(made, "a-2", 120.0)
    assert made.wait_s("a-2", 121.0) == 0, "its taint could not be written: once more"


def test_zones_do_not_wait_for_each_other() -> None:
    made = zones(a=5, b=5)
    fall(made, "a", 0, 1)
    fall(made, "b", 0)
    taint(made, "a-0", 0.0)
    taint(made, "b-0", 0.0)
    assert made.wait_s("a-1", 0.0) == 10.0


def test_in_a_small_zone_that_is_mostly_sick_nothing_moves_until_it_is_better() -> None:
    made = zones(a=10, b=1)
    fall(made, "a", 0, 1, 2, 3, 4)
    taint(made, "a-0", 0.0)
    assert made.wait_s("a-1", 0.0) == 10.0
    assert fall(made, "a", 5) == {"a-1"}, "six of ten: who waits in vain is to know"
    assert made.wait_s("a-1", 1000.0) is None
    assert made.note(node("a-5", "a")) == {"a-1"}
    taint(made, "a-1", 1000.0)


def test_in_a_large_one_it_goes_on_ten_times_more_slowly() -> None:
    made = zones(a=51, b=1)
    fall(made, "a", *range(30))
    taint(made, "a-0", 0.0)
    assert made.wait_s("a-1", 0.0) == 100.0


def test_two_sick_nodes_are_no_disruption_whatever_their_share() -> None:
    made = zones(a=3, b=1)
    fall(made, "a", 0, 1)
    taint(made, "a-0", 0.0)
    taint(made, "a-1", 10.0)


def test_a_zone_that_is_lost_is_emptied_while_there_are_others() -> None:
    made = zones(a=5, b=2)
    fall(made, "a", *range(5))
    assert not made.are_lost()
    taint(made, "a-0", 0.0)
    assert made.wait_s("a-1", 0.0) == 10.0


def test_when_all_are_lost_everybody_is_looked_at_again_and_so_when_one_is_back() -> None:
    made = zones(a=1, b=2)
    fall(made, "a", 0)
    assert fall(made, "b", 0, 1) == {"a-0", "b-0", "b-1"}
    assert made.are_lost()
    assert made.note(node("b-1", "b")) == {"a-0", "b-0"}
    assert not made.are_lost()
    assert made.forget("b-1") == {"a-0", "b-0"}
    assert made.are_lost()


def test_who_is_excluded_is_not_counted_and_goes_with_its_zone() -> None:
    made = zones(a=2)
    for number in range(2, 8):
        made.note(node(f"a-{number}", "a", ready=False, labels={EXCLUDED: ""}))
    assert made.figures() == [(zone_of(node("x")), 2, 0)]
    taint(made, "a-2", 0.0)


def test_a_zone_has_a_region_and_names_of_old_count_first() -> None:
    region = {"topology.kubernetes.io/region": "eu"}
    assert zone_of(node("n", "a", labels=region)) == "eu:\x00:a"
    old = {"failure-domain.beta.kubernetes.io/zone": "b"}
    assert zone_of(node("n", "a", labels=old)) == ":\x00:b"
    assert zone_of({"metadata": {"name": "n"}}) == ""


def test_what_is_counted_has_upstream_names() -> None:
    metrics = NodeMetrics()
    metrics.zones = zones(a=4)
    fall(metrics.zones, "a", 0)
    metrics.evictions.add((metrics.zones.taint("a-0", 0.0),))
    told = [line for line in metrics.lines() if not line.startswith("#")]
    zone = ":\x00:a"
    assert told == [
        f'node_collector_zone_size{{zone="{zone}"}} 4',
        f'node_collector_unhealthy_nodes_in_zone{{zone="{zone}"}} 1',
        f'node_collector_zone_health{{zone="{zone}"}} 75',
        f'node_collector_evictions_total{{zone="{zone}"}} 1',
    ]


DEEDS = st.lists(
    st.tuples(st.integers(0, 11), st.sampled_from("ab"), st.sampled_from(["up", "down", "gone"])),
    max_size=60,
)


@given(DEEDS)
def test_figures_are_those_of_the_nodes_and_tainting_never_exceeds_its_rate(
    deeds: list[tuple[int, str, str]],
) -> None:
    made = Zones(Rates(large=4))
    nodes: dict[str, tuple[str, bool]] = {}
    tainted: dict[str, tuple[str, float]] = {}
    for at, (number, zone, what) in enumerate(deeds):
        name, now = f"n{number}", float(3 * at)
        if what == "gone":
            nodes.pop(name, None)
            made.forget(name)
        else:
            nodes[name] = (zone, what == "up")
            made.note(node(name, zone, ready=what == "up"))
        for key, size, sick in made.figures():
            inside = [ready for where, ready in nodes.values() if key.endswith(where)]
            assert (size, sick) == (len(inside), inside.count(False))
        assert made.are_lost() == (bool(nodes) and not any(ready for _, ready in nodes.values()))
        if what == "down" and made.wait_s(name, now) == 0:
            key = made.taint(name, now)
            last, since = tainted.get(key, ("", float("-inf")))
            assert last == name or now - since >= 10.0
            tainted[key] = name, now
