"""Sealed values: nothing of them is on disk, and nothing but their own key in their own place opens
them."""

from __future__ import annotations

from pathlib import Path

import pytest

from longshore.core.store.memory import MemoryStore
from longshore.core.store.protocol import Store, Write
from longshore.core.store.sealed import SealedStore
from longshore.core.store.sealing import AesGcm, Identity, Sealing, Unreadable
from longshore.core.store.sqlite import SqliteStore

SECRET, OTHER, CONFIG = "/core/secrets/n/a", "/core/secrets/n/b", "/core/configmaps/n/a"
CANARY = b'{"data":"canary-4711"}'
OLD, NEW = AesGcm("old", b"o" * 32), AesGcm("new", b"n" * 16)


def sealing(*ciphers: AesGcm | Identity) -> Sealing:
    return Sealing({"/core/secrets/": ciphers})


async def contents(store: Store) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    await store.open(lambda key, value, _: found.update({key: value}))
    return found


async def filled(below: Store, key: str = SECRET, *, by: Sealing) -> bytes:
    """Put the canary at a key; what the store below has of it."""
    await SealedStore(below, by).commit([Write(key, CANARY, 0)])
    return (await contents(below))[key]


async def test_what_is_sealed_comes_back_and_the_rest_is_as_it_was() -> None:
    below = MemoryStore()
    store = SealedStore(below, sealing(OLD))
    assert await store.commit([Write(SECRET, CANARY, 0), Write(CONFIG, b"{}", 0)]) == [1, 2]
    kept = await contents(below)
    assert kept[SECRET].startswith(b"k8s:enc:aesgcm:v1:old:") and kept[CONFIG] == b"{}"
    assert await contents(SealedStore(below, sealing(OLD))) == {SECRET: CANARY, CONFIG: b"{}"}
    assert await store.commit([Write(SECRET, None, 1)]) == [3]
    assert await contents(store) == {CONFIG: b"{}"}


async def test_no_file_of_the_store_has_the_plain_text(tmp_path: Path) -> None:
    store = SealedStore(SqliteStore(tmp_path / "s.db"), sealing(OLD))
    await store.open(lambda *_: None)
    await store.commit([Write(SECRET, CANARY, 0), Write(CONFIG, b'{"seen":1}', 0)])
    while_open = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    await store.close()
    found = [*while_open.values(), *(file.read_bytes() for file in tmp_path.iterdir())]
    assert "s.db-wal" in while_open
    assert any(b'{"seen":1}' in data for data in found)  # the search would find it
    assert not any(b"canary" in data for data in found)


async def test_the_same_value_is_never_the_same_ciphertext() -> None:
    kept = {await filled(MemoryStore(), by=sealing(OLD)) for _ in range(50)}
    assert len(kept) == 50


async def test_a_new_key_writes_and_the_old_one_still_reads() -> None:
    below = MemoryStore()
    await filled(below, by=sealing(OLD))
    store = SealedStore(below, sealing(NEW, OLD))
    assert (await contents(store))[SECRET] == CANARY
    assert store.outdated(SECRET) and not store.outdated(CONFIG)
    await store.commit([Write(SECRET, CANARY, 1)])
    assert not store.outdated(SECRET)
    assert (await contents(SealedStore(below, sealing(NEW))))[SECRET] == CANARY


async def test_plain_values_are_read_as_long_as_identity_stands_there() -> None:
    below = MemoryStore()
    await below.commit([Write(SECRET, CANARY, 0)])
    store = SealedStore(below, sealing(NEW, Identity()))
    assert (await contents(store))[SECRET] == CANARY and store.outdated(SECRET)
    with pytest.raises(Unreadable, match=f"{SECRET} cannot be read: it is not encrypted.*identity"):
        await contents(SealedStore(below, sealing(NEW)))


