"""Which pods are alike to the scheduler."""

from __future__ import annotations

from typing import Any

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.pods.podclass import PodClasses

from .placing import pod

INDEX = "apps.kubernetes.io/pod-index"
HOST = "kubernetes.io/hostname"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def labelled(name: str, labels: dict[str, str], **spec: Any) -> Doc:
    doc = pod(name, **spec)
    doc["metadata"]["labels"] = labels
    return doc


def apart_from(**labels: str) -> Doc:
    term = {"topologyKey": HOST, "labelSelector": {"matchLabels": labels}}
    return {"podAntiAffinity": {REQUIRED: [term]}}


def test_pods_of_one_template_are_one_class() -> None:
    classes = PodClasses()
    one = classes.of(labelled("a", {"app": "x"}, tolerations=[{"operator": "Exists"}]))
    assert classes.of(labelled("b", {"app": "x"}, tolerations=[{"operator": "Exists"}])) is one
    assert classes.of(labelled("b", {"app": "y"}, tolerations=[{"operator": "Exists"}])) is not one


def test_what_takes_the_same_has_one_load() -> None:
    classes = PodClasses()
    one, other = (
        classes.of(pod("a", {"cpu": "1"}, owner="x")),
        classes.of(pod("b", {"cpu": "1000m"})),
    )
    assert one is not other
    assert one.load == other.load
    assert classes.of(pod("c", {"cpu": "2"})).load != one.load


def test_pods_of_a_stateful_set_are_one_class_until_a_selector_tells_them_apart() -> None:
    classes = PodClasses()
    docs = [labelled(f"db-{n}", {"app": "db", INDEX: str(n)}) for n in range(3)]
    assert len({classes.of(doc) for doc in docs}) == 1
    before = classes.stale
    classes.of(labelled("shy", {}, affinity=apart_from(**{INDEX: "0"})))
    assert (before, classes.stale) == (False, True)
    anew = classes.renewed()
    assert len({anew.of(doc) for doc in docs}) == 3
    anew.of(labelled("shy", {}, affinity=apart_from(**{INDEX: "0"})))
    assert not anew.stale


def test_a_pod_that_is_being_deleted_is_another_class() -> None:
    classes, doc = PodClasses(), labelled("a", {"app": "x"})
    before = classes.of(doc)
    doc["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert classes.of(doc).kin.leaving
    assert not before.kin.leaving


def test_keys_of_labels_narrow_a_selector_by_the_pod_s_own_values() -> None:
    term = {
        "topologyKey": HOST,
        "labelSelector": {"matchLabels": {"app": "x"}},
        "matchLabelKeys": ["hash", "absent"],
        "mismatchLabelKeys": ["tenant"],
    }
    doc = labelled(
        "a", {"app": "x", "hash": "1", "tenant": "t"},
        affinity={"podAffinity": {REQUIRED: [term]}},
    )  # fmt: skip
    found = PodClasses().of(doc).affinity
    assert found is not None
    assert str(found.near[0].query.parts[0].labels) == "app=x,hash=1,tenant!=t"


def test_amounts_beyond_all_reason_are_kept_within_columns() -> None:
    assert PodClasses().of(pod("a", {"memory": "9000000Ei"})).requests["memory"] == 2**52
