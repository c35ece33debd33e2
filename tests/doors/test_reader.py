"""The request reader: the same requests however the bytes are cut, and bounds that hold."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.doors.kit.reader import Refused, RequestReader, split_url

HEAD_MAX, BODY_MAX = 2048, 4096

token = st.text("abcdefghijklmnopqrstuvwxyz-0123456789", min_size=1, max_size=12)


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, tuple[str, str, bytes]]:
    """The bytes of a request, and what must be read from them."""
    method = draw(st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]))
    path = "/" + "/".join(draw(st.lists(token, max_size=4)))
    body = draw(st.binary(max_size=200))
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nX-{draw(token)}: {draw(token)}\r\n"
    if draw(st.booleans()):
        cut = draw(st.integers(0, len(body)))
        parts = [part for part in (body[:cut], body[cut:]) if part]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
        raw = head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    else:
        raw = head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body
    return raw, (method, path, body)


@given(st.lists(requests(), min_size=1, max_size=4), st.data())
def test_requests_are_the_same_however_the_bytes_are_cut(
    made: list[tuple[bytes, tuple[str, str, bytes]]], data: st.DataObject
) -> None:
    stream = b"".join(raw for raw, _ in made)
    reader, at = RequestReader(HEAD_MAX, BODY_MAX), 0
    while at < len(stream):
        step = data.draw(st.integers(1, len(stream) - at))
        reader.feed(memoryview(bytearray(stream[at : at + step])))
        at += step
    read = [(i.request.method, i.request.path, i.request.body) for i in reader.ready]
    assert read == [wanted for _, wanted in made]
    assert not reader.partial


@given(st.lists(st.binary(max_size=64), max_size=8), requests(), st.integers(0, 60))
def test_garbage_is_refused_and_nothing_else_happens(
    garbage: list[bytes], made: tuple[bytes, object], at: int
) -> None:
    reader = RequestReader(HEAD_MAX, BODY_MAX)
    raw = made[0]
    with contextlib.suppress(Refused):
        for piece in (raw[:at], *garbage, raw[at:]):
            reader.feed(piece)
    assert all(incoming.request.path.startswith("/") for incoming in reader.ready)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / HTTP/1.1\r\nX: " + b"a" * HEAD_MAX, 431),
        (b"GET /" + b"a" * HEAD_MAX, 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 1000 + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1389\r\n" + b"a" * 5001, 413),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET /\xc3\xa4 HTTP/1.1\r\n\r\n", 400),
    ],
)
def test_what_is_out_of_bounds_is_refused(raw: bytes, status: int) -> None:
    with pytest.raises(Refused) as refused:
        RequestReader(HEAD_MAX, BODY_MAX).feed(raw)
    assert refused.value.status == status


def test_a_trailer_without_end_is_refused() -> None:
    reader = RequestReader(HEAD_MAX, BODY_MAX)
    reader.feed(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ")
    for _ in range(33):
        reader.feed(b"a" * 1024)
    with pytest.raises(Refused):
        reader.feed(b"a" * 4096)


def test_a_large_read_of_many_small_requests_is_no_large_head() -> None:
    reader = RequestReader(HEAD_MAX, BODY_MAX)
    one = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    reader.feed(one * 400 + one[:10])
    reader.feed(one[10:])
    assert len(reader.ready) == 401


def test_headers_that_come_several_times_are_joined_and_kept_apart() -> None:
    reader = RequestReader(HEAD_MAX, BODY_MAX)
    reader.feed(b"GET / HTTP/1.1\r\nX: a, b\r\nY: c\r\nx: d\r\n\r\nGET / HTTP/1.1\r\nX: e\r\n\r\n")
    first, second = (incoming.request for incoming in reader.ready)
    assert first.headers["x"] == "a, b, d"
    assert first.values("x") == ["a, b", "d"]
    assert [list(one.values("y")) for one in (first, second)] == [["c"], []]
    assert list(second.values("x")) == ["e"]


def test_an_upgrade_leaves_the_rest_alone() -> None:
    reader = RequestReader(HEAD_MAX, BODY_MAX)
    reader.feed(b"GET /x HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\nabc")
    reader.feed(b"def")
    assert [i.request.path for i in reader.ready] == ["/x"]
    assert reader.upgraded == b"abcdef"


@pytest.mark.parametrize(
    ("url", "path", "query"),
    [
        (b"/a/b?x=1&x=2&y=", "/a/b", {"x": ["1", "2"], "y": [""]}),
        (b"/a%2Fb%20c", "/a/b c", {}),
        (b"https://host:1/x?l=a%3Db", "/x", {"l": ["a=b"]}),
        (b"*", "/", {}),
    ],
)
def test_targets_are_split(url: bytes, path: str, query: dict[str, list[str]]) -> None:
    assert split_url(url)[1:] == (path, query)