async def test_identity_in_front_decrypts() -> None:
    below = MemoryStore()
    await filled(below, by=sealing(OLD))
    store = SealedStore(below, sealing(Identity(), OLD))
    await contents(store)
    assert store.outdated(SECRET)
    await store.commit([Write(SECRET, CANARY, 1)])
    assert (await contents(below))[SECRET] == CANARY and not store.outdated(SECRET)


@pytest.mark.parametrize("rules", [sealing(NEW, Identity()), Sealing({})])
async def test_a_missing_key_is_refused_and_named(rules: Sealing) -> None:
    below = MemoryStore()
    await filled(below, by=sealing(OLD))
    with pytest.raises(Unreadable, match=f"{SECRET} .* by aesgcm with the key 'old', which no"):
        await contents(SealedStore(below, rules))


async def test_another_secret_under_the_same_name_is_refused() -> None:
    below = MemoryStore()
    await filled(below, by=sealing(OLD))
    with pytest.raises(Unreadable, match="another secret"):
        await contents(SealedStore(below, sealing(AesGcm("old", b"x" * 32))))


async def test_every_single_changed_byte_is_noticed() -> None:
    kept = await filled(MemoryStore(), by=sealing(OLD))
    for at in range(len(kept)):
        changed = kept[:at] + bytes([kept[at] ^ 1]) + kept[at + 1 :]
        below = MemoryStore()
        await below.commit([Write(SECRET, changed, 0)])
        with pytest.raises(Unreadable):
            await contents(SealedStore(below, sealing(OLD)))


@pytest.mark.parametrize("length", [0, 5, 12, 20])
async def test_a_ciphertext_cut_short_is_refused(length: int) -> None:
    kept, below = await filled(MemoryStore(), by=sealing(OLD)), MemoryStore()
    await below.commit([Write(SECRET, kept[: len(OLD.header) + length], 0)])
    with pytest.raises(Unreadable):
        await contents(SealedStore(below, sealing(OLD)))


async def test_a_ciphertext_moved_to_another_name_cannot_be_read() -> None:
    kept, below = await filled(MemoryStore(), by=sealing(OLD)), MemoryStore()
    await below.commit([Write(OTHER, kept, 0)])
    with pytest.raises(Unreadable, match=f"{OTHER} cannot be read: .*comes from another place"):
        await contents(SealedStore(below, sealing(OLD)))


async def test_rules_that_could_not_read_what_is_there_are_not_taken() -> None:
    below = MemoryStore()
    store = SealedStore(below, sealing(OLD))
    await store.commit([Write(SECRET, CANARY, 0)])
    for wrong in (sealing(NEW), Sealing({}), Sealing({"/core/configmaps/": (NEW,)})):
        with pytest.raises(Unreadable):
            store.turn_to(wrong)
    with pytest.raises(Unreadable, match="its last provider must be identity"):
        store.turn_to(Sealing({"/core/secrets/": (OLD,), "/core/configmaps/": (NEW,)}))
    await store.commit([Write(OTHER, CANARY, 0)])
    assert (await contents(below))[OTHER].startswith(OLD.header)


async def test_keys_are_rotated_while_the_store_is_open() -> None:
    below = MemoryStore()
    store = SealedStore(below, sealing(OLD))
    await store.commit([Write(SECRET, CANARY, 0)])
    for step in (sealing(OLD, NEW), sealing(NEW, OLD)):
        store.turn_to(step)
    assert store.outdated(SECRET)
    await store.commit([Write(SECRET, CANARY, 1)])
    store.turn_to(sealing(NEW))
    assert await contents(store) == {SECRET: CANARY}


async def test_a_write_that_was_too_late_leaves_the_key_outdated() -> None:
    store = SealedStore(MemoryStore(), sealing(OLD))
    await store.commit([Write(SECRET, CANARY, 0)])
    store.turn_to(sealing(NEW, OLD))
    assert await store.commit([Write(SECRET, CANARY, 7)]) == [0]
    assert store.outdated(SECRET)
