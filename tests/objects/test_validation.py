"""Shapes of documents: what passes untouched, what is pruned, what is refused in which words."""

from __future__ import annotations

from datetime import date
from typing import Any

import orjson
import pytest

from longshore.core.objects.duplicates import duplicate_fields
from longshore.core.objects.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    LEASE,
    POD,
    RESOURCE_QUOTA,
    SECRET,
    Doc,
    Kind,
)
from longshore.core.objects.recent import Recent, key_of
from longshore.core.objects.validation import check, decoding_error

from .samples import deployment, pod


def test_a_good_document_is_passed_on_itself() -> None:
    doc = pod()
    assert check(POD, doc).doc is doc
    assert check(POD, doc).doc is doc, "also when its spec is remembered"


def test_unknown_fields_are_pruned_and_named_with_their_place() -> None:
    doc = pod(nope=1)
    doc["spec"]["containers"][0]["immage"] = "x"
    doc["metadata"]["lables"] = {}
    checked = check(POD, doc)
    assert checked.unknown == [
        'unknown field "metadata.lables"',
        'unknown field "spec.containers[0].immage"',
        'unknown field "spec.nope"',
    ]
    assert checked.doc == pod()
    assert doc["spec"]["nope"] == 1, "the given document is not changed"


def test_pruning_shares_what_was_good() -> None:
    doc = pod(nope=1)
    checked = check(POD, doc)
    assert checked.doc["metadata"] is doc["metadata"]
    assert checked.doc["spec"]["containers"] is doc["spec"]["containers"]


def test_nulls_are_absent_in_objects_and_empty_in_maps() -> None:
    doc = pod(nodeName=None)
    doc["metadata"].update(creationTimestamp=None, labels={"a": None})
    checked = check(POD, doc)
    assert (checked.unknown, checked.causes) == ([], [])
    assert "nodeName" not in checked.doc["spec"]
    assert checked.doc["metadata"] == {"name": "web", "namespace": "default", "labels": {"a": ""}}


def test_numbers_are_quantities_and_become_strings() -> None:
    doc = pod()
    doc["spec"]["containers"][0]["resources"] = {"limits": {"cpu": 1, "memory": 0.5}}
    checked = check(POD, doc)
    assert checked.causes == []
    assert checked.doc["spec"]["containers"][0]["resources"]["limits"] == {
        "cpu": "1",
        "memory": "500m",
    }


@pytest.mark.parametrize(
    ("kind", "doc", "said"),
    [
        pytest.param(DEPLOYMENT, deployment(replicas="3"),
                     'Deployment in version "v1" cannot be handled as a Deployment: json: cannot '
                     "unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
                     id="string for a number"),
        pytest.param(DEPLOYMENT, deployment(replicas=3_000_000_000),
                     'Deployment in version "v1" cannot be handled as a Deployment: json: cannot '
                     "unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas "
                     "of type int32", id="too large"),
        pytest.param(DEPLOYMENT, deployment(replicas=1.5),
                     'Deployment in version "v1" cannot be handled as a Deployment: json: cannot '
                     "unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
                     id="a fraction"),
        pytest.param(POD, pod(containers={}),
                     'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal object '
                     "into Go struct field PodSpec.spec.containers of type []v1.Container", id="object"),
        pytest.param(POD, pod(containers=[{"env": [{"name": "A", "value": 1}]}]),
                     'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal number '
                     "into Go struct field EnvVar.spec.containers.env.value of type string",
                     id="number for a string"),
        pytest.param(POD, pod(hostNetwork="yes"),
                     'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string '
                     "into Go struct field PodSpec.spec.hostNetwork of type bool", id="bool"),
        pytest.param(POD, [],
                     'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal array '
                     "into Go value of type v1.Pod", id="no object"),
        pytest.param(POD, pod(overhead={"cpu": "lots"}),
                     'Pod in version "v1" cannot be handled as a Pod: quantities must match the '
                     "regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'", id="quantity"),
        pytest.param(LEASE, {"spec": {"renewTime": "noon"}},
                     'Lease in version "v1" cannot be handled as a Lease: parsing time "noon" as '
                     '"2006-01-02T15:04:05.000000Z07:00": cannot parse', id="time of microseconds"),
        pytest.param(POD, {"status": {"startTime": "2026-02-30T08:00:00Z"}},
                     'Pod in version "v1" cannot be handled as a Pod: parsing time '
                     '"2026-02-30T08:00:00Z" as "2006-01-02T15:04:05Z07:00": cannot parse', id="time"),
        pytest.param(SECRET, {"data": {"a": "%"}},
                     'Secret in version "v1" cannot be handled as a Secret: illegal base64 data',
                     id="base64"),
    ],
)  # fmt: skip
def test_wrong_types_are_refused_in_go_words(kind: Kind, doc: Any, said: str) -> None:
    assert decoding_error(kind, check(kind, doc)).message == said


def test_every_wrong_type_is_a_cause_with_its_place() -> None:
    doc = pod(hostNetwork="yes", containers=[{"name": 1, "image": "x"}, {"name": "b", "ports": 2}])
    fields = [cause.field for cause in check(POD, doc).causes]
    assert fields == ["spec.containers[0].name", "spec.containers[1].ports", "spec.hostNetwork"]


@pytest.mark.parametrize("value", [80, "http", "80%", -1])
def test_a_port_may_be_a_number_or_a_name(value: int | str) -> None:
    probe = {"tcpSocket": {"port": value}}
    doc = pod(containers=[{"name": "a", "image": "b", "livenessProbe": probe}])
    assert check(POD, doc).causes == []


