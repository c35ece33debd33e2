"""A look at an object's bytes gives the very terms that its document gives."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.core.objects import kinds
from longshore.core.objects.kinds import KINDS, Doc, Kind
from longshore.core.watch.glimpse import Glimpse
from longshore.core.watch.indexes import MORE, terms_of
from longshore.core.watch.stored import Stored

names = st.sampled_from(["", "n1", 'quoted"', "nodeName", "é"])
labels = st.dictionaries(st.sampled_from(["nodeName", "ownerReferences", "uid"]), names, max_size=2)
references = st.none() | st.lists(
    st.fixed_dictionaries({"uid": names}, optional={"kind": names, "controller": st.booleans()}),
    max_size=2,
)
metadata: st.SearchStrategy[Doc] = st.fixed_dictionaries(
    {"name": names, "namespace": names},
    optional={
        "labels": labels,
        "ownerReferences": references,
        "managedFields": st.just([{"x": {}}]),
    },
)
volume = st.fixed_dictionaries(
    {"name": names},
    optional={
        "persistentVolumeClaim": st.fixed_dictionaries({}, optional={"claimName": names}),
        "ephemeral": st.just({"volumeClaimTemplate": {"spec": {"nodeName": "no"}}}),
        "emptyDir": st.just(dict[str, str]()),
    },
)
spec = st.fixed_dictionaries(
    {"containers": st.just([{"name": "web", "env": [{"name": "nodeName", "value": "no"}]}])},
    optional={
        "nodeName": st.none() | names, "nodeSelector": labels,
        "volumes": st.none() | st.lists(volume, max_size=3),
    },
)  # fmt: skip
pods = st.fixed_dictionaries({"metadata": metadata}, optional={"spec": spec})
events = st.fixed_dictionaries(
    {"metadata": metadata},
    optional={"involvedObject": st.none() | st.fixed_dictionaries({}, optional={"uid": names})},
)


def agree(kind: Kind, content: Doc) -> tuple[tuple[str, str], ...]:
    doc = {"apiVersion": kind.api_version, "kind": kind.name, **content}
    seen = Glimpse(kind).terms(Stored.of(kind, f"{kind.prefix}x", doc, 1))
    assert seen == terms_of(kind, doc)
    return seen


@settings(max_examples=60, deadline=None)
@given(pods)
def test_of_pods(content: Doc) -> None:
    agree(kinds.POD, content)


@settings(max_examples=30, deadline=None)
@given(events)
def test_of_events(content: Doc) -> None:
    agree(kinds.EVENT, content)


FULL: dict[Kind, tuple[Doc, str]] = {
    kinds.POD: ({"spec": {"nodeName": "n1", "volumes": [{"name": "v", "ephemeral": {}}]}}, "claim"),
    kinds.EVENT: ({"involvedObject": {"uid": "u2"}}, "about"),
    kinds.ENDPOINT_SLICE: ({}, "service"),
    kinds.PVC: ({"spec": {"volumeAttributesClassName": "gold"}}, "attributes"),
    kinds.PV: ({"status": {"currentVolumeAttributesClassName": "gold"}}, "attributes"),
    kinds.PRIORITY_CLASS: ({"globalDefault": True}, "default"),
    kinds.OFFER: ({"spec": {"nodeName": "n1"}}, "node"),
    kinds.RESOURCE_CLAIM: (
        {"status": {"allocation": {"devices": {"results": [{"driver": "d", "pool": "p"}]}}}},
        "pool",
    ),
    kinds.RESOURCE_SLICE: ({"spec": {"driver": "d", "pool": {"name": "p"}}}, "pool"),
    kinds.STORAGE_CLASS: ({}, "default"),
    kinds.INGRESS_CLASS: ({}, "default"),
}


@pytest.mark.parametrize("kind", KINDS.stored, ids=lambda kind: kind.resource)
def test_of_every_kind_that_is_stored(kind: Kind) -> None:
    content, more = FULL.get(kind, ({"spec": {"nodeName": "n"}}, ""))
    annotations = {
        "storageclass.kubernetes.io/is-default-class": "true",
        "ingressclass.kubernetes.io/is-default-class": "true",
    }
    metadata = {
        "name": "x", "annotations": annotations, "ownerReferences": [{"uid": "u1"}, {"uid": "u3"}],
        "labels": {"kubernetes.io/service-name": "s"},
    }  # fmt: skip
    seen = agree(kind, {"metadata": metadata, **content})
    assert seen[:2] == (("owner", "u1"), ("owner", "u3"))
    assert more in {name for name, _ in seen[2:]} if more else len(seen) == 2
    agree(kind, {"metadata": {"name": "x"}, **content})


def test_no_kind_of_which_more_is_indexed_is_left_out_above() -> None:
    assert FULL.keys() == MORE.keys()
