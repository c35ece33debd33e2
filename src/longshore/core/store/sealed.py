"""A store whose values are sealed on their way in and opened on their way out. The store below sees
ciphertext alone, and so do its files and backups; whoever is above sees plain values."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from longshore.core.store.protocol import (
    Change,
    Changes,
    SharedStore,
    Store,
    Take,
    Write,
)
from longshore.core.store.sealing import MARK, Sealing, Unreadable, header_of


class SealedStore:
    """Any store, with a Sealing. What no rule is about costs one look at its key."""

    def __init__(self, store: Store, sealing: Sealing) -> None:
        self._store = store
        self._sealing = sealing
        # Of the keys that a rule is about: what the value in the store begins with.
        self._headers: dict[str, bytes] = {}

    async def open(self, take: Take) -> int:
        """As a store does. Raises Unreadable too: then nothing may be served."""
        return await self._store.open(
            lambda key, kept, revision: take(key, self.unseal(key, kept), revision)
        )

    async def commit(self, writes: Sequence[Write]) -> list[int]:
        sealed = [self._sealed(write) for write in writes]
        revisions = await self._store.commit(sealed)
        for write, plain, revision in zip(sealed, writes, revisions, strict=True):
            if revision and write is not plain:
                self._headers[write.key] = header_of(write.value or b"")
            elif revision and write.value is None:
                self._headers.pop(write.key, None)
        return revisions

    async def close(self) -> None:
        await self._store.close()

    def unseal(self, key: str, kept: bytes) -> bytes:
        """The value that a key has. Raises Unreadable."""
        if not key.startswith(self._sealing.prefixes) and not kept.startswith(MARK):
            return kept
        header = header_of(kept)
        value = self._sealing.reader(key, header).unseal(key, kept)
        self._headers[key] = header
        return value

    def seal(self, key: str, value: bytes) -> bytes:
        """The value as the store below would have it."""
        return self._sealing.ciphers(key)[0].seal(key, value)

    def outdated(self, key: str) -> bool:
        """Whether a write would leave the key's value in another form than it has in the store,
        though the value be the same (upstream's "stale", etcd3/store.go)."""
        return self._sealing.ciphers(key)[0].header != self._headers.get(key, b"")

    def turn_to(self, sealing: Sealing) -> None:
        """Write by other rules from now on. Raises Unreadable, and keeps to those of before, if
        something in the store could not be read by them."""
        for key, header in self._headers.items():
            sealing.reader(key, header)
        for prefix in set(sealing.prefixes) - set(self._sealing.prefixes):
            try:
                sealing.reader(prefix, b"")
            except Unreadable:
                raise Unreadable(
                    f"{prefix} is new among the encrypted ones: its last provider must be "
                    "identity: {} until all of it is written anew"
                ) from None
        self._sealing = sealing

    def _sealed(self, write: Write) -> Write:
        if write.value is None or not write.key.startswith(self._sealing.prefixes):
            return write
        return replace(write, value=self.seal(write.key, write.value))


class SealedSharedStore(SealedStore):
    """A SealedStore that others write to at the same time, with the same keys."""

    def __init__(self, store: SharedStore, sealing: Sealing) -> None:
        super().__init__(store, sealing)
        self._shared = store

    async def read(self, take: Take) -> int:
        """As a store does. Raises Unreadable too."""
        return await self._shared.read(
            lambda key, kept, revision: take(key, self.unseal(key, kept), revision)
        )

    async def changes(self, since: int) -> AsyncIterator[Changes]:
        """As a store does. Raises Unreadable too: then another server has keys that this one lacks."""
        async for told in self._shared.changes(since):
            yield Changes([self._opened(change) for change in told.made], told.revision)

    async def newest(self) -> int:
        return await self._shared.newest()

    async def run(self) -> None:
        await self._shared.run()

    def _opened(self, change: Change) -> Change:
        if change.value is None:
            self._headers.pop(change.key, None)
            return change
        value = self.unseal(change.key, change.value)
        if value is change.value:
            return change
        return Change(change.key, value, change.revision)
