"""The language of constraints on nodes: what it means, and what it refuses."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from longshore.core.objects import kinds
from longshore.core.objects.constraints import ANNOTATION, BadConstraint, Constraint, parse
from longshore.core.objects.defaults import default
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.rules import validate_create

from .valid import valid


def meets(operator: str, wanted: str, value: str | None) -> bool:
    [one] = parse(
        orjson.dumps([{"attribute": "a", "operator": operator, "value": wanted}]).decode()
    )
    return one.met_by(value)


@pytest.mark.parametrize(
    ("operator", "wanted", "yes", "no"),
    [
        ("=", "x", ["x"], ["y", "", None]),
        ("!=", "x", ["y", None], ["x"]),
        ("<", "10", ["9", "9.5", "-1"], ["10", "11", None]),
        (">=", "b", ["b", "ba"], ["a"]),
        ("glob", "eu-*-?", ["eu-west-1", "eu--1"], ["eu-west-10", "us-west-1", "eu-west-"]),
        ("glob", "a.b", ["a.b"], ["axb"]),
        ("regexp", "^r[0-9]+$", ["r1", "r22"], ["r", "xr1", "r1x"]),
        ("regexp", "ar(m|m64)", ["arm", "xarm64y"], ["amd64"]),
        ("version", ">= 1.2, < 2", ["1.2", "v1.9.9", "1.2.0"], ["1.1", "2.0", "2.0-rc1", "x"]),
        ("version", "~> 1.2.3", ["1.2.3", "1.2.99"], ["1.3", "1.2.2"]),
        ("version", "~> 1.2", ["1.2", "1.9"], ["2.0", "1.1"]),
        ("version", ">= 3", ["6.1"], ["6.1.0-13-amd64"]),
        ("version", ">= 3.0-0", ["6.1.0-13-amd64", "6.1"], ["2.9"]),
        ("semver", "> 1.0.0-rc.1", ["1.0.0-rc.2", "1.0.0"], ["1.0.0-rc.1", "1.0.0-alpha", "1.0"]),
        ("set_contains", "a, b", ["a,b", "c, b, a"], ["a", "ab"]),
        ("set_contains_any", "a,b", ["a", "c,b"], ["c", "ab"]),
    ],
)  # fmt: skip
def test_operators(operator: str, wanted: str, yes: list[str | None], no: list[str | None]) -> None:
    assert [one for one in [*yes, *no] if meets(operator, wanted, one)] == yes


def test_whether_an_attribute_is_there_at_all() -> None:
    there, absent = parse('[{"attribute":"a","operator":"is_set"},'
                          '{"attribute":"a","operator":"is_not_set"}]')  # fmt: skip
    assert (there.met_by(""), there.met_by(None)) == (True, False)
    assert (absent.met_by(""), absent.met_by(None)) == (False, True)


def test_values_and_other_names_of_operators() -> None:
    assert parse('[{"attribute":"a","value":3},{"attribute":"node:os","operator":"not",'
                 '"value":true,"weight":-50},{"operator":"distinct_hosts"},'
                 '{"attribute":"rack","operator":"distinct_property","value":2}]') == (
        Constraint("a", "=", "3"), Constraint("node:os", "!=", "true", -50),
        Constraint("", "distinct_hosts", ""), Constraint("rack", "distinct_property", "2"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("{", "not JSON: "),
        ("{}", "must be a list of objects with attribute, operator and value"),
        ("[1]", "[0]: must be an object"),
        ([{"attribute": "a", "val": "x"}], '[0]: unknown field "val"'),
        ([{"attribute": "a", "operator": "like", "value": "x"}], "[0].operator: must be one of =,"),
        ([{"value": "x"}], "[0].attribute: must be the key of a label, or one of node:..."),
        ([{"attribute": "node:color", "value": "x"}], "[0].attribute: no node has node:color"),
        ([{"attribute": "-a", "value": "x"}], "[0].attribute: name part must consist of"),
        ([{"attribute": "a"}], "[0].value: must be given with ="),
        ([{"attribute": "a", "operator": "regexp", "value": "("}],
         "[0].value: not a regular expression: unexpected end"),
        ([{"attribute": "a", "operator": "version", "value": "> x"}],
         '[0].value: not a range of versions: "> x"'),
        ([{"attribute": "a", "operator": "semver", "value": "~> 1.2.3"}],
         '[0].value: not a range of versions: "~> 1.2.3"'),
        ([{"attribute": "a", "value": "x", "weight": 101}],
         "[0].weight: must be a whole number from -100 to 100, not 0"),
        ([{"operator": "distinct_hosts", "weight": 1}],
         "[0].weight: distinct_hosts is a demand and has no weight"),
        ([{"attribute": "a", "operator": "distinct_property", "value": "0"}],
         "[0].value: must be a whole number of at least 1 with distinct_property"),
        ([{"attribute": "a", "operator": "is_set", "value": "x"}],
         "[0].value: must be left out with is_set"),
        ([{"attribute": "a", "value": "x"}] * 65, "must have at most 64 items"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_in_one_sentence(given: Any, why: str) -> None:
    text = given if isinstance(given, str) else orjson.dumps(given).decode()
    with pytest.raises(BadConstraint) as caught:
        parse(text)
    assert str(caught.value).startswith(why)


@pytest.mark.parametrize("operator", ["regexp", "glob"])
def test_no_pattern_takes_long(operator: str) -> None:
    """Patterns over which an engine that backtracks would sit for years."""
    pattern = "(a+)+(a|a)*(a*)*$" if operator == "regexp" else "a*" * 40 + "b"
    began = time.process_time()
    meets(operator, pattern, "a" * 5000 + "c")
    assert time.process_time() - began < 5


@pytest.mark.parametrize("kind", [kinds.POD, kinds.DEPLOYMENT], ids=["pod", "template"])
def test_they_are_read_when_a_pod_or_its_template_is_made(kind: Kind) -> None:
    doc: Doc = orjson.loads(orjson.dumps(valid(kind)))
    holder = doc if kind is kinds.POD else doc["spec"]["template"]
    text = '[{"attribute": "rack", "operator": "likes", "value": "x"}]'
    holder.setdefault("metadata", {})["annotations"] = {ANNOTATION: text}
    [cause] = validate_create(kind, default(kind, doc))
    assert cause.field.endswith(f"metadata.annotations[{ANNOTATION}]")
    assert "[0].operator: must be one of =, !=, <" in cause.message


def test_dynamic_ports_are_ports_of_the_pod_and_given_by_bindings_alone() -> None:
    doc: Doc = orjson.loads(orjson.dumps(valid(kinds.POD)))
    doc["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": 80}]

    def said(**told: str) -> list[str]:
        asked = {
            f"scheduling.longshore.io/{name.replace('_', '-')}": text for name, text in told.items()
        }
        doc["metadata"]["annotations"] = asked
        return [one.message for one in validate_create(kinds.POD, default(kinds.POD, doc))]

    assert said(dynamic_ports="http") == []
    assert "no container has a port with the name" in said(dynamic_ports="ftp")[0]
    assert "named twice" in said(dynamic_ports="http,http")[0]
    assert "is set when the pod is bound" in said(host_ports="{}")[0]
