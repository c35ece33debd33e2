"""Lists whose runs were packed before: always the whole text, and little of it packed anew."""

from __future__ import annotations

import gzip
import hashlib
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.core.objects import kinds
from longshore.core.watch.stored import Stored
from longshore.doors.kubernetes.packing import Packing
from tests.doors.rig import Kube, config_map, kube

MAPS = "/api/v1/namespaces/default/configmaps"
HEAD, TAIL = b'{"items":[{', b"]}"
MANY = 600


def stored(number: int, revision: int, size: int = 1000) -> Stored:
    name = f"map-{number:04}"
    doc = config_map(name, text=str(revision).ljust(size, "x"))
    doc["metadata"]["namespace"] = "default"
    return Stored.of(kinds.CONFIG_MAP, kinds.CONFIG_MAP.key("default", name), doc, revision)


def text(items: list[Stored]) -> bytes:
    """What a list is without being packed."""
    pieces: list[bytes] = []
    for item in items:
        item.lay(pieces)
        pieces.append(b",{")
    return HEAD + b"".join(pieces[:-1]) + TAIL


def packed(packing: Packing, items: list[Stored]) -> list[bytes]:
    slices = list(packing.slices(HEAD, items, TAIL))
    assert gzip.decompress(b"".join(slices)) == text(items)
    return slices


changes = st.tuples(
    st.sampled_from(("make", "change", "delete")),
    st.integers(0, MANY - 1),
    st.integers(10, 200_000),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(changes, max_size=12), st.booleans())
def test_whatever_changes_the_text_is_whole(many: list[tuple[str, int, int]], later: bool) -> None:
    packing, revisions = Packing(), itertools.count(1)
    items = {number: stored(number, next(revisions)) for number in range(0, MANY, 2)}
    packed(packing, list(items.values()))
    for what, number, size in many:
        if what == "delete":
            items.pop(number, None)
        elif (number in items) == (what == "change"):
            items[number] = stored(number, next(revisions), size)
        if not later:
            packed(packing, [items[number] for number in sorted(items)])
    if items:
        packed(packing, [items[number] for number in sorted(items)])


def test_a_change_packs_no_more_than_its_surroundings() -> None:
    packing = Packing()
    items = [stored(number, number + 1) for number in range(4000)]
    assert len(packed(packing, items)) > 30
    assert len(packed(packing, items)) == 1
    items[2000] = stored(2000, 10_000)
    assert len(packed(packing, items)) <= 4
    del items[1]
    items.insert(40, stored(40, 10_001))
    assert len(packed(packing, items)) <= 8
    assert len(packed(packing, items)) == 1


def test_what_is_kept_is_bounded() -> None:
    packing = Packing(runs_max=8)
    items = [stored(number, number + 1, 140_000) for number in range(20)]
    for _ in range(2):
        assert len(packed(packing, items)) == 21
        assert len(packing) == 8


def test_a_long_list_of_long_packed_runs_comes_in_slices() -> None:
    """Incompressible text: each run is as long as a slice may be."""
    packing = Packing()
    docs = [config_map(f"m-{n:03}", text=_noise(n)) for n in range(40)]
    items = [Stored.of(kinds.CONFIG_MAP, f"k{n:03}", doc, n + 1) for n, doc in enumerate(docs)]
    for _ in range(2):
        assert max(map(len, packed(packing, items))) < 2 * 128 * 1024


def _noise(seed: int) -> str:
    blocks = (hashlib.sha512(b"%d %d" % (seed, n)).hexdigest() for n in range(400))
    return "".join(blocks)


async def test_pages_and_versions_of_the_past_are_packed_too() -> None:
    async with kube() as ask:
        for number in range(60):
            await ask("POST", MAPS, config_map(f"m-{number:02}", text="x" * 10_000))
        before = (await ask("GET", MAPS)).doc["metadata"]["resourceVersion"]
        await _same(ask, MAPS)
        await ask("DELETE", f"{MAPS}/m-07")
        await ask("POST", MAPS, config_map("m-071", text="y" * 10_000))
        await _same(ask, MAPS)
        await _same(ask, f"{MAPS}?resourceVersion={before}&resourceVersionMatch=Exact")
        await _same(ask, f"{MAPS}?limit=40")


async def _same(ask: Kube, target: str) -> None:
    plain, short = await ask("GET", target), await ask("GET", target, accept_encoding="gzip")
    assert short.headers["Content-Encoding"] == "gzip" and "Content-Encoding" not in plain.headers
    assert gzip.decompress(short.body) == plain.body
