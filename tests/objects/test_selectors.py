"""Label and field selectors."""

from __future__ import annotations

import pytest

from longshore.core.objects.errors import BadRequest
from longshore.core.objects.kinds import EVENT, NAMESPACE, NODE, POD, SERVICE
from longshore.core.objects.selectors import (
    EVERYTHING,
    field_value,
    from_doc,
    from_map,
    parse_fields,
    parse_labels,
    supported_fields,
)


@pytest.mark.parametrize(
    ("text", "good", "bad"),
    [
        ("app=web", {"app": "web"}, {"app": "db"}),
        ("app == web", {"app": "web"}, {}),
        ("app!=web", {}, {"app": "web"}),
        ("app in (web, db)", {"app": "db"}, {"app": "x"}),
        ("app notin (web,db)", {}, {"app": "db"}),
        ("app", {"app": ""}, {"b": ""}),
        ("!app", {"b": "1"}, {"app": ""}),
        ("n>5", {"n": "6"}, {"n": "5"}),
        ("n<5", {"n": "4"}, {"n": "x"}),
        ("app=", {"app": ""}, {"app": "x"}),
        ("in=notin", {"in": "notin"}, {}),
        (" example.com/a=b , c ", {"example.com/a": "b", "c": ""}, {"c": ""}),
    ],
)
def test_matching(text: str, good: dict[str, str], bad: dict[str, str]) -> None:
    selector = parse_labels(text)
    assert not selector.matches(bad)
    assert selector.matches(good)


def test_everything_matches_an_empty_selector() -> None:
    assert parse_labels("") == EVERYTHING
    assert EVERYTHING.everything
    assert EVERYTHING.matches(None)


def test_exact_terms_are_for_an_index() -> None:
    selector = parse_labels("app=web,tier in (a),x in (a,b),!y")
    assert selector.exact == {"app": "web", "tier": "a"}
    assert (
        str(selector) == "!y,app=web,tier=a,x in (a,b)"
        or str(selector) == "app=web,tier=a,x in (a,b),!y"
    )


@pytest.mark.parametrize(
    "text",
    [
        "=a",
        "a=b,",
        ",",
        "a=b c",
        "a in b",
        "a in (b",
        "a in",
        "!",
        "(",
        "a=b=c",
        "a b/=c",
        "a=b/c",
        "n>x",
        "!!a",
        "A_=b!",
    ],
)
def test_what_is_no_selector(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_labels(text)


def test_documents() -> None:
    selector = from_doc({
        "matchLabels": {"app": "web"},
        "matchExpressions": [{"key": "tier", "operator": "In", "values": ["b", "a"]},
                             {"key": "x", "operator": "DoesNotExist"}],
    })  # fmt: skip
    assert selector is not None
    assert str(selector) == "app=web,tier in (a,b),!x"
    assert selector.matches({"app": "web", "tier": "a"})
    assert not selector.matches({"app": "web", "tier": "a", "x": ""})
    assert from_doc(None) is None, "absent selects nothing"
    assert from_doc({}) == EVERYTHING, "empty selects everything"
    with pytest.raises(BadRequest):
        from_doc({"matchExpressions": [{"key": "a", "operator": "Like"}]})


def test_maps_of_services() -> None:
    assert from_map({}) is None
    selector = from_map({"app": "web"})
    assert selector is not None
    assert selector.exact == {"app": "web"}


def test_field_selectors() -> None:
    doc = {"metadata": {"name": "a", "namespace": "d"}, "spec": {"nodeName": "n1"}, "status": {}}
    assert parse_fields(POD, "spec.nodeName=n1,status.phase!=Running").matches(doc)
    assert not parse_fields(POD, "spec.nodeName==n2").matches(doc)
    assert parse_fields(POD, "spec.nodeName=n1,metadata.name!=b").exact == {"spec.nodeName": "n1"}
    assert parse_fields(POD, "").everything
    assert parse_fields(POD, "status.podIP=").matches(doc)
    assert parse_fields(NODE, "spec.unschedulable=false").matches({"metadata": {"name": "n"}})
    assert parse_fields(NODE, "spec.unschedulable=true").matches(
        {"metadata": {"name": "n"}, "spec": {"unschedulable": True}}
    )


def test_fields_of_events() -> None:
    doc = {"metadata": {"name": "e"}, "involvedObject": {"name": "web"}, "reason": "Started",
           "source": {"component": "kubelet"}, "reportingComponent": "other"}  # fmt: skip
    assert parse_fields(EVENT, "involvedObject.name=web,reason=Started,source=kubelet").matches(doc)
    assert field_value(EVENT, {**doc, "source": {}}, "source") == "other"


def test_unknown_fields_are_refused_by_name() -> None:
    with pytest.raises(BadRequest, match=r"field label not supported: spec\.image") as refusal:
        parse_fields(POD, "spec.image=x")
    assert refusal.value.message == (
        'Unable to find "/v1, Resource=pods" that match label selector "", field selector '
        '"spec.image=x": field label not supported: spec.image'
    )
    with pytest.raises(BadRequest):
        parse_fields(SERVICE, "spec.nodeName=x")
    with pytest.raises(BadRequest, match="can't understand"):
        parse_fields(POD, "metadata.name")


def test_escaped_values() -> None:
    assert parse_fields(POD, r"metadata.name=a\,b").exact == {"metadata.name": "a,b"}


def test_fields_by_kind() -> None:
    assert supported_fields(NAMESPACE) == ("metadata.name", "status.phase")
    assert "metadata.namespace" in supported_fields(POD)
