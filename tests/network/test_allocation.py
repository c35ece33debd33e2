"""No two pods ever share an address, and a freed one rests as long as it can."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.machinery.network.allocation import Addresses
from longshore.machinery.network.errors import AddressesExhausted


@given(st.lists(st.integers(min_value=0, max_value=20), max_size=200))
def test_taken_addresses_are_distinct_whatever_comes_and_goes(moves: list[int]) -> None:
    """Each move takes one; a move above 5 first gives back the one held longest or shortest."""
    addresses, held = Addresses("10.42.1.0/28"), list[str]()
    for move in moves:
        if move > 5 and held:
            addresses.release(held.pop(0 if move % 2 else -1))
        try:
            ip = addresses.take()
        except AddressesExhausted:
            assert len(held) == 13
        else:
            assert ip not in held
            held.append(ip)
        assert len(addresses) == len(held)


@given(st.sets(st.integers(min_value=2, max_value=14)))
def test_what_an_earlier_life_gave_out_is_not_given_again(offsets: set[int]) -> None:
    addresses = Addresses("10.42.1.0/28")
    kept = {f"10.42.1.{offset}" for offset in offsets}
    assert all(addresses.reserve(ip) for ip in kept)
    assert not any(addresses.reserve(ip) for ip in kept)
    fresh = [addresses.take() for _ in range(13 - len(kept))]
    assert len(set(fresh) | kept) == 13


def test_a_freed_address_comes_last() -> None:
    addresses = Addresses("10.42.1.0/29")
    first = addresses.take()
    addresses.release(first)
    assert [addresses.take() for _ in range(5)] == [
        "10.42.1.3", "10.42.1.4", "10.42.1.5", "10.42.1.6", first,
    ]  # fmt: skip


def test_a_full_range_says_so_with_numbers() -> None:
    addresses = Addresses("10.42.1.0/29")
    for _ in range(5):
        addresses.take()
    with pytest.raises(AddressesExhausted, match=r"10\.42\.1\.0/29 is used up: 5 of 5"):
        addresses.take()


def test_foreign_addresses_are_not_reserved() -> None:
    addresses = Addresses("10.42.1.0/24")
    foreign = ("10.42.2.5", "10.42.1.1", "10.42.1.255", "10.42.1.0")
    assert [addresses.reserve(ip) for ip in foreign] == [False] * 4
    with pytest.raises(ValueError, match="no room"):
        Addresses("10.42.1.0/31")
