"""Server-side apply and ownership, as properties of pure functions."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.core.objects import kinds
from longshore.core.objects.apply import ownership
from longshore.core.objects.apply.fields import difference, intersection, paths, union
from longshore.core.objects.apply.ownership import Applied, Writer
from longshore.core.objects.apply.shapes import shape_named
from longshore.core.objects.apply.walks import compare, everything, field_set, merge, prune
from longshore.core.objects.kinds import Doc

SHAPE = shape_named(kinds.DEPLOYMENT.schema)
MAPS = shape_named(kinds.CONFIG_MAP.schema)


def writer(name: str, time: str = "2026-01-01T00:00:00Z") -> Writer:
    return Writer(name, "v1", "", time)


def applied(live: Doc, config: Doc, who: str, entries: list[Doc], *, force: bool = True) -> Applied:
    return ownership.apply(live, config, SHAPE, entries, writer(who), None if force else dict)


names = st.sampled_from(["a", "b", "c"])
values = st.sampled_from(["1", "2"])
labels = st.dictionaries(names, values, max_size=3)
ports = st.lists(
    st.builds(lambda n, p: {"containerPort": n, "name": p}, st.integers(80, 82), names),
    unique_by=lambda port: port["containerPort"], max_size=3,
)  # fmt: skip
containers = st.lists(
    st.builds(lambda n, i, p: {"name": n, "image": i, "ports": p}, names, values, ports),
    unique_by=lambda container: container["name"], max_size=3,
)  # fmt: skip
finalizers = st.lists(names, unique=True, max_size=3)


def _config(marks: dict[str, str], inside: list[Doc], last: list[str]) -> Doc:
    return {
        "metadata": {"labels": marks, "finalizers": last},
        "spec": {"template": {"spec": {"containers": inside}}},
    }


configs: st.SearchStrategy[Doc] = st.builds(_config, labels, containers, finalizers)
quick = settings(max_examples=60, deadline=None)


# ---- sets of fields


@quick
@given(configs, configs)
def test_sets_obey_the_laws_of_sets(left: Doc, right: Doc) -> None:
    one, two = field_set(left, SHAPE), field_set(right, SHAPE)
    assert members(union(one, two)) == members(one) | members(two)
    assert members(intersection(one, two)) == members(one) & members(two)
    assert members(difference(one, two)) == members(one) - members(two)
    assert difference(one, one) == {}
    assert union(one, one) == one


def members(fields: dict[str, Any]) -> set[str]:
    return set(paths(fields))


def test_paths_are_shown_as_upstream_shows_them() -> None:
    config = _config({"a": "1"}, [{"name": "web", "ports": [{"containerPort": 80}]}], ["x/y"])
    shown = members(field_set(config, SHAPE))
    inside = '.spec.template.spec.containers[name="web"]'
    assert {
        ".metadata.labels.a",
        '.metadata.finalizers["x/y"]',
        inside,
        f'{inside}.ports[containerPort=80,protocol="TCP"].containerPort',
    } <= shown


def test_atomic_lists_and_maps_are_one_field() -> None:
    container = {"name": "c", "command": ["a", "b"]}
    template = {"spec": {"containers": [container], "nodeSelector": {"a": "b"}}}
    config = {"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    shown = members(field_set(config, SHAPE))
    assert {".spec.selector", ".spec.template.spec.nodeSelector"} <= shown
    assert not any("command[" in path or "nodeSelector." in path for path in shown)


# ---- apply


@quick
@given(configs, configs)
def test_to_apply_twice_is_to_apply_once(before: Doc, config: Doc) -> None:
    live = applied({}, before, "other", [])
    once = applied(live.doc, config, "me", live.entries)
    twice = applied(once.doc, config, "me", once.entries)
    assert twice.doc == once.doc
    assert ownership.same_but_time(twice.entries, once.entries)


@quick
@given(labels, labels)
def test_managers_of_other_fields_commute(one: dict[str, str], two: dict[str, str]) -> None:
    left = {"metadata": {"labels": {f"x{k}": v for k, v in one.items()}}}
    right = {"metadata": {"labels": {f"y{k}": v for k, v in two.items()}}}
    base: Doc = {"metadata": {"labels": {}}}
    results = []
    for first, second in (((left, "l"), (right, "r")), ((right, "r"), (left, "l"))):
        live = applied(base, *first, [], force=False)
        results.append(applied(live.doc, *second, live.entries, force=False))
    assert results[0].doc == results[1].doc
    assert ownership.same_but_time(results[0].entries, results[1].entries)


@quick
@given(configs, configs)
def test_to_apply_nothing_leaves_only_what_others_own(theirs: Doc, mine: Doc) -> None:
    live = applied({}, theirs, "other", [])
    both = applied(live.doc, mine, "me", live.entries)
    left = applied(both.doc, {}, "me", both.entries)
    owned: dict[str, Any] = next(
        (e["fieldsV1"] for e in left.entries if e["manager"] == "other"), {}
    )
    assert all(entry["manager"] == "other" for entry in left.entries)
    assert members(owned) <= members(field_set(left.doc, SHAPE))
    taken = members(field_set(left.doc, SHAPE)) - members(field_set(theirs, SHAPE))
    assert not taken


@quick
@given(configs)
def test_a_lone_applier_takes_back_all_that_it_set(config: Doc) -> None:
    made = applied({"metadata": {"name": "web"}}, config, "me", [])
    left = applied(made.doc, {"metadata": {"name": "web"}}, "me", made.entries)
    assert field_set(left.doc, SHAPE) == {"f:metadata": {"f:name": {}}}


def test_applied_items_keep_the_order_of_their_manifest() -> None:
    def named(*wanted: str) -> Doc:
        return _config({}, [{"name": name} for name in wanted], [])

    def order(live: Doc, config: Doc) -> list[str]:
        merged = merge(live, config, SHAPE)
        return [c["name"] for c in merged["spec"]["template"]["spec"]["containers"]]

    assert order(named("a", "x", "b"), named("b", "a")) == ["b", "a", "x"]
    assert order(named("a", "x", "b"), named("a", "n", "b")) == ["a", "x", "n", "b"]
    assert order(named("x"), named("a", "b")) == ["x", "a", "b"]


# ---- plain writes


@quick
@given(configs, configs)
def test_changes_and_their_inverse_restore_the_fields_owned(old: Doc, new: Doc) -> None:
    start = ownership.created(ownership.owned(compare({}, old, SHAPE).set), writer("me"))
    there = ownership.updated(start, compare(old, new, SHAPE), writer("me"))
    back = ownership.updated(there, compare(new, old, SHAPE), writer("me"))
    restored = members(back[0]["fieldsV1"]) if back else set()
    assert restored >= (members(start[0]["fieldsV1"]) if start else set())


@quick
@given(configs, configs)
def test_a_field_has_one_owner_after_plain_writes(old: Doc, new: Doc) -> None:
    start = ownership.created(ownership.owned(compare({}, old, SHAPE).set), writer("first"))
    entries = ownership.updated(start, compare(old, new, SHAPE), writer("second"))
    owners = [members(entry["fieldsV1"]) for entry in entries]
    assert len(set().union(*owners)) == sum(map(len, owners))


def test_nothing_changes_between_equals() -> None:
    doc = _config({"a": "1"}, [{"name": "c"}], [])
    assert compare(doc, doc, SHAPE) == ({}, {})


def test_pruning_leaves_what_another_claims_inside() -> None:
    live = {"data": {"a": "1", "b": "2"}}
    last = field_set(live, MAPS)
    claimed = field_set({"data": {"b": "2"}}, MAPS)
    assert prune(live, last, claimed, MAPS) == {"data": {"b": "2"}}
    assert prune(live, last, {}, MAPS) == {}


def test_what_a_client_sends_as_fields_is_looked_at() -> None:
    entry = {"operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1"}
    live = ownership.created({"f:data": {}}, writer("me"))
    wrong: list[Any] = [{"data": {}}, {"f:data": 1}, {"k:{": {}}, "text", {"v:": {}}]
    for bad in wrong:
        assert ownership.given([{**entry, "fieldsV1": bad}], live, "") is live
    good = [{**entry, "fieldsV1": {"f:data": {'k:{"a":1}': {".": {}}}}}]
    assert ownership.given(good, live, "") is good


def test_all_that_a_value_has_includes_maps_but_not_what_is_always_there() -> None:
    found = everything(_config({"a": "1"}, [], []), SHAPE, always=True)
    assert found["f:metadata"]["f:labels"] == {".": {}, "f:a": {}}
    assert "." not in found["f:spec"]


def test_what_names_say_of_a_structure_is_what_a_walk_through_it_says() -> None:
    status = shape_named(kinds.POD.schema).part("status")[1]
    value = {"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}], "conditions": []}
    for _ in range(2):  # the second time it is remembered
        found = everything(value, status)
        assert set(paths(found)) == {".phase", ".podIPs", '.podIPs[ip="10.0.0.1"]',
                                     '.podIPs[ip="10.0.0.1"].ip', ".conditions"}  # fmt: skip
    assert set(paths(everything({**value, "podIPs": []}, status))) == {
        ".phase", ".podIPs", ".conditions",
    }  # fmt: skip


def test_of_structures_with_names_of_a_clients_own_choice_nothing_is_remembered() -> None:
    unknown = ("phase", "of-my-own")
    assert SHAPE.outline(unknown) is not SHAPE.outline(unknown)
    assert SHAPE.outline(("metadata",)) is SHAPE.outline(("metadata",))
