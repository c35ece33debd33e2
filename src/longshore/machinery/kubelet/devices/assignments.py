"""Which devices pods have, kept in a file: an agent that starts again cannot ask anyone else.

Upstream has the same in device-plugins/kubelet_internal_checkpoint (KEP-606).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from longshore.machinery.kubelet.devices.keeping import Kept
from longshore.machinery.kubelet.devices.model import Grant
from longshore.machinery.kubelet.devices.plan import ids_of
from longshore.machinery.runtime.protocol import Device, Mount, Propagation

_log = logging.getLogger("longshore.kubelet.devices")


class Assignments:
    """Grants by pod's uid and container, and the resources that plugins have offered."""

    def __init__(self, path: Path) -> None:
        self._file = Kept(path, self._content)
        self._pods: dict[str, dict[str, list[Grant]]] = {}
        self.resources: set[str] = set()

    def load(self) -> None:
        """Read the file, if there is one. What cannot be read counts as never written: pods that run
        keep their devices, and the node's log says that nobody knows of it."""
        try:
            self._take(orjson.loads(self._file.read()))
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("%s: %s; which pods have devices is not known", self._file.path, error)

    def _take(self, data: dict[str, Any]) -> None:
        pods = {
            uid: {name: [_grant(one) for one in grants] for name, grants in containers.items()}
            for uid, containers in data["pods"].items()
        }
        self._pods, self.resources = pods, set(data["resources"])

    async def save(self) -> None:
        """It is on disk when this returns. Raises OSError."""
        await self._file.write()

    def _content(self) -> bytes:
        return orjson.dumps({"pods": self._pods, "resources": sorted(self.resources)})

    def of(self, uid: str) -> Mapping[str, Sequence[Grant]]:
        """By container's name; empty for a pod without devices."""
        return self._pods.get(uid, {})

    def used(self, resource: str) -> frozenset[str]:
        every = (grants for pod in self._pods.values() for grants in pod.values())
        return frozenset(one for grants in every for one in ids_of(grants, resource))

    def give(self, uid: str, container: str, grant: Grant) -> None:
        self._pods.setdefault(uid, {}).setdefault(container, []).append(grant)

    def take_back(self, uid: str) -> bool:
        """Whether the pod had any."""
        return self._pods.pop(uid, None) is not None

    def pods(self) -> Collection[str]:
        return self._pods.keys()


def _grant(data: dict[str, Any]) -> Grant:
    return Grant(
        data["resource"],
        tuple(data["ids"]),
        data["env"],
        tuple(map(_mount, data["mounts"])),
        tuple(Device(**one) for one in data["devices"]),
        data["annotations"],
        tuple(data["cdi"]),
    )


def _mount(data: dict[str, Any]) -> Mount:
    propagation, flags = Propagation(data["propagation"]), tuple(data["flags"])
    return Mount(**{**data, "propagation": propagation, "flags": flags})
