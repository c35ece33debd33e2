"""A machine is shut down: its pods end in the order of their priorities, and the cluster hears why."""

from __future__ import annotations

from longshore.machinery.kubelet.config import Band, bands
from longshore.machinery.kubelet.shutdown.plan import turns

CRITICAL = 2_000_000_000


def test_critical_pods_have_the_end_of_the_time_for_themselves() -> None:
    first, last = turns({"a": 0, "b": CRITICAL, "c": 7}, bands(30, 10))
    assert (first.grace_s, first.pods) == (20, ("a", "c"))
    assert (last.grace_s, last.pods) == (10, ("b",))


def test_a_band_without_pods_takes_no_time() -> None:
    (only,) = turns({"b": CRITICAL}, bands(30, 10))
    assert only.pods == ("b",)
    assert turns({}, bands(30, 10)) == []


def test_who_is_below_all_bands_goes_with_the_lowest() -> None:
    graces = [Band(1000, 5), Band(100, 20), Band(10_000, 1)]
    found = turns({"low": -10, "mid": 100, "high": 1000, "top": 99_999}, graces)
    assert [(turn.grace_s, turn.pods) for turn in found] == [
        (20, ("low", "mid")), (5, ("high",)), (1, ("top",)),
    ]  # fmt: skip


def test_the_verdict_is_that_of_a_kubelet() -> None:
    (turn,) = turns({"a": 0}, bands(3, 1))
    assert turn.verdict.reason == "Terminated"
    assert turn.verdict.message == "Pod was terminated in response to imminent node shutdown."
    assert turn.verdict.disrupts
    assert turn.verdict.grace_s == 2
