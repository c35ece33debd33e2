"""What holds for every document: nothing crashes, and doing a thing twice is doing it once."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from longshore.core.objects import meta, patches, selectors
from longshore.core.objects.defaults import default
from longshore.core.objects.duplicates import duplicate_fields
from longshore.core.objects.errors import BadRequest, Invalid
from longshore.core.objects.kinds import KINDS, POD, Doc, Kind
from longshore.core.objects.rules import validate_create, validate_update
from longshore.core.objects.strategic import strategic_merge
from longshore.core.objects.validation import check, decoding_error

from .samples import JSON, WORDS, documents

# Building strategies from schemas this large takes a moment of its own.
quick = settings(
    max_examples=25, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
every_kind = pytest.mark.parametrize("kind", KINDS.stored, ids=lambda kind: kind.name)


def copy(doc: Any) -> Any:
    return orjson.loads(orjson.dumps(doc))


@every_kind
@quick
@given(data=st.data())
def test_the_road_in_never_crashes_and_repeats_to_the_same(kind: Kind, data: st.DataObject) -> None:
    doc = data.draw(documents(kind))
    checked = check(kind, copy(doc))
    assert checked.causes == []
    assert checked.unknown == []
    assert checked.doc == doc
    first = default(kind, copy(doc))
    again = default(kind, copy(first))
    assert again == first, "defaulting is idempotent"
    assert check(kind, first).causes == [], "defaults fit the schema"
    causes = validate_create(kind, first)
    assert causes == validate_create(kind, copy(first))
    meta.prepare_create(kind, first)


@every_kind
@quick
@given(data=st.data())
def test_updates_never_crash_and_leave_the_old_alone(kind: Kind, data: st.DataObject) -> None:
    old = default(kind, data.draw(documents(kind)))
    before = copy(old)
    for part in ("", "status", "finalize"):
        new = default(kind, data.draw(documents(kind)))
        made = meta.prepare_update(kind, new, old, part)
        validate_update(kind, made, old, part)
        assert old == before


@every_kind
@quick
@given(doc=JSON | st.fixed_dictionaries({"metadata": JSON, "spec": JSON, "status": JSON}))
def test_any_json_is_checked_and_pruning_is_idempotent(kind: Kind, doc: Any) -> None:
    first = check(kind, doc)
    second = check(kind, first.doc)
    assert second.unknown == []
    if first.causes:
        assert decoding_error(kind, first).code == 400
        assert second.causes
        return
    assert second.doc == first.doc
    validate_create(kind, default(kind, copy(first.doc)))


@every_kind
@quick
@given(data=st.data())
def test_an_empty_strategic_patch_changes_nothing(kind: Kind, data: st.DataObject) -> None:
    doc = data.draw(documents(kind))
    assert strategic_merge(kind, doc, {}) == doc


@quick
@given(doc=documents(POD), patch=documents(POD))
def test_merging_never_changes_what_it_is_given(doc: Doc, patch: Doc) -> None:
    before, patch_before = copy(doc), copy(patch)
    try:
        merged = strategic_merge(POD, doc, patch)
        again = strategic_merge(POD, merged, patch)
    except BadRequest:  # an item without its merge key
        pass
    else:
        assert set(again) == set(merged)
    patches.json_merge_patch(doc, patch)
    assert doc == before
    assert patch == patch_before


@given(doc=JSON, patch=JSON)
def test_merge_patches_are_idempotent(doc: Any, patch: Any) -> None:
    once = patches.json_merge_patch(doc, patch)
    assert patches.json_merge_patch(once, patch) == once


@given(doc=JSON)
def test_nothing_decoded_and_encoded_again_has_duplicates(doc: Any) -> None:
    compact = orjson.dumps(doc)
    assert duplicate_fields(compact, orjson.loads(compact)) == []
    spacious = orjson.dumps(doc, option=orjson.OPT_INDENT_2)
    assert duplicate_fields(spacious, orjson.loads(spacious)) == []


KEYS = st.sampled_from(["app", "tier", "example.com/track", "x"])
VALUES = st.sampled_from(["web", "", "v1", "5", "in", "notin"])
REQUIREMENTS = (
    st.builds(selectors.Requirement, KEYS, st.sampled_from(["exists", "!"]), st.just(()))
    | st.builds(
        lambda key, operator, values: selectors.Requirement(key, operator, tuple(sorted(values))),
        KEYS, st.sampled_from(["in", "notin"]), st.sets(VALUES, min_size=1),
    )
    | st.builds(lambda k, o: selectors.Requirement(k, o, ("5",)), KEYS, st.sampled_from(["gt", "lt"]))
)  # fmt: skip


@given(requirements=st.lists(REQUIREMENTS, max_size=4), labels=st.dictionaries(KEYS, VALUES))
def test_a_selector_reads_back_what_it_prints(
    requirements: list[selectors.Requirement], labels: dict[str, str]
) -> None:
    selector = selectors.Selector(requirements)
    read = selectors.parse_labels(str(selector))
    assert read == selector
    assert read.matches(labels) == all(one.matches(labels) for one in requirements)


@given(text=st.text(alphabet="ab=!,()<> in/", max_size=20) | WORDS)
def test_any_text_is_a_selector_or_a_bad_request(text: str) -> None:
    with suppress(BadRequest):
        assert str(selectors.parse_labels(text)) == str(selectors.parse_labels(text.strip()))
    with suppress(BadRequest):
        selectors.parse_fields(POD, text)


OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"])},
    optional={
        "path": st.sampled_from(["", "/a", "/a/0", "/b/-", "/b/x", "/metadata/name/y", "~", "z"])
        | JSON,
        "from": st.sampled_from(["", "/a", "/b/0", "/nope"]) | JSON,
        "value": JSON,
    },
)


@given(doc=st.fixed_dictionaries({"a": JSON, "b": JSON}), operations=st.lists(OPERATIONS | JSON))
def test_json_patches_apply_or_are_refused(doc: Doc, operations: list[Any]) -> None:
    before = copy(doc)
    with suppress(BadRequest, Invalid):
        patches.json_patch(POD, doc, operations)
    assert doc == before
