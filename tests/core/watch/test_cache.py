"""The cache: order, indexes, history, feeds."""

from __future__ import annotations

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.errors import Expired
from longshore.core.objects.kinds import KINDS, Doc
from longshore.core.watch.cache import Cache
from longshore.core.watch.feeds import Audience, CacheFeed
from longshore.core.watch.frames import Frame
from longshore.core.watch.stored import Stored


def pod(name: str, namespace: str = "default", node: str = "", labels: Doc | None = None) -> Doc:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
        "spec": {"nodeName": node} if node else {},
    }


class World:
    """A cache and the means to change it as the registry does."""

    def __init__(self) -> None:
        self.cache = Cache(KINDS)

    def put(self, doc: Doc) -> Stored:
        key = kinds.POD.key_of(doc)
        before = self.cache.shelf(kinds.POD).get(key)
        revision = self.cache.revision + 1
        stored = Stored.of(kinds.POD, key, doc, revision)
        self.cache.apply(Frame("ADDED" if before is None else "MODIFIED", stored, before))
        return stored

    def drop(self, name: str, namespace: str = "default") -> None:
        before = self.cache.shelf(kinds.POD).get(kinds.POD.key(namespace, name))
        assert before is not None
        self.cache.apply(Frame("DELETED", before.at(self.cache.revision + 1), before))


@pytest.fixture
def world() -> World:
    return World()


def names(feed: CacheFeed) -> list[tuple[str, str]]:
    return [(frame.type, frame.stored.name) for frame in feed.take()]


def test_raw_bytes_carry_the_revision_once(world: World) -> None:
    stored = world.put(
        {**pod("a"), "metadata": {"name": "a", "namespace": "n", "resourceVersion": "99"}}
    )
    assert stored.raw.count(b"resourceVersion") == 1
    assert stored.doc["metadata"]["resourceVersion"] == "1"
    assert (stored.namespace, stored.name) == ("n", "a")


def test_lists_are_sorted_by_namespace_and_name(world: World) -> None:
    for name, namespace in (("b", "two"), ("a", "two"), ("z", "one"), ("c", "ten")):
        world.put(pod(name, namespace))
    listed = [
        (d["metadata"]["namespace"], d["metadata"]["name"]) for d in world.cache.all(kinds.POD)
    ]
    assert listed == [("one", "z"), ("ten", "c"), ("two", "a"), ("two", "b")]
    assert [d["metadata"]["name"] for d in world.cache.all(kinds.POD, "two")] == ["a", "b"]
    assert world.cache.shelf(kinds.POD).count("/core/pods/two/") == 2


def test_indexes_follow_an_object_that_moves(world: World) -> None:
    world.put(pod("a"))
    assert len(world.cache.indexed(kinds.POD, "node", "")) == 1
    world.put(pod("a", node="n1"))
    assert world.cache.indexed(kinds.POD, "node", "") == []
    assert [d["metadata"]["name"] for d in world.cache.indexed(kinds.POD, "node", "n1")] == ["a"]
    world.drop("a")
    assert world.cache.indexed(kinds.POD, "node", "n1") == []
    assert world.cache.indexed(kinds.POD, "namespace", "default") == []


def test_subscribe_gives_what_is_there_and_then_each_change_once(world: World) -> None:
    world.put(pod("a"))
    feed = world.cache.subscribe(kinds.POD, kinds.NODE)
    world.put(pod("b"))
    world.put(pod("a", node="n1"))
    world.drop("b")
    assert names(feed) == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    feed.close()
    world.put(pod("c"))
    assert names(feed) == []


def test_a_deleted_event_has_the_last_state_and_the_deletes_revision(world: World) -> None:
    world.put(pod("a", labels={"x": "y"}))
    feed = world.cache.watch(kinds.POD, since=1, prefix="", select=None, term=None)
    world.drop("a")
    (frame,) = feed.take()
    assert frame.doc["metadata"] == {
        "name": "a", "namespace": "default", "labels": {"x": "y"}, "resourceVersion": "2",
    }  # fmt: skip
    assert frame.line() == b'{"type":"DELETED","object":%s}\n' % frame.stored.raw


