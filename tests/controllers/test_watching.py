"""Who may adopt what, found without asking everybody."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from longshore.core.objects import selectors
from longshore.core.objects.selectors import Selector
from longshore.machinery.controllers.common.watching import Orphans

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
