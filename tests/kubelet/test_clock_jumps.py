"""The machine's clock is put forward or back while a pod waits: it waits no longer than it was to."""

from __future__ import annotations

from longshore.machinery.kubelet.lifecycle.model import Backoff, Trouble
from longshore.machinery.kubelet.lifecycle.plan import PodPlan, Prepare, Start, plan_pod

from .docs import NOW, exited, pod, view

DAY_S = 86_400.0


def test_a_container_in_back_off_waits_for_its_time() -> None:
    ended = exited("main", 1, attempt=1)
    waiting = view(pod(), ended, backoffs={"main": Backoff(300, NOW)})
    at = ended.finished_at + 300
    assert plan_pod(waiting) == PodPlan((), at)


def test_a_clock_that_is_put_back_or_forward_ends_the_back_off() -> None:
    ended = exited("main", 1, attempt=1)
    for jump in (-DAY_S, DAY_S):
        jumped = view(pod(), ended, backoffs={"main": Backoff(300, NOW)}, now=NOW + jump)
        assert plan_pod(jumped).steps == (Start("main", 2),)


def test_what_could_not_be_prepared_is_tried_again_after_a_jump() -> None:
    trouble = Trouble("FailedMount", "not there", NOW - 3, NOW + 7)
    for jump in (-DAY_S, DAY_S):
        jumped = view(pod(), sandbox=False, pod_trouble=trouble, now=NOW + jump)
        assert plan_pod(jumped) == PodPlan((Prepare(),))


def test_an_image_that_could_not_be_pulled_is_asked_for_again_after_a_jump() -> None:
    trouble = Trouble("ErrImagePull", "no such image", NOW - 3, NOW + 300)
    for jump in (-DAY_S, DAY_S):
        jumped = view(pod(), troubles={"main": trouble}, now=NOW + jump)
        assert plan_pod(jumped).steps == (Start("main", 0),)
