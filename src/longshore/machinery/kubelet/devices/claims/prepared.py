"""The claims that drivers were asked to prepare, kept in a file: an agent that starts again has to see
that they are given back (upstream: dra_manager_state)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from longshore.machinery.kubelet.devices.claims.plan import Prepared
from longshore.machinery.kubelet.devices.keeping import Kept
from longshore.machinery.kubelet.devices.peers import ClaimName, PreparedDevice

_log = logging.getLogger("longshore.kubelet.devices")


class PreparedClaims:
    """By the claim's uid."""

    def __init__(self, path: Path) -> None:
        self._file = Kept(path, self._content)
        self._claims: dict[str, Prepared] = {}

    def load(self) -> None:
        """Read the file, if there is one. What cannot be read counts as never written: drivers keep what
        they prepared until somebody asks them for it again."""
        try:
            self.put(_prepared(one) for one in orjson.loads(self._file.read()))
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("%s: %s; which claims are prepared is not known", self._file.path, error)

    async def save(self) -> None:
        """It is on disk when this returns. Raises OSError."""
        await self._file.write()

    def _content(self) -> bytes:
        return orjson.dumps(list(self._claims.values()))

    def get(self, uid: str) -> Prepared | None:
        return self._claims.get(uid)

    def put(self, claims: Iterable[Prepared]) -> None:
        self._claims |= {one.name.uid: one for one in claims}

    def drop(self, uid: str) -> None:
        self._claims.pop(uid, None)

    def of_pod(self, uid: str) -> list[Prepared]:
        """Those the pod uses, in one order for everybody."""
        found = (one for one in self._claims.values() if uid in one.pods)
        return sorted(found, key=lambda one: one.name.uid)

    def pods(self) -> frozenset[str]:
        return frozenset(uid for one in self._claims.values() for uid in one.pods)


def _prepared(data: dict[str, Any]) -> Prepared:
    devices = (
        PreparedDevice(
            one["driver"], one["pool"], one["device"], tuple(one["requests"]), tuple(one["cdi"])
        )
        for one in data["devices"]
    )
    return Prepared(
        ClaimName(**data["name"]),
        tuple(data["drivers"]),
        tuple(data["pods"]),
        data["done"],
        tuple(devices),
    )
