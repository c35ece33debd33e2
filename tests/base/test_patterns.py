"""The patterns that cannot take long mean what Python's own engine takes them to mean."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.base.patterns import BadPattern, Pattern

_ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "[a-c]", "\\d", "\\w", "\\.", "-"])
_COUNTS = st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,2}", "{2,}", "{0}", "{0,}", "*?"])


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    grouped = st.tuples(st.lists(inner, max_size=3), _COUNTS)
    either = st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})")
    return grouped.map(lambda found: f"({''.join(found[0])}){found[1]}") | either


PATTERNS = st.tuples(
    st.sampled_from(["", "^"]),
    st.recursive(st.tuples(_ATOMS, _COUNTS).map("".join), _grown, max_leaves=5),
    st.sampled_from(["", "$"]),
).map("".join)


@settings(max_examples=300)
@given(PATTERNS, st.text("abc.-1", max_size=8))
def test_matching_agrees_with_pythons(pattern: str, text: str) -> None:
    # Python's $ also stands before a last line feed; these texts have none.
    assert Pattern(pattern).found_in(text) == (re.search(pattern, text) is not None)


@pytest.mark.parametrize(
    "text",
    ["(", "a)", "*a", "a**", "[a", "a{2", "a{3,2}", "a{9999}", "\\", "\\8", "(?=a)", "[b-a]",
     "(a{100}){100}", "(" * 200 + ")" * 200],
)  # fmt: skip
def test_what_is_not_a_pattern_is_refused(text: str) -> None:
    with pytest.raises(BadPattern):
        Pattern(text)
