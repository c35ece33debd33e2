"""Who may use the images on a machine that were pulled with a secret (KEP-2535).

What was pulled without a login, or was there before, is everybody's (upstream's default policy,
NeverVerifyPreloadedImages), and needs no record. The file is shared by all nodes that share a
store of images:

    {"images": {ID: {REPOSITORY: {"everybody": false, "secrets": [[UID, NAMESPACE, NAME, HASH]]}}},
     "pulling": [REFERENCE]}
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from longshore.base.files import write_private
from longshore.machinery.kubelet.images.keyring import Credential
from longshore.machinery.runtime.images.reference import normalise, repository

# Of one image and repository no more secrets than these are remembered; those that are not are
# checked by the registry again.
_SECRETS_MAX = 100

Document: TypeAlias = dict[str, Any]
_EMPTY: Document = {"images": {}, "pulling": []}


def is_guarded(records: Document, image_id: str, names: Collection[str], reference: str) -> bool:
    """Whether an image on this machine may only be used by those who show a login: it was pulled with
    one, or a pull with one was under way when the agent was killed. By a name of its own that was there
    before, from a repository of which nothing was pulled with a login, it stays everybody's."""
    pulled = records["images"].get(image_id)
    begun = {repository(normalise(one)) for one in records["pulling"]}
    if pulled is None and begun.isdisjoint(
        {repository(one) for one in (*names, normalise(reference))}
    ):
        return False
    name = normalise(reference)
    return name not in names or repository(name) in {*begun, *(pulled or ())}


def may_use(
    records: Document, image_id: str, repository: str, credentials: Sequence[Credential]
) -> bool:
    """Whether a pod that has these logins may use a guarded image without asking the registry: somebody
    pulled it with the same Secret or the same login (image_pull_manager.go: MustAttemptImagePull)."""
    known = records["images"].get(image_id, {}).get(repository)
    if known is None:
        return False
    if known["everybody"]:
        return True
    hashes = {entry[3] for entry in known["secrets"]}
    secrets = {tuple(entry[:3]) for entry in known["secrets"]}
    return any(one.hash in hashes or one.secret in secrets for one in credentials)


def with_pull(
    records: Document, image_id: str, repository: str, credential: Credential | None
) -> Document:
    """The records after a pull. One without a login is written down only where others needed one."""
    images = records["images"]
    if credential is None and image_id not in images:
        return records
    known = images.get(image_id, {}).get(repository, {"everybody": False, "secrets": []})
    if credential is None:
        known = {"everybody": True, "secrets": []}
    elif (entry := [*credential.secret, credential.hash]) not in known["secrets"]:
        others = [one for one in known["secrets"] if one[:3] != entry[:3]]
        known = {**known, "secrets": [*others, entry][-_SECRETS_MAX:]}
    image = {**images.get(image_id, {}), repository: known}
    return {**records, "images": {**images, image_id: image}}


class PullRecords:
    """The file. Reading costs one stat(2) while nobody writes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Read by the loop and by threads that write: one assignment, so that both parts are of one file.
        self._known: tuple[tuple[int, int], Document] = ((0, 0), _EMPTY)

    def read(self) -> Document:
        """What the file says now. Raises OSError, or ValueError if it is damaged."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return _EMPTY
        version = (found.st_mtime_ns, found.st_ino)
        seen, records = self._known
        if version != seen:
            records = orjson.loads(self._path.read_bytes())
            self._known = version, records
        return records

    def pulling(self, reference: str) -> None:
        """Somebody is about to pull with a login. Blocks. Raises OSError."""
        self._change(lambda old: {**old, "pulling": [*old["pulling"], reference]})

    def pulled(
        self,
        reference: str,
        image_id: str,
        repository: str,
        credential: Credential | None,
        gone: Collection[str] = (),
    ) -> None:
        """A pull went well. gone are images that had records and are no more. Blocks. Raises OSError."""

        def change(old: Document) -> Document:
            new = with_pull(old, image_id, repository, credential)
            kept = {one: said for one, said in new["images"].items() if one not in gone}
            return {**new, "images": kept, "pulling": _without(old["pulling"], reference)}

        self._change(change)

    def failed(self, reference: str) -> None:
        """A pull with a login came to nothing. Blocks. Raises OSError."""
        self._change(lambda old: {**old, "pulling": _without(old["pulling"], reference)})

    def _change(self, change: Callable[[Document], Document]) -> None:
        with self._locked():
            old = self.read()
            new = change(old)
            if new != old:
                write_private(self._path, orjson.dumps(new))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = self._path.with_suffix(".lock")
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def _without(pulling: list[str], reference: str) -> list[str]:
    """Without one of that name: two may be under way, with other logins."""
    left = list(pulling)
    if reference in left:
        left.remove(reference)
    return left
