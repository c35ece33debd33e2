"""Strategic merge patches: lists that are maps, and every directive."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.core.objects.errors import BadRequest, Invalid, TooLarge
from longshore.core.objects.kinds import DEPLOYMENT, NODE, POD, SERVICE, Doc, Kind
from longshore.core.objects.patches import json_merge_patch, json_patch
from longshore.core.objects.strategic import strategic_merge

ABC: list[Doc] = [
    {"name": "a", "image": "1"},
    {"name": "b", "image": "1"},
    {"name": "c", "image": "1"},
]


def merged(field: str, old: Any, patch: Doc, kind: Kind = POD) -> Any:
    return strategic_merge(kind, {"spec": {field: old}}, {"spec": patch})["spec"].get(field)


def names(items: list[Doc]) -> list[str]:
    return [item["name"] for item in items]


def test_items_are_merged_by_their_key_and_new_ones_follow_the_patch() -> None:
    patch = {"containers": [{"name": "b", "image": "2"}, {"name": "d", "image": "4"}]}
    result = merged("containers", ABC, patch)
    assert result == [ABC[0], {"name": "b", "image": "2"}, {"name": "d", "image": "4"}, ABC[2]]
    assert result[0] is ABC[0], "what did not change is shared"


def test_nested_lists_have_keys_of_their_own() -> None:
    old = [{"name": "a", "env": [{"name": "X", "value": "1"}], "ports": [{"containerPort": 80}]}]
    patch = [
        {
            "name": "a",
            "env": [{"name": "Y", "value": "2"}],
            "ports": [{"containerPort": 80, "name": "h"}],
        }
    ]
    assert merged("containers", old, {"containers": patch}) == [{
        "name": "a", "env": [{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}],
        "ports": [{"containerPort": 80, "name": "h"}],
    }]  # fmt: skip


def test_lists_without_a_strategy_are_replaced() -> None:
    old = [{"key": "a"}, {"key": "b"}]
    assert merged("tolerations", old, {"tolerations": [{"key": "c"}]}) == [{"key": "c"}]


def test_null_deletes_a_field() -> None:
    assert strategic_merge(POD, {"spec": {"nodeName": "n"}}, {"spec": {"nodeName": None}}) == {
        "spec": {}
    }
    assert merged("containers", ABC[:1], {"containers": [{"name": "a", "image": None}]}) == [
        {"name": "a"}
    ]


def test_an_item_can_be_deleted() -> None:
    patch = {"containers": [{"name": "b", "$patch": "delete"}]}
    assert names(merged("containers", ABC, patch)) == ["a", "c"]
    gone = {"containers": [{"name": "z", "$patch": "delete"}]}
    assert names(merged("containers", ABC, gone)) == ["a", "b", "c"]


def test_a_list_or_an_object_can_be_replaced() -> None:
    patch = {"containers": [{"$patch": "replace"}, {"name": "z", "image": "9"}]}
    assert merged("containers", ABC, patch) == [{"name": "z", "image": "9"}]
    doc = {"metadata": {"labels": {"a": "1"}}}
    replaced = strategic_merge(POD, doc, {"metadata": {"labels": {"$patch": "replace", "b": "2"}}})
    assert replaced == {"metadata": {"labels": {"b": "2"}}}
    emptied = strategic_merge(POD, doc, {"metadata": {"labels": {"$patch": "delete"}}})
    assert emptied == {"metadata": {"labels": {}}}


def test_an_explicit_merge_is_the_default() -> None:
    patch = {"metadata": {"labels": {"$patch": "merge", "b": "2"}}}
    assert strategic_merge(POD, {"metadata": {"labels": {"a": "1"}}}, patch) == {
        "metadata": {"labels": {"a": "1", "b": "2"}}
    }


def test_the_order_that_a_patch_gives() -> None:
    order = [{"name": n} for n in ("c", "a")]
    patch = {"$setElementOrder/containers": order, "containers": [{"name": "a", "image": "2"}]}
    # b, of which the patch says nothing, keeps its place before c.
    assert names(merged("containers", ABC, patch)) == ["b", "c", "a"]
    whole = {"$setElementOrder/containers": [{"name": n} for n in ("c", "b", "a")]}
    assert names(merged("containers", ABC, whole)) == ["c", "b", "a"]


def test_new_items_take_their_place_in_the_order() -> None:
    order = [{"name": n} for n in ("x", "a", "b", "c")]
    patch = {"$setElementOrder/containers": order, "containers": [{"name": "x", "image": "1"}]}
    assert names(merged("containers", ABC, patch)) == ["x", "a", "b", "c"]


def test_items_that_are_only_new_come_first() -> None:
    """As upstream has it (checked against kubectl patch --local, like the two below)."""
    patch = {"containers": [{"name": "x", "image": "1"}]}
    assert names(merged("containers", ABC, patch)) == ["x", "a", "b", "c"]


def test_an_added_item_takes_the_place_that_a_deleted_one_left() -> None:
    order = {"$setElementOrder/containers": [{"name": "e"}, {"name": "a"}, {"name": "c"}]}
    patch = {
        **order,
        "containers": [{"name": "e", "image": "1"}, {"name": "a", "$patch": "delete"}],
    }
    old = [ABC[0], ABC[1], {"name": "d", "image": "1"}]
    assert names(merged("containers", old, patch)) == ["b", "d", "e"]


def test_without_a_deletion_there_is_no_such_place() -> None:
    order = {"$setElementOrder/containers": [{"name": "e"}, {"name": "c"}]}
    patch = {**order, "containers": [{"name": "e", "image": "1"}]}
    assert names(merged("containers", ABC, patch)) == ["e", "a", "b", "c"]


def test_an_item_outside_the_order_is_refused() -> None:
    patch = {
        "$setElementOrder/containers": [{"name": "a"}],
        "containers": [{"name": "b", "image": "2"}],
    }
    with pytest.raises(BadRequest, match=r"doesn't match \$setElementOrder"):
        merged("containers", ABC, patch)


def test_primitive_lists_are_sets() -> None:
    doc = {"metadata": {"finalizers": ["a/x", "b/x"]}}
    added = strategic_merge(POD, doc, {"metadata": {"finalizers": ["b/x", "c/x"]}})
    assert added["metadata"]["finalizers"] == ["a/x", "b/x", "c/x"]
    patch = {"$deleteFromPrimitiveList/finalizers": ["a/x"], "$setElementOrder/finalizers": ["c/x", "b/x"],
             "finalizers": ["c/x"]}  # fmt: skip
    changed = strategic_merge(POD, doc, {"metadata": patch})
    assert changed["metadata"]["finalizers"] == ["c/x", "b/x"]


def test_retained_keys_drop_the_others() -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}
    patch = {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}
    assert merged("strategy", strategy, patch, DEPLOYMENT) == {"type": "Recreate"}
    volumes = [{"name": "v", "emptyDir": {}}]
    change = {
        "volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/"}}]
    }
    assert merged("volumes", volumes, change) == [{"name": "v", "hostPath": {"path": "/"}}]
    with pytest.raises(Invalid, match="retainKeys"):
        merged(
            "strategy",
            strategy,
            {"strategy": {"$retainKeys": ["type"], "rollingUpdate": {}}},
            DEPLOYMENT,
        )


def test_directives_never_reach_the_document() -> None:
    patch = {"metadata": {"labels": {"$patch": "merge", "a": "1", "b": None}},
             "spec": {"volumes": [{"name": "v", "$retainKeys": ["name"]}, {"name": "w", "$patch": "delete"}]}}  # fmt: skip
    assert strategic_merge(POD, {}, patch) == {
        "metadata": {"labels": {"a": "1"}}, "spec": {"volumes": [{"name": "v"}]},
    }  # fmt: skip


def test_other_keys() -> None:
    ports = [{"port": 80, "name": "a"}]
    assert merged("ports", ports, {"ports": [{"port": 80, "targetPort": 8080}]}, SERVICE) == [
        {"port": 80, "name": "a", "targetPort": 8080}
    ]
    doc = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    patch = {
        "status": {
            "conditions": [{"type": "Ready", "status": "False"}, {"type": "X", "status": "True"}]
        }
    }
    assert strategic_merge(NODE, doc, patch)["status"]["conditions"] == [
        {"type": "Ready", "status": "False"}, {"type": "X", "status": "True"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ({"containers": [{"image": "x"}]}, "does not contain declared merge key: name"),
        ({"$patch": "explode"}, "Unknown patch type: explode"),
        ({"$setElementOrder/containers": 1}, "invalid patch format of \\$setElementOrder"),
    ],
)
def test_senseless_patches_are_refused(patch: Doc, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        merged("containers", ABC, patch)


def test_a_patch_is_an_object() -> None:
    with pytest.raises(BadRequest):
        strategic_merge(POD, {}, [])


# ---- the other two


def test_json_merge_patch() -> None:
    """The examples of RFC 7396, appendix A."""
    for doc, patch, result in (
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ):
        assert json_merge_patch(doc, patch) == result


def test_json_patch() -> None:
    doc = {"metadata": {"labels": {"a": "1"}}}
    operations = [{"op": "test", "path": "/metadata/labels/a", "value": "1"},
                  {"op": "add", "path": "/metadata/labels/x~1y", "value": "2"}]  # fmt: skip
    assert json_patch(POD, doc, operations) == {"metadata": {"labels": {"a": "1", "x/y": "2"}}}
    assert doc == {"metadata": {"labels": {"a": "1"}}}


@pytest.mark.parametrize(
    ("operations", "error"),
    [
        ({}, BadRequest),
        ([{"op": "sing", "path": "/a"}], BadRequest),
        ([{"path": "/a"}], BadRequest),
        ([1], BadRequest),
        (["x"], BadRequest),
        ([{"op": "add", "path": 3, "value": 1}], BadRequest),
        ([{"op": "add", "path": "a"}], BadRequest),
        ([{"op": "remove", "path": "/a"}] * 10_001, TooLarge),
        ([{"op": "test", "path": "/metadata/name", "value": "x"}], Invalid),
        ([{"op": "remove", "path": "/nope"}], Invalid),
        ([{"op": "add", "path": "/a/b/c", "value": 1}], Invalid),
        ([{"op": "replace", "path": "/list/x", "value": 1}], Invalid),
        ([{"op": "add", "path": "/metadata/name/x", "value": 1}], Invalid),
    ],
)
def test_json_patches_that_cannot_be(operations: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        json_patch(POD, {"metadata": {"name": "web"}, "list": []}, operations)


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        ({"op": "test", "path": "/a", "value": 7}, "testing value /a failed: test failed"),
        (
            {"op": "add", "path": "/a/b/c", "value": 7},
            "a path leads into a value without parts",
        ),
        ({"op": "replace", "path": "/metadata/x/y", "value": 7}, "member 'x' not found"),
    ],
)
def test_a_refusal_speaks_of_json(operation: Doc, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        json_patch(POD, {"metadata": {"name": "web"}, "a": 1}, [operation])
    assert refused.value.message.endswith(f"error in our request: {said}")
