"""Which pods are mirror pods is for good."""

from __future__ import annotations

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules import validate_create, validate_update

MIRROR = "kubernetes.io/config.mirror"
AT = f"metadata.annotations[{MIRROR}]"


def pod(annotations: Doc, **spec: str) -> Doc:
    container = {"name": "a", "image": "b", "imagePullPolicy": "Always",
                 "terminationMessagePolicy": "File"}  # fmt: skip
    usual = {"restartPolicy": "Always", "dnsPolicy": "Default", "containers": [container]}
    metadata = {"name": "p", "namespace": "shop", "uid": "u", "annotations": annotations}
    return {"metadata": metadata, "spec": {**usual, **spec}}


def said(new: Doc, old: Doc | None = None, subresource: str = "") -> list[tuple[str, str]]:
    causes = (
        validate_create(kinds.POD, new)
        if old is None
        else validate_update(kinds.POD, new, old, subresource)
    )
    return [(cause.field, cause.message) for cause in causes]


def test_a_mirror_pod_is_on_a_node_from_the_beginning() -> None:
    why = 'Invalid value: "x": must set spec.nodeName if mirror pod annotation is set'
    assert said(pod({MIRROR: "x"})) == [(AT, why)]
    assert said(pod({MIRROR: "x"}, nodeName="n")) == []


@pytest.mark.parametrize("subresource", ["", "status"])
@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ({}, {MIRROR: "x"}, "add"),
        ({MIRROR: "x"}, {}, "remove or update"),
        ({MIRROR: "x"}, {MIRROR: "y"}, "remove or update"),
    ],
)
def test_no_pod_becomes_one_or_ceases_to_be(
    before: Doc, after: Doc, change: str, subresource: str
) -> None:
    old = pod(before, nodeName="n")
    new = {**pod(after, nodeName="n"), "spec": old["spec"]}
    why = f"Forbidden: may not {change} mirror pod annotation"
    assert said(new, old, subresource) == [(AT, why)]


def test_other_annotations_of_one_may_change() -> None:
    old = pod({MIRROR: "x"}, nodeName="n")
    new = {**pod({MIRROR: "x", "mine": "y"}), "spec": old["spec"]}
    assert said(new, old) == []