@pytest.mark.parametrize("value", [True, 1.5, [], 2**40])
def test_a_port_may_not_be_anything_else(value: Any) -> None:
    probe = {"tcpSocket": {"port": value}}
    doc = pod(containers=[{"name": "a", "image": "b", "livenessProbe": probe}])
    assert len(check(POD, doc).causes) == 1


def test_a_boolean_is_no_number() -> None:
    assert len(check(DEPLOYMENT, deployment(replicas=True)).causes) == 1


def test_values_without_a_schema_are_kept_as_they_are() -> None:
    entry = {"manager": "x", "fieldsV1": {"f:data": {".": None}}}
    doc = {"metadata": {"name": "a", "managedFields": [entry]}, "data": {}}
    assert check(CONFIG_MAP, doc).doc is doc


# ---- what was good lately


def test_a_date_is_not_the_string_of_that_date() -> None:
    assert key_of({"a": "2026-11-21"}) != b""
    assert key_of({"a": date(2026, 11, 21)}) == b""


def test_the_oldest_is_forgotten_and_the_large_are_not_kept() -> None:
    recent = Recent()
    for number in range(600):
        recent.add(key_of(number))
    assert key_of(599) in recent
    assert key_of(0) not in recent
    assert key_of("x" * 10_000) == b""
    recent.add(b"")
    assert b"" not in recent


# ---- duplicates


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b'{"a":1,"a":2}', ['duplicate field "a"']),
        (b'{"spec" : {"replicas":1, "replicas" :2}}', ['duplicate field "spec.replicas"']),
        (b'{"a":[{"b":1,"b":1,"b":1}]}', ['duplicate field "a[0].b"']),
        (b'{"a":1,"\\u0061":"\\u003a"}', ['duplicate field "a"']),
        (b'{"a":"x:y","b":{"a":1}}', []),
        (b'{"a":"\\u003A"}', []),
        (b"[]", []),
    ],
)
def test_duplicates_are_found_with_their_place(raw: bytes, found: list[str]) -> None:
    assert duplicate_fields(raw, orjson.loads(raw)) == found


def test_what_a_known_document_shares_is_not_looked_at_again() -> None:
    known: Doc = {"metadata": {"name": "c"}, "data": {"a": 1}}
    assert not check(CONFIG_MAP, {**known, "immutable": True}, known).causes
    wrong = check(CONFIG_MAP, {**known, "immutable": "yes"}, known)
    assert "immutable" in [cause.field for cause in wrong.causes]
    assert check(CONFIG_MAP, {**known, "data": {"a": 1}}, known).causes


def test_a_field_that_is_null_is_not_one_that_a_known_document_lacks() -> None:
    known: Doc = {"metadata": {"name": "c"}}
    assert check(CONFIG_MAP, {**known, "data": None}, known).doc == known
    assert check(CONFIG_MAP, {**known, "foo": None}, known).unknown


def test_of_known_metadata_only_what_is_new_is_looked_at() -> None:
    known: Doc = {"metadata": {"name": "c", "generation": "one"}}
    relabelled = {"metadata": {**known["metadata"], "labels": {"a": "b"}}}
    assert not check(CONFIG_MAP, relabelled, known).causes
    relabelled["metadata"]["labels"] = {"a": 1}
    assert check(CONFIG_MAP, relabelled, known).causes
    assert check(CONFIG_MAP, {"metadata": "none"}, known).causes


@pytest.mark.parametrize(
    ("kind", "written", "served"),
    [
        pytest.param(POD, {"status": {"startTime": "2026-11-21T08:00:00.75+02:00"}},
                     {"status": {"startTime": "2026-11-21T06:00:00Z"}}, id="time"),
        pytest.param(LEASE, {"spec": {"renewTime": "2026-11-21T00:30:00.5+01:00"}},
                     {"spec": {"renewTime": "2026-11-20T23:30:00.500000Z"}}, id="microseconds"),
        pytest.param(SECRET, {"data": {"a": "aGVs\r\nbG8=\n", "b": "YR=="}},
                     {"data": {"a": "aGVsbG8=", "b": "YQ=="}}, id="bytes"),
        pytest.param(POD, {"spec": {"overhead": {"cpu": "0.5", "memory": "1024Mi"}}},
                     {"spec": {"overhead": {"cpu": "500m", "memory": "1Gi"}}}, id="quantities"),
        pytest.param(RESOURCE_QUOTA, {"spec": {"hard": {"pods": 1000, "cpu": "1000m"}}},
                     {"spec": {"hard": {"pods": "1k", "cpu": "1"}}}, id="a map of quantities"),
    ],
)  # fmt: skip
def test_what_stands_for_something_is_kept_in_its_canonical_form(
    kind: Kind, written: Doc, served: Doc
) -> None:
    before = orjson.dumps(written)
    checked = check(kind, written)
    assert (checked.doc, checked.unknown, checked.causes) == (served, [], [])
    assert orjson.dumps(written) == before, "the given document is not changed"
    assert check(kind, checked.doc).doc is checked.doc


def test_only_what_is_written_otherwise_is_made_anew() -> None:
    doc = deployment()
    spec = doc["spec"]["template"]["spec"]
    spec["overhead"] = {"cpu": "1000m"}
    made = check(DEPLOYMENT, doc).doc
    assert made["spec"]["template"]["spec"]["overhead"] == {"cpu": "1"}
    assert made["metadata"] is doc["metadata"]
    assert made["spec"]["template"]["spec"]["containers"] is spec["containers"]
