"""Objects at rest: what is taken apart comes together again, byte for byte, whatever is in it."""

from __future__ import annotations

import gc

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.watch import owned
from longshore.core.watch.stored import Stored

TIME = "2026-11-21T16:00:00Z"
# Names and keys that look like what the text is cut by.
TRICKY = ["web", 'a"b', "a}],", "}]", '"time":"', '{"ip":"1"}', "a\\", "]}]", "", "é\u2028"]
TRICKY += ['{"ip":"1"}+{"ip":"2"}', '{"uid":"é"}{"ip":"x', "\ue000", "\ue0001\ue000", '"1"', "0"]
words = st.sampled_from(TRICKY) | st.text(max_size=6)
keys = st.builds(lambda w: f"f:{w}", words) | st.builds(
    lambda k, w: "k:" + orjson.dumps({k: w}).decode(), st.sampled_from(["ip", "uid", "x"]), words
)
fields = st.recursive(
    st.just(dict[str, object]()),
    lambda below: st.dictionaries(keys, below, max_size=3),
    max_leaves=8,
)
entry = st.fixed_dictionaries(
    {"manager": words, "operation": st.sampled_from(["Update", "Apply"]), "fieldsV1": fields},
    optional={"time": st.sampled_from([TIME, TIME.replace("16", "17")]) | words},
)
owners = st.lists(entry, max_size=3)


def pod(entries: list[Doc], name: str = "a") -> Doc:
    metadata: Doc = {"name": name, "managedFields": entries, "labels": {"app": "web"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"x": [{"y": "}],"}]}}


def stored_of(entries: list[Doc], revision: int = 7) -> Stored:
    return Stored.of(kinds.POD, "/core/pods/n/a", pod(entries), revision)


def shown(entries: list[Doc]) -> Doc:
    doc = pod(entries)
    doc["metadata"]["resourceVersion"] = "7"
    return doc


@settings(max_examples=30, deadline=None)
@given(st.lists(owners, min_size=1, max_size=6))
def test_every_object_keeps_its_own_owners(many: list[list[Doc]]) -> None:
    made = [stored_of(entries) for entries in many]
    for _ in range(2):  # the second time what is shared was decoded for others in between
        for entries, one in zip(many, made, strict=True):
            assert orjson.loads(one.raw) == one.fresh() == shown(entries)
            pieces: list[bytes] = []
            assert one.lay(pieces) <= len(b"".join(pieces))
            assert orjson.loads(b'{"kind":"Pod",' + b"".join(pieces)) == {
                k: v for k, v in shown(entries).items() if k != "apiVersion"
            }


@settings(max_examples=30, deadline=None)
@given(st.lists(owners, min_size=1, max_size=6))
def test_what_the_store_had_is_what_comes_back(many: list[list[Doc]]) -> None:
    for entries in many:
        kept = stored_of(entries, revision=0).raw
        assert orjson.loads(kept) == pod(entries)
        again = Stored.read(kinds.POD, "/core/pods/n/a", kept, 7)
        assert again.raw == stored_of(entries).raw
        assert Stored.read(kinds.POD, "/core/pods/n/a", kept, 0).raw == kept


@settings(max_examples=30, deadline=None)
@given(owners, st.integers(min_value=1, max_value=3))
def test_what_is_laid_at_rest_is_what_is_read_again(entries: list[Doc], alike: int) -> None:
    for number in range(alike):  # those after the first find the owners' text as it was laid
        doc = pod(entries, f"a-{number}")
        known = {"spec": orjson.Fragment(orjson.dumps(doc["spec"]))}
        made, raw = Stored.laid(kinds.POD, "/core/pods/n/a", doc, known)
        again = Stored.read(kinds.POD, "/core/pods/n/a", raw, 0)
        assert (made.raw, made.rest, made.size) == (raw, again.rest, again.size)
        made.settle(7, doc)
        assert made.fresh() == made.doc == Stored.read(kinds.POD, made.key, raw, 7).fresh()


def entries_of(time: str, ip: str) -> list[Doc]:
    below: Doc = {"f:podIPs": {".": {}, orjson.dumps({"ip": ip}).decode(): {"f:ip": {}}}}
    spec: Doc = {f"f:field-{n}": {} for n in range(40)}
    return [
        {"manager": "controllers", "operation": "Update", "time": TIME, "fieldsV1": {"f:spec": spec}},
        {"manager": "kubelet", "operation": "Update", "time": time, "fieldsV1": below},
    ]  # fmt: skip


def test_objects_that_differ_in_times_and_addresses_share_the_text() -> None:
    made = [stored_of(entries_of(f"2026-11-21T16:00:{n:02}Z", f"10.0.0.{n}")) for n in range(50)]
    own = sum(one.size for one in made) / len(made)
    assert own < len(stored_of([]).rest) + 80 < len(made[0].raw) / 2
    first, second = (one.doc["metadata"]["managedFields"][0]["fieldsV1"] for one in made[:2])
    assert first is second
    first, second = (one.doc["metadata"]["managedFields"][1]["fieldsV1"] for one in made[:2])
    assert first["f:podIPs"]["."] is second["f:podIPs"]["."]


def test_what_nobody_shares_any_more_is_forgotten() -> None:
    before = len(owned._forms)
    made = [stored_of([{"manager": f"m{n}", "fieldsV1": {}}]) for n in range(500)]
    assert len(owned._forms) >= before + 400
    del made
    gc.collect()
    assert len(owned._forms) <= before + owned._LAID_MAX + 10


def test_owners_that_stand_elsewhere_in_metadata_are_read_as_they_are() -> None:
    """As earlier versions wrote them."""
    doc = pod(entries_of(TIME, "10.0.0.1"))
    found = Stored.read(kinds.POD, "/core/pods/n/a", orjson.dumps(doc), 7)
    assert found.fresh() == shown(entries_of(TIME, "10.0.0.1"))


def test_a_deleted_object_is_decoded_if_its_last_state_was() -> None:
    last = stored_of([])
    undecoded = last.at(9).doc
    assert last.doc["metadata"]["resourceVersion"] == "7"
    assert last.at(9).doc == undecoded
    assert last.at(9).doc["spec"] is last.doc["spec"]