def test_a_watch_of_one_node_hears_only_of_its_pods(world: World) -> None:
    feed = world.cache.watch(kinds.POD, since=0, prefix="", select=None, term=("node", "n1"))
    world.put(pod("a"))
    world.put(pod("b", node="n2"))
    world.put(pod("a", node="n1"))
    world.drop("b")
    world.drop("a")
    assert names(feed) == [("MODIFIED", "a"), ("DELETED", "a")]


async def test_a_slow_listener_is_dropped_and_told_so(world: World) -> None:
    hub = world.cache.shelf(kinds.POD).hub
    feed = CacheFeed([], hub.audience(None, None, lambda: Audience(None, room=2)))
    for name in "abc":
        world.put(pod(name))
    with pytest.raises(Expired):
        await feed.next_batch()
    assert len(world.cache.shelf(kinds.POD).hub) == 0


def test_a_watch_from_before_the_history_is_refused(world: World) -> None:
    late = Cache(KINDS, revision=50)
    with pytest.raises(Expired, match="too old resource version: 49"):
        late.watch(kinds.POD, since=49, prefix="", select=None, term=None)
    late.watch(kinds.POD, since=50, prefix="", select=None, term=None)


def test_a_list_can_be_taken_as_of_an_earlier_revision(world: World) -> None:
    for name in "abcd":
        world.put(pod(name))
    at = world.cache.revision
    before = [s.raw for s in world.cache.as_of(kinds.POD, at, kinds.POD.prefix)]
    world.put(pod("b", node="n1"))
    world.drop("c")
    world.put(pod("aa"))
    world.drop("aa")
    world.put(pod("b", node="n2"))
    assert [s.raw for s in world.cache.as_of(kinds.POD, at, kinds.POD.prefix)] == before
    after_b = world.cache.as_of(kinds.POD, at, kinds.POD.prefix, after="/core/pods/default/b")
    assert [s.name for s in after_b] == ["c", "d"]


NODE = ("node", "n1")


@pytest.fixture
def read_at_start() -> World:
    world = World()
    world.cache = Cache(KINDS, 10)
    docs = [pod(name, node="n1") for name in "abc"]
    objects = [Stored.of(kinds.POD, kinds.POD.key_of(doc), doc, 7) for doc in docs]
    world.cache.load(kinds.POD, objects)
    return world


def on_node(world: World) -> list[str]:
    return sorted(one.name for one in world.cache.shelf(kinds.POD).found(NODE))


def test_what_is_read_at_start_is_indexed_for_whoever_asks(read_at_start: World) -> None:
    assert on_node(read_at_start) == ["a", "b", "c"]


def test_it_is_indexed_in_slices_and_what_changes_meanwhile_is_right(read_at_start: World) -> None:
    shelf = read_at_start.cache.shelf(kinds.POD)
    assert shelf.index(1) == 2
    for name, node in (("a", "n2"), ("b", "n2"), ("c", "n1"), ("d", "n1")):
        read_at_start.put(pod(name, node=node))
    read_at_start.drop("c")
    assert shelf.index() == 0
    assert on_node(read_at_start) == ["d"]
    assert sorted(one.name for one in shelf.found(("node", "n2"))) == ["a", "b"]


def test_the_time_for_it_is_asked_for_kind_by_kind(read_at_start: World) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "x"}}
    stored = Stored.of(kinds.SECRET, kinds.SECRET.key_of(secret), secret, 3)
    read_at_start.cache.load(kinds.SECRET, [stored])
    assert list(read_at_start.cache.index()) == []
    assert read_at_start.cache.shelf(kinds.POD).index(0) == 0


def test_who_listens_to_a_node_hears_what_it_loses_of_it(read_at_start: World) -> None:
    feed = read_at_start.cache.watch(
        kinds.POD, since=10, prefix=kinds.POD.prefix, select=None, term=NODE
    )
    read_at_start.drop("a")
    read_at_start.put(pod("b", node="n2"))
    assert names(feed) == [("DELETED", "a"), ("MODIFIED", "b")]


def test_loops_find_the_terms_of_what_was_there(read_at_start: World) -> None:
    frames = read_at_start.cache.subscribe(kinds.POD).take()
    assert [NODE in frame.stored.terms for frame in frames] == [True] * 3
