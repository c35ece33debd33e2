"""The scheduler's benchmark: what it measures, and that each workload gets through in small."""

from __future__ import annotations

import pytest

from longshore.cluster.bench.run import run
from longshore.cluster.bench.timing import percentile, rate, slowest_second
from longshore.cluster.bench.workloads import WORKLOADS, chosen
from longshore.cluster.config import ClusterError


def test_the_rate_is_of_the_whole_run() -> None:
    assert rate([0.5, 1.0, 2.0, 4.0]) == 1.0


def test_the_slowest_second_is_a_whole_one() -> None:
    bound = [0.1, 0.2, 0.3, 1.5, 2.1, 2.2, 2.9, 3.4]
    assert slowest_second(bound) == 1.0  # the second one; what came after the third does not count
    assert slowest_second([0.1, 0.2, 0.5]) == 6.0  # less than a second in all: as the rate


@pytest.mark.parametrize(("share", "wait"), [(0.5, 2.0), (0.99, 4.0), (0.75, 3.0), (0.01, 1.0)])
def test_percentiles_are_waits_that_there_were(share: float, wait: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], share) == wait


def test_sizes_are_upstreams_unless_said_otherwise() -> None:
    basic = WORKLOADS["SchedulingBasic"]
    assert basic.sized(None, None) == basic
    small = basic.sized(50, 20)
    assert (small.nodes, small.initial, small.pods) == (50, 10, 20)
    assert basic.sized(50, None).pods == 100


def test_an_unknown_case_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(
        ClusterError, match="--case Basic: there is no such workload; there are Sch"
    ):
        chosen(["Basic"])
    assert [one.case for one in chosen([])] == list(WORKLOADS)


@pytest.mark.parametrize("case", ["SchedulingBasic", "SchedulingDaemonset", "Unschedulable"])
def test_a_workload_is_created_placed_and_measured(case: str) -> None:
    result = run(WORKLOADS[case].sized(5, 20))
    assert (result.case, result.nodes, result.pods) == (case, 5, 20)
    assert result.pods_per_s > 0
    assert 0 < result.p50_ms <= result.p99_ms
    assert result.rss_mb > 10
    assert list(result.as_dict())[:4] == ["case", "nodes", "pods", "pods_per_s"]
