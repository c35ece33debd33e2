"""Lists, pages and watches through the registry, by the contract's rules."""

from __future__ import annotations

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.errors import BadRequest, Expired, Timeout
from longshore.core.objects.kinds import Doc, Ref
from longshore.core.registry.client import Bind, DeleteOptions
from longshore.core.registry.patching import MERGE_PATCH
from longshore.core.registry.reads import ListOptions, Page, inconsistent_continue
from longshore.core.watch.feeds import CacheFeed

from .conftest import ADMIN, Desk


async def add(desk: Desk, *names: str, namespace: str = "default", **labels: str) -> None:
    for name in names:
        doc: Doc = {"metadata": {"name": name, "labels": labels}}
        await desk.create(kinds.CONFIG_MAP, doc, namespace)


def page(desk: Desk, namespace: str = "", **options: str | int) -> Page:
    return desk.registry.list(ADMIN, kinds.CONFIG_MAP, namespace, ListOptions(**options))  # type: ignore[arg-type]


def names(got: Page) -> list[str]:
    return [stored.name for stored in got.items]


def seen(feed: CacheFeed) -> list[tuple[str, str]]:
    return [(frame.type, frame.stored.name) for frame in feed.take()]


async def test_pages_of_one_list_are_of_one_moment(desk: Desk) -> None:
    await add(desk, "a", "b", "c", "d", "e")
    first = page(desk, limit=2)
    assert names(first) == ["a", "b"]
    assert first.remaining == 3
    await desk.registry.delete(ADMIN, Ref(kinds.CONFIG_MAP, "default", "c"), DeleteOptions())
    await add(desk, "ca")
    second = page(desk, limit=2, continue_=first.continue_)
    assert names(second) == ["c", "d"]
    assert second.revision == first.revision
    last = page(desk, limit=2, continue_=second.continue_)
    assert (names(last), last.continue_) == (["e"], "")
    present = page(desk, limit=9, continue_=inconsistent_continue(first.continue_))
    assert names(present) == ["ca", "d", "e"]


async def test_selectors_and_namespaces_narrow_a_list(desk: Desk) -> None:
    await add(desk, "a", "b", app="web")
    await add(desk, "c", app="db")
    await add(desk, "a", namespace="other", app="web")
    assert names(page(desk, labels="app=web")) == ["a", "b", "a"]
    assert names(page(desk, "other", labels="app=web")) == ["a"]
    assert names(page(desk, labels="app notin (web)")) == ["c"]
    assert names(page(desk, fields="metadata.name=c")) == ["c"]
    assert page(desk, labels="app=web", limit=1).remaining is None
    with pytest.raises(BadRequest, match="field label not supported"):
        page(desk, fields="data.x=1")


async def test_revisions_of_a_list(desk: Desk) -> None:
    await add(desk, "a")
    at = str(desk.registry.cache.revision)
    await add(desk, "b")
    assert names(page(desk, revision=at)) == ["a", "b"]
    assert names(page(desk, revision=at, limit=5)) == ["a"]
    assert names(page(desk, revision=at, revision_match="Exact")) == ["a"]
    assert names(page(desk, revision=at, revision_match="NotOlderThan", limit=5)) == ["a", "b"]
    with pytest.raises(Timeout, match="Too large resource version"):
        page(desk, revision="999999")
    with pytest.raises(BadRequest, match="continue key is not valid"):
        page(desk, continue_="???")


async def test_a_watch_from_a_lists_revision_loses_nothing_and_repeats_nothing(desk: Desk) -> None:
    await add(desk, "a")
    got = page(desk)
    await add(desk, "b")
    options = ListOptions(revision=str(got.revision))
    feed = desk.registry.watch(ADMIN, kinds.CONFIG_MAP, "", options)
    await add(desk, "c")
    assert seen(feed) == [("ADDED", "b"), ("ADDED", "c")]


async def test_a_watch_without_revision_begins_with_what_is_there(desk: Desk) -> None:
    await add(desk, "a")
    for revision in ("", "0"):
        feed = desk.registry.watch(ADMIN, kinds.CONFIG_MAP, "", ListOptions(revision=revision))
        assert seen(feed) == [("ADDED", "a")]


async def test_an_object_that_enters_or_leaves_a_selector(desk: Desk) -> None:
    await add(desk, "a", app="web")
    options = ListOptions(labels="app=web", revision=str(desk.registry.cache.revision))
    feed = desk.registry.watch(ADMIN, kinds.CONFIG_MAP, "", options)
    ref = Ref(kinds.CONFIG_MAP, "default", "a")
    left, _ = await desk.registry.patch(
        ADMIN, ref, MERGE_PATCH, b'{"metadata":{"labels":{"app":"db"}}}'
    )
    (frame,) = feed.take()
    assert frame.type == "DELETED"
    assert frame.doc["metadata"]["labels"] == {"app": "web"}
    assert frame.doc["metadata"]["resourceVersion"] == str(left.revision)
    await desk.registry.patch(ADMIN, ref, MERGE_PATCH, b'{"metadata":{"labels":{"app":"web"}}}')
    assert seen(feed) == [("ADDED", "a")]
    await desk.registry.patch(ADMIN, ref, MERGE_PATCH, b'{"data":{"x":"y"}}')
    assert seen(feed) == [("MODIFIED", "a")]


async def test_a_node_watches_its_own_pods(desk: Desk) -> None:
    for name in ("p", "q"):
        pod = {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        await desk.create(kinds.POD, pod)
    options = ListOptions(fields="spec.nodeName=n1", revision=str(desk.registry.cache.revision))
    feed = desk.registry.watch(ADMIN, kinds.POD, "", options)
    await desk.registry.bind(ADMIN, Bind("default", "p", "n1"))
    await desk.registry.bind(ADMIN, Bind("default", "q", "n2"))
    assert seen(feed) == [("ADDED", "p")]
    listed = desk.registry.list(ADMIN, kinds.POD, "", ListOptions(fields="spec.nodeName=n1"))
    assert names(listed) == ["p"]


async def test_who_watches_one_object_hears_of_no_other(desk: Desk) -> None:
    await add(desk, "a", "ab")
    await add(desk, "a", namespace="other")
    options = ListOptions(fields="metadata.name=a", revision=str(desk.registry.cache.revision))
    feed = desk.registry.watch(ADMIN, kinds.CONFIG_MAP, "default", options)
    for namespace, name in (("other", "a"), ("default", "ab"), ("default", "a")):
        await desk.registry.delete(ADMIN, Ref(kinds.CONFIG_MAP, namespace, name), DeleteOptions())
    await add(desk, "a", "aa")
    assert seen(feed) == [("DELETED", "a"), ("ADDED", "a")]
    assert names(page(desk, "default", fields="metadata.name=a")) == ["a"]
    assert names(page(desk, "default", fields="metadata.name=none")) == []


async def test_history_that_is_gone_is_said_to_be_gone(desk: Desk) -> None:
    await desk.registry.open()  # a server that starts again has no history
    with pytest.raises(Expired):
        desk.registry.watch(ADMIN, kinds.CONFIG_MAP, "", ListOptions(revision="1"))
