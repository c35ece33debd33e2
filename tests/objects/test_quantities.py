"""Quantities in their canonical form (apimachinery/pkg/api/resource)."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.base import quantities


@pytest.mark.parametrize(
    ("given_text", "canonical"),
    [
        ("0", "0"), ("1000m", "1"), ("1500m", "1500m"), ("0.1", "100m"), ("1e3", "1k"),
        ("12000", "12k"), ("1Gi", "1Gi"), ("1536Mi", "1536Mi"), ("2048Mi", "2Gi"), ("512", "512"),
        ("1000Ki", "1000Ki"), ("0.5Gi", "512Mi"), ("1n", "1n"), ("0.0000000001", "1n"),
        ("1000000Gi", "1000000Gi"), ("1E", "1E"), ("1000E", "1000E"), ("0.5Ki", "512"),
    ],
)  # fmt: skip
def test_the_largest_suffix_that_leaves_a_whole_number(given_text: str, canonical: str) -> None:
    value = quantities.parse(given_text)
    assert quantities.text(value, binary=quantities.is_binary(given_text)) == canonical


@given(st.integers(0, 10**22), st.booleans())
def test_what_is_written_reads_the_same(billionths: int, binary: bool) -> None:
    value = Fraction(billionths, 10**9)
    assert quantities.parse(quantities.text(value, binary=binary)) == value
