"""Run what a directory of manifests asks for (pkg/kubelet/config/file_linux.go of Kubernetes)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

from longshore.base.clock import Clock, rfc3339
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Client
from longshore.machinery.kubelet.devices.inotify import Directories
from longshore.machinery.kubelet.static.mirroring import Mirrors
from longshore.machinery.kubelet.static.mirrors import Name, name_of
from longshore.machinery.kubelet.static.pods import BadManifest, ending

_log = logging.getLogger("longshore.kubelet.static")
# A file that is being written is let come to its end; many that are copied are looked at together.
_PAUSE_S = 0.1
# Where the machine has no watch left to give, the directory is read this often (fileCheckFrequency).
_LOOK_S = 20.0
_MANIFEST_MAX_BYTES = 1024 * 1024


class StaticPods:
    """The static pods of one node. offer() is given each pod that is to run, and again, marked as
    deleted, when it is to end; clear() has removed what an earlier life ran under these names, but for
    these uids. Without a directory there are none. ready is set once it was read."""

    def __init__(
        self,
        directory: Path | None,
        node: str,
        client: Client,
        clock: Clock,
        offer: Callable[[Doc], None],
        clear: Callable[[Collection[Name], Collection[str]], Awaitable[None]],
    ) -> None:
        self._directory = directory
        self._node = node
        self._clock = clock
        self._offer = offer
        self._clear = clear
        self._wanted: dict[Name, Doc] = {}
        self._running: dict[Name, Doc] = {}
        self._complaints: dict[str, str] = {}
        self.mirrors = Mirrors(client, clock, node, lambda: self._running)
        self.ready = asyncio.Event()

    def uids(self) -> set[str]:
        """Those of the pods that run, or are ending."""
        return {doc["metadata"]["uid"] for doc in self._running.values()}

    def ended(self, uid: str) -> None:
        """Nothing of that pod is left; one that waits for its name may start."""
        for name, doc in list(self._running.items()):
            if doc["metadata"]["uid"] == uid:
                del self._running[name]
        self._settle()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as crew:
            crew.create_task(self.mirrors.run(), name="mirror pods")
            if self._directory is None:
                self.ready.set()
            else:
                crew.create_task(self._follow(self._directory), name="static pods")

    async def _follow(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        watch = _watch(directory)
        try:
            while True:
                self._wanted = await asyncio.to_thread(self._read, directory)
                if not self.ready.is_set():
                    uids = [doc["metadata"]["uid"] for doc in self._wanted.values()]
                    await self._clear(self._wanted, uids)
                self._settle()
                self.ready.set()
                await (watch.changed() if watch else self._clock.sleep(_LOOK_S))
                await self._clock.sleep(_PAUSE_S)
        finally:
            if watch is not None:
                watch.close()

    def _read(self, directory: Path) -> dict[Name, Doc]:
        """All pods that it asks for. A file that is none is told of once, and left out. Blocks."""
        pods: dict[Name, Doc] = {}
        complaints: dict[str, str] = {}
        for path in sorted(directory.iterdir()):
            if path.name.startswith(".") or not path.is_file():
                continue
            try:
                pod = self._pod(path)
                if name_of(pod) in pods:
                    raise BadManifest(f"another file has a pod named {pod['metadata']['name']}")
                pods[name_of(pod)] = pod
            except (BadManifest, OSError) as error:
                complaints[path.name] = str(error)
                if self._complaints.get(path.name) != str(error):
                    _log.warning("node %s: static pod %s: %s", self._node, path, error)
        self._complaints = complaints
        return pods

    def _pod(self, path: Path) -> Doc:
        with path.open("rb") as file:
            content = file.read(_MANIFEST_MAX_BYTES + 1)
        if len(content) > _MANIFEST_MAX_BYTES:
            raise BadManifest(f"larger than {_MANIFEST_MAX_BYTES} bytes")
        # Schemas, defaults and rules are 2 MB of memory, which a node without such files does without.
        from longshore.machinery.kubelet.static.manifests import static_pod

        return static_pod(content, str(path), self._node, rfc3339(self._clock.now()))

    def _settle(self) -> None:
        """A changed pod is another one, which starts when the one before has ended."""
        for name, doc in list(self._running.items()):
            wanted = self._wanted.get(name, {"metadata": {"uid": ""}})
            going = "deletionTimestamp" in doc["metadata"]
            if not going and wanted["metadata"]["uid"] != doc["metadata"]["uid"]:
                self._running[name] = last = ending(doc, rfc3339(self._clock.now()))
                self._offer(last)
        for name, doc in self._wanted.items():
            if name not in self._running:
                self._running[name] = doc
                self._offer(doc)
        self.mirrors.look()


def _watch(directory: Path) -> Directories | None:
    watch = None
    try:
        watch = Directories(contents=True)
        watch.add(directory)
    except OSError as error:
        _log.warning("%s is read every %g s: %s", directory, _LOOK_S, error)
        if watch is not None:
            watch.close()
        return None
    return watch
