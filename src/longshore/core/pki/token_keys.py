"""The keys that sign service account tokens: one signs, those before it stay believed, since their
tokens may live for years."""

from __future__ import annotations

import os
from pathlib import Path

from longshore.base.clock import Clock
from longshore.base.files import write_private
from longshore.core.pki import requests

LIFE_S = 292 * 86_400
"""How long a key signs: as long as a certificate of a year is shown."""
_NAME = "service-accounts"


class TokenKeys:
    """service-accounts.key in a directory, and service-accounts-N.key of those before it. Made at
    first use, mode 0600; a file's time says when its key began to sign."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._newest = directory / f"{_NAME}.key"
        if not self._newest.exists():
            self._make()

    def read(self) -> list[bytes]:
        """All of them in PEM form, the newest first."""
        return [file.read_bytes() for file in (self._newest, *reversed(self._older()))]

    @property
    def ends(self) -> float:
        """When the newest shall sign no more, in seconds since the epoch."""
        return self._newest.stat().st_mtime + LIFE_S

    def rotate(self) -> None:
        """A new key signs from now on."""
        self._newest.rename(self._directory / f"{_NAME}-{len(self._older()) + 1}.key")
        self._make()

    def _older(self) -> list[Path]:
        found = self._directory.glob(f"{_NAME}-*.key")
        return sorted(found, key=lambda file: int(file.stem.rpartition("-")[2]))

    def _make(self) -> None:
        write_private(self._newest, requests.pem_of(requests.new_key()))
        now = self._clock.now()
        os.utime(self._newest, (now, now))
