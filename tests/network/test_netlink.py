"""Messages to the kernel, byte by byte where the layout matters."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.machinery.network import netlink, ranges
from longshore.machinery.network.netlink import End, Message, add_route, add_veth
from longshore.machinery.network.pods import node_side, pod_side


@given(st.dictionaries(st.integers(1, 60), st.binary(max_size=20), max_size=6))
def test_attributes_survive_packing(attributes: dict[int, bytes]) -> None:
    packed = b"".join(netlink._attr(kind, payload) for kind, payload in attributes.items())
    assert len(packed) % 4 == 0
    assert netlink._attributes(packed) == attributes


@given(st.lists(st.tuples(st.integers(16, 30), st.binary(max_size=20)), max_size=5))
def test_frames_survive_packing(messages: list[tuple[int, bytes]]) -> None:
    packed = b"".join(
        netlink._framed(Message(kind, 0, body, ""), sequence, 0)
        for sequence, (kind, body) in enumerate(messages)
    )
    assert list(netlink._frames(packed)) == [
        (kind, sequence, body) for sequence, (kind, body) in enumerate(messages)
    ]


def test_a_route_as_the_kernel_reads_it() -> None:
    message = add_route("10.42.2.0/24", gateway="10.90.0.12")
    family, prefix, *_ = struct.unpack_from("=BB", message.body)
    assert (family, prefix) == (2, 24)
    assert netlink._attributes(message.body[12:]) == {1: b"\x0a\x2a\x02\0", 5: b"\x0a\x5a\0\x0c"}
    default = add_route("0.0.0.0/0", index=2, gateway="10.42.1.1", onlink=True)
    assert netlink._attributes(default.body[12:]) == {4: b"\2\0\0\0", 5: b"\x0a\x2a\1\1"}
    assert struct.unpack_from("=I", default.body, 8) == (4,)


def test_a_veth_s_peer_is_born_down() -> None:
    """The kernel answers ENOTCONN to a peer that is to be up before its pair exists."""
    message = add_veth(End("a", 5), End("b", 6, "02:00:00:00:00:01"), 9)
    own = netlink._attributes(message.body[16:])
    info = netlink._attributes(own[18])
    assert info[1] == b"veth\0"
    peer = netlink._attributes(info[2])[1]
    index, flags = struct.unpack_from("=4xiI", peer)
    assert (index, flags) == (6, 0)
    assert netlink._attributes(peer[16:])[28] == b"\x09\0\0\0"


def test_a_pod_never_asks_by_arp() -> None:
    inside = [message.what for message in pod_side("10.42.1.7", "10.42.1.1", 77, 3)]
    outside = [message.what for message in node_side("10.42.1.7", 77, "10.42.1.1")]
    assert inside == [
        "set link 1 up",
        "add veth eth0 to pod1.7",
        "add address 10.42.1.7/32 to link 2",
        "neighbour 10.42.1.1 on link 2",
        "route 0.0.0.0/0 via 10.42.1.1",
    ]
    assert outside == [
        "set link 77 up",
        "neighbour 10.42.1.7 on link 77",
        "route 10.42.1.7/32 via link 77",
    ]


def test_nodes_have_their_places() -> None:
    assert ranges.server_net("s", 1) == ranges.HostNet("s", "10.90.0.2")
    assert ranges.member_net("m", 3) == ranges.HostNet("m", "10.90.0.8")
    assert ranges.node_net("a", 1) == ranges.NodeNet("a", "10.90.0.11", "10.42.1.0/24")
    last = ranges.node_net("z", 255)
    assert (last.lan_ip, last.pod_cidr, last.gateway) == (
        "10.90.1.9",
        "10.42.255.0/24",
        "10.42.255.1",
    )
    for number in (0, 256):
        with pytest.raises(ValueError, match=r"not in 1\.\.255"):
            ranges.node_net("no", number)
