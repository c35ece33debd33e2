"""Pods of a workload share their spec: it is read once, and what else tells pods apart still does."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.pods.podclass import PodClasses

from .placing import pod


def like(first: Doc, name: str, **metadata: Doc) -> Doc:
    """Another pod with the very same spec."""
    return {**first, "metadata": {**first["metadata"], "name": name, "uid": name, **metadata}}


def test_pods_with_one_spec_are_one_class() -> None:
    classes, first = PodClasses(), pod("a", {"cpu": "1"})
    assert classes.of(first) is classes.of(like(first, "b"))


def test_equal_specs_are_one_class_and_others_are_not() -> None:
    classes = PodClasses()
    one, equal, other = pod("a", {"cpu": "1"}), pod("b", {"cpu": "1"}), pod("c", {"cpu": "2"})
    assert classes.of(one) is classes.of(equal)
    assert classes.of(one) is not classes.of(other)


def test_labels_and_claims_tell_pods_with_one_spec_apart() -> None:
    classes, first = PodClasses(), pod("a")
    assert classes.of(first) is not classes.of(like(first, "b", labels={"app": "web"}))
    kept = pod("a", volumes=[{"name": "data", "ephemeral": {}}])
    claims = [classes.of(one).claims[0].key for one in (kept, like(kept, "b"))]
    assert claims == ["shop/a-data", "shop/b-data"]


def test_zone_labels_that_a_pod_gets_with_its_node_leave_its_class() -> None:
    classes, waiting = PodClasses(), pod("a")
    bound = like(waiting, "a", labels={"topology.kubernetes.io/zone": "z"})
    assert classes.of(waiting) is classes.of(bound)


def test_another_spec_in_the_same_place_is_read_anew() -> None:
    """As many specs as are remembered, and more, none of which outlives its pod."""
    classes = PodClasses()
    for number in range(1, 2000):
        found = classes.of(pod("a", {"cpu": f"{number}m"}))
        assert found.requests == {"cpu": number}
