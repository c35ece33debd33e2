"""The images of one machine, shared by all nodes of a local cluster.

    root/lock                 held (flock) by whoever changes anything
    root/generation           grows by one byte with every change: a reader's cache is judged by its size
    root/images/ID.json       one image: its names, its configuration, its layers
    root/layers/DIFF/fs       one unpacked layer, ready to be an overlayfs lower directory
    root/layers/DIFF/size     its size in bytes

Everything appears by rename, layers before the image that needs them, so that a process that dies
at any moment leaves a whole store and at most temporary directories, which the next writer removes.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import orjson

from longshore.machinery.runtime.images import archive
from longshore.machinery.runtime.images.logins import authentication, held_in_memory
from longshore.machinery.runtime.images.reference import normalise, repository, split_host
from longshore.machinery.runtime.images.unpack import unpack_layer
from longshore.machinery.runtime.protocol import Image, ImagePullFailed, Login, RuntimeFailure
from longshore.machinery.runtime.words import last_complaint

# Of a layer's digest, what names its directory: short, because all layers of an image share one
# mount option of at most a page; 96 bits, so that nobody can make two layers meet.
_LAYER_NAME_LENGTH = 24
_TEMPORARY = ".new-"

Images = list[Image]


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image and its layers' directory names, uppermost first."""

    image: Image
    layers: tuple[str, ...]


