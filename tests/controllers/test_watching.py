"""Who may adopt what, found without asking everybody."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.core.objects import kinds, selectors
from longshore.core.objects.selectors import Selector
from longshore.machinery.controllers.common.pods import standing
from longshore.machinery.controllers.common.watching import Orphans, is_news

from .world import running

labels = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy"), max_size=3)
news = st.lists(st.tuples(st.sampled_from(["one", "two", "three"]), labels, st.booleans()))
asked = st.fixed_dictionaries({"matchLabels": labels})


def compiled(doc: dict[str, Any]) -> Selector:
    found = selectors.from_doc(doc)
    assert found is not None
    return found


@given(news, asked)
def test_all_orphans_that_a_selector_means_are_found(
    changes: list[tuple[str, dict[str, str], bool]], selector: dict[str, Any]
) -> None:
    orphans = Orphans()
    there: dict[str, dict[str, str]] = {}
    for name, marks, orphan in changes:
        metadata = {"namespace": "default", "name": name, "labels": marks}
        orphans.note({"metadata": metadata}, orphan=orphan)
        there.pop(name, None)
        if orphan:
            there[name] = marks
    wanted = compiled(selector)
    found = set(orphans.of("default", wanted))
    assert found <= there.keys()
    assert {name for name, marks in there.items() if wanted.matches(marks)} <= found
    assert not set(orphans.of("other", wanted))


def test_a_crowd_with_other_labels_is_not_looked_at() -> None:
    orphans = Orphans()
    for number in range(1_000):
        metadata = {"namespace": "default", "name": f"p{number}", "labels": {"app": "bare"}}
        orphans.note({"metadata": metadata}, orphan=True)
    assert orphans.of("default", compiled({"matchLabels": {"app": "web"}})) == ()


READY = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("change", "subresource", "news"),
    [
        ({"metadata": {"annotations": {"noted": "yes"}}}, "", False),
        ({"status": {"message": "no concern of theirs"}}, "status", False),
        ({"metadata": {"labels": {"app": "other"}}}, "", True),
        ({"status": {"phase": "Running"}}, "status", True),
        ({"status": {"conditions": [READY]}}, "status", True),
    ],
)
async def test_owners_look_again_at_what_they_count_by(
    change: dict[str, Any], subresource: str, news: bool
) -> None:
    async with running() as world:
        spec = {"containers": [{"name": "c", "image": "one"}]}
        await world.create(kinds.POD, {"metadata": {"name": "p"}, "spec": spec})
        await world.quiet()
        feed = world.cache.subscribe(kinds.POD)
        assert [is_news(event, standing) for event in await feed.next_batch()] == [True]
        await world.patch(kinds.POD, "p", change, subresource)
        assert [is_news(event, standing) for event in await feed.next_batch()] == [news]
        feed.close()
