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


@pytest.mark.parametrize(
    ("written", "served"),
    [
        # What scales, in each family of suffixes (upstream's TestQuantityString, TestQuantityParseEmit).
        ("0.5", "500m"), ("1000m", "1"), ("5000m", "5"), ("1000u", "1m"), ("1080000000n", "1080m"),
        ("1024Mi", "1Gi"), ("307200Ki", "300Mi"), ("1025024Mi", "1001Gi"), ("1000M", "1G"),
        ("0.001T", "1G"), ("1000", "1k"), (".001e12", "1e9"), ("0.001e0", "1e-3"), ("10e2", "1e3"),
        ("1000e-12", "1e-9"), ("1E5", "100e3"), ("0.5Ki", "512"), ("1.5Gi", "1536Mi"),
        # What is too fine for its family or for any.
        (".001Ki", "1024m"), (".000000000001Ki", "2n"), ("1.1Ki", "1126400m"), ("3.001n", "4n"),
        ("-3.001n", "-4n"), ("1.1E-9", "2e-9"), ("-0.5", "-500m"), ("-1024Mi", "-1Gi"),
        # Zero is zero; what is too large for its family is as much as there is.
        ("0", "0"), ("00", "0"), ("0Mi", "0"), ("-0", "0"), ("0e5", "0"), ("9Ei", "9223372036854775807"),
        # What reads as canonical is not written anew.
        ("100m", "100m"), ("1Gi", "1Gi"), ("1e3", "1e3"), ("300Mi", "300Mi"), ("1.500", "1.500"),
        ("1E6", "1E6"), ("12E", "12E"), ("128974848", "128974848"), (" 1 ", "1"),
    ],
)  # fmt: skip
def test_what_is_read_is_served_in_its_canonical_form(written: str, served: str) -> None:
    assert quantities.canonical(written) == served
    assert quantities.canonical(served) == served


_NUMBERS = st.from_regex(r"[+-]?([0-9]{1,20}|[0-9]{0,9}\.[0-9]{1,12})", fullmatch=True)
_SUFFIXES = st.sampled_from(["", *"numkMGTP", "E", "Ki", "Mi", "Gi", "Ti", "e3", "E-2", "e+10"])


@given(_NUMBERS, _SUFFIXES)
def test_the_canonical_form_says_as_much_and_has_itself_for_one(number: str, suffix: str) -> None:
    served = quantities.canonical(number + suffix)
    assert quantities.canonical(served) == served
    exact = quantities.parse(number + suffix)
    if not suffix.endswith("i") or abs(exact) < 2**63:
        assert abs(quantities.parse(served) - exact) < Fraction(1, 10**9)