class ImageStore:
    """Images below root, which is made if it is missing. Its blocking calls take a lock between
    processes; lookups take none and cost one stat(2)."""

    def __init__(self, root: Path, *, auth_file: Path | None = None) -> None:
        self._root = root
        self._auth_file = auth_file
        self.layers_dir = root / "layers"
        self._images_dir = root / "images"
        self._generation = root / "generation"
        self._seen = -1
        self._by_id: dict[str, StoredImage] = {}
        self._by_name: dict[str, StoredImage] = {}
        for directory in (root, self.layers_dir, self._images_dir):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._generation.touch(mode=0o600)

    def list(self) -> Images:
        """Every image, by id."""
        self._refresh()
        return [stored.image for _, stored in sorted(self._by_id.items())]

    def get(self, reference: str) -> Image | None:
        """The image of a reference, or of an id (with or without sha256:)."""
        stored = self.find(reference)
        return stored.image if stored else None

    def find(self, reference: str) -> StoredImage | None:
        """As get, with its layers. Something that is no reference at all is simply not here."""
        self._refresh()
        by_id = self._by_id.get(reference.removeprefix("sha256:"))
        if by_id is not None:
            return by_id
        found = self._by_name.get(reference)
        if found is not None:
            return found
        try:
            return self._by_name.get(normalise(reference))
        except ValueError:
            return None

    def load(self, path: Path) -> Images:
        """Every image of a docker-archive or OCI layout tar. Blocks. Raises RuntimeFailure with
        one sentence, and then nothing has changed."""
        try:
            with archive.opened(path) as blobs, self._locked():
                return self._add(archive.manifests(blobs))
        except archive.DAMAGE as error:
            raise RuntimeFailure(
                f"{path.name} is not a whole image archive: {_sentence(error)}"
            ) from error
        except OSError as error:
            raise RuntimeFailure(
                f"{path.name} cannot be loaded: {error.strerror or error}"
            ) from error

    async def pull(self, reference: str, login: Login | None = None) -> Image:
        """Fetch with skopeo and unpack. Raises ImagePullFailed with the registry's own words."""
        try:
            name = normalise(reference)
        except ValueError as error:
            raise ImagePullFailed(str(error)) from error
        temporary = Path(await asyncio.to_thread(mkdtemp, prefix=_TEMPORARY, dir=self._root))
        try:
            await self._fetch(name, temporary, login)
            return await asyncio.to_thread(self._add_fetched, temporary, name)
        finally:
            await asyncio.to_thread(shutil.rmtree, temporary, ignore_errors=True)

    def remove(self, reference: str) -> bool:
        """Take a name away, and the image and its unshared layers with its last name (or by id).
        False if there is no such image. Raises RuntimeFailure while a container uses it. Blocks."""
        with self._locked():
            stored = self.find(reference)
            if stored is None:
                return False
            image = stored.image
            by_id = reference.removeprefix("sha256:") == image.id
            rest = (
                () if by_id else tuple(name for name in image.names if name != normalise(reference))
            )
            if rest and not by_id:
                self._write(StoredImage(replace(image, names=rest), stored.layers))
            else:
                self._forget(stored)
            self._grow()
            return True

    # -- writing: the lock is held --

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fd = os.open(self._root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            for leftover in self.layers_dir.glob(f"{_TEMPORARY}*"):
                shutil.rmtree(leftover, ignore_errors=True)
            yield
        finally:
            os.close(fd)

    def _add(self, manifests: Sequence[archive.Manifest]) -> Images:
        """Unpack all, and only when all are whole let them appear."""
        with ExitStack() as cleanup:
            fresh: dict[str, Path] = {}
            for layer in (layer for manifest in manifests for layer in manifest.layers):
                if layer.diff_id not in fresh and not self._layer(layer.diff_id).exists():
                    fresh[layer.diff_id] = Path(mkdtemp(prefix=_TEMPORARY, dir=self.layers_dir))
                    cleanup.callback(shutil.rmtree, fresh[layer.diff_id], ignore_errors=True)
                    _unpack(layer, fresh[layer.diff_id])
            images = [self._described(manifest, fresh) for manifest in manifests]
            for diff_id, directory in fresh.items():
                directory.rename(self._layer(diff_id))
            for stored in images:
                self._name(stored)
        self._refresh()
        return [self._by_id[stored.image.id].image for stored in images]

    def _add_fetched(self, directory: Path, name: str) -> Image:
        try:
            with self._locked():
                manifest = archive.fetched(archive.Directory(directory), name)
                pinned = f"{repository(name)}@{manifest.digest}"
                return self._add([replace(manifest, names=(name, pinned))])[0]
        except archive.DAMAGE as error:
            raise ImagePullFailed(
                f"{name}: what was fetched is damaged: {_sentence(error)}"
            ) from error

    def _described(self, manifest: archive.Manifest, fresh: dict[str, Path]) -> StoredImage:
        places = {
            layer.diff_id: fresh.get(layer.diff_id, self._layer(layer.diff_id))
            for layer in manifest.layers
        }
        size = sum(int((places[layer.diff_id] / "size").read_bytes()) for layer in manifest.layers)
        config = manifest.config.get("config") or {}
        image = Image(
            id=manifest.id,
            names=manifest.names,
            size=size,
            entrypoint=tuple(config.get("Entrypoint") or ()),
            command=tuple(config.get("Cmd") or ()),
            env=tuple(config.get("Env") or ()),
            working_dir=config.get("WorkingDir") or "",
            user=config.get("User") or "",
            stop_signal=config.get("StopSignal") or "SIGTERM",
        )
        layers = [layer.diff_id[:_LAYER_NAME_LENGTH] for layer in reversed(manifest.layers)]
        # The same layer twice (Docker's empty one) may appear only once in a mount.
        return StoredImage(image, tuple(dict.fromkeys(layers)))

    def _name(self, stored: StoredImage) -> None:
        """Write an image; its names leave the images that had them."""
        self._refresh()
        names = stored.image.names
        known = self._by_id.get(stored.image.id)
        if known is not None:
            names = tuple(dict.fromkeys((*known.image.names, *names)))
        for other in [one for one in self._by_id.values() if one.image.id != stored.image.id]:
            kept = tuple(name for name in other.image.names if name not in names)
            if kept != other.image.names:
                self._write(StoredImage(replace(other.image, names=kept), other.layers))
        self._write(StoredImage(replace(stored.image, names=names), stored.layers))
        self._grow()

    def _write(self, stored: StoredImage) -> None:
        image = {slot: getattr(stored.image, slot) for slot in Image.__slots__}
        temporary = self._images_dir / f"{_TEMPORARY}{stored.image.id}"
        temporary.write_bytes(orjson.dumps({**image, "layers": stored.layers}))
        temporary.rename(self._images_dir / f"{stored.image.id}.json")

    def _forget(self, stored: StoredImage) -> None:
        shared = {
            layer for other in self._by_id.values() if other is not stored for layer in other.layers
        }
        unshared = [self.layers_dir / layer for layer in stored.layers if layer not in shared]
        mounted = Path("/proc/self/mountinfo").read_text()
        if any(f"{layer.name}/fs" in mounted for layer in map(Path, stored.layers)):
            raise RuntimeFailure(f"image {stored.image.id[:12]} is used by a container")
        (self._images_dir / f"{stored.image.id}.json").unlink()
        for layer in unshared:
            doomed = layer.with_name(f"{_TEMPORARY}{layer.name}")
            layer.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)

    def _grow(self) -> None:
        with self._generation.open("ab") as file:
            file.write(b".")

    # -- reading --

    def _refresh(self) -> None:
        """Read again what another process may have changed, if anything was."""
        generation = self._generation.stat().st_size
        if generation == self._seen:
            return
        self._by_id = {}
        for path in self._images_dir.glob("*.json"):
            document = orjson.loads(path.read_bytes())
            layers = tuple(document.pop("layers"))
            stored = StoredImage(
                Image(**{key: _frozen(value) for key, value in document.items()}), layers
            )
            self._by_id[stored.image.id] = stored
        self._by_name = {
            name: stored for stored in self._by_id.values() for name in stored.image.names
        }
        self._seen = generation

    def _layer(self, diff_id: str) -> Path:
        return self.layers_dir / diff_id[:_LAYER_NAME_LENGTH]

    # -- fetching --

    async def _fetch(self, name: str, target: Path, login: Login | None) -> None:
        command = ["skopeo", "copy", "--quiet", "--preserve-digests"]
        command += [f"--override-arch={archive.architecture()}", "--override-os=linux"]
        if _is_loopback(name):
            command += ["--src-tls-verify=false"]
        with ExitStack() as cleanup:
            fds: tuple[int, ...] = ()
            if login is not None:
                fds = (cleanup.enter_context(held_in_memory(authentication(name, login))),)
                command += ["--authfile", f"/dev/fd/{fds[0]}"]
            elif self._auth_file is not None:
                command += ["--authfile", str(self._auth_file)]
            await _run([*command, f"docker://{name}", f"dir:{target}"], name, fds)


async def _run(command: Sequence[str], name: str, fds: Sequence[int]) -> None:
    """skopeo. Raises ImagePullFailed with what it complained of; a cancelled one is killed."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command, pass_fds=fds,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except FileNotFoundError:
        raise ImagePullFailed(f"{name}: pulling needs skopeo, which is not installed") from None
    try:
        _, said = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        raise ImagePullFailed(f"{name}: {last_complaint(said.decode(errors='replace'))}")


def _unpack(layer: archive.Layer, directory: Path) -> None:
    content = directory / "fs"
    content.mkdir(mode=0o755)
    with layer.open() as stored:
        size = unpack_layer(
            archive.uncompressed(stored, f"layer {layer.diff_id[:12]}"), layer.diff_id, content
        )
    (directory / "size").write_text(str(size))


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _sentence(error: BaseException) -> str:
    if isinstance(error, KeyError):
        return f"it lacks {error.args[0]}"
    return str(error) or type(error).__name__


def _is_loopback(name: str) -> bool:
    """Registries on this machine are spoken to without TLS, as Docker does."""
    host = split_host(repository(name))[0].rpartition(":")[0] or split_host(repository(name))[0]
    return host == "localhost" or host.startswith("127.") or host == "[::1]"
