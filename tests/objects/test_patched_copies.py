"""A patched document is its planner's own, as far as anybody writes into it."""

from __future__ import annotations

from copy import deepcopy

from longshore.core.objects.kinds import Doc
from longshore.core.objects.patches import detached, json_merge_patch


def _pod() -> Doc:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "nginx"}]},
        "status": {"phase": "Pending"},
    }


def test_where_metadata_was_patched_only_what_is_below_fields_is_shared() -> None:
    doc = _pod()
    before = deepcopy(doc)
    made = detached(json_merge_patch(doc, {"metadata": {"labels": {"tier": "front"}}}), doc)
    assert made["spec"]["containers"] is doc["spec"]["containers"]
    made["metadata"]["generation"] = 2
    made["spec"]["priority"] = 0
    made["status"]["phase"] = "Running"
    made["metadata"]["labels"]["more"] = "yes"
    assert doc == before


def test_where_more_was_patched_nothing_is_shared_but_parts_of_metadata() -> None:
    doc = _pod()
    before = deepcopy(doc)
    patch: Doc = {"spec": {"tolerations": [{"operator": "Exists"}]}}
    made = detached(json_merge_patch(doc, patch), doc)
    made["spec"]["containers"][0]["imagePullPolicy"] = "Always"
    made["spec"]["tolerations"][0]["effect"] = "NoExecute"
    made["metadata"]["generation"] = 2
    assert doc == before
    assert patch == {"spec": {"tolerations": [{"operator": "Exists"}]}}
    assert list(made) == list(before)


def test_a_field_that_goes_away_is_more_than_metadata() -> None:
    doc = _pod()
    made = detached(json_merge_patch(doc, {"status": None}), doc)
    assert "status" not in made
    made["spec"]["containers"][0]["imagePullPolicy"] = "Always"
    assert doc == _pod()


def test_what_is_no_object_any_more_is_left_for_validation_to_refuse() -> None:
    doc = _pod()
    assert detached(json_merge_patch(doc, {"metadata": 5}), doc)["metadata"] == 5
