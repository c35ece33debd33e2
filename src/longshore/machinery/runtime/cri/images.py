"""The images of a CRI runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import orjson

from longshore.machinery.runtime.cri import calls
from longshore.machinery.runtime.cri import rpc_pb2 as rpc
from longshore.machinery.runtime.cri.calls import Calls, NotThere
from longshore.machinery.runtime.cri.containerd import PAUSE_IMAGE
from longshore.machinery.runtime.protocol import Image, ImagePullFailed, Login, RuntimeFailure


class Images:
    """Images by reference. own: that of sandboxes themselves, which nobody asks for."""

    def __init__(self, ask: Calls) -> None:
        self._ask = ask
        self._configured: dict[str, Image] = {}  # it never changes: asked for once
        self.own = PAUSE_IMAGE

    async def list(self) -> list[Image]:
        """Every image, without what its configuration says."""
        found = await self._ask(calls.LIST_IMAGES, rpc.Empty())
        images = [_image(one) for one in found.images]
        return [one for one in images if self.own not in one.names]

    async def find(self, reference: str) -> Image | None:
        """The image of a reference or an id. One that is no reference at all is simply not here."""
        answer = await self._status(reference, verbose=False)
        if not answer.image.id:
            return None
        image = _image(answer.image)
        if image.id not in self._configured:
            verbose = await self._status(answer.image.id, verbose=True)
            self._configured[image.id] = _with_configuration(image, verbose.info)
        return replace(self._configured[image.id], names=image.names, size=image.size)

    async def _status(self, reference: str, *, verbose: bool) -> rpc.ImageStatusResponse:
        asked = rpc.ImageRequest(image=rpc.ImageSpec(image=reference), verbose=verbose)
        try:
            return await self._ask(calls.IMAGE_STATUS, asked)
        except NotThere:
            return rpc.ImageStatusResponse()

    async def pull(self, reference: str, login: Login | None) -> Image:
        """Raises ImagePullFailed with the registry's own words. However long it takes: who asked may
        give up."""
        asked = rpc.PullImageRequest(image=rpc.ImageSpec(image=reference))
        if login is not None:
            asked.auth.username = login.username
            asked.auth.password = login.password
            asked.auth.identity_token = login.identity_token
        try:
            answer = await self._ask(calls.PULL, asked, timeout_s=None)
        except RuntimeFailure as error:
            raise ImagePullFailed(str(error)) from error
        found = await self.find(answer.image_ref)
        if found is None:
            raise ImagePullFailed(f"{reference}: it was pulled and is not there")
        return found

    async def remove(self, image_id: str) -> None:
        """Idempotent. Raises RuntimeFailure while a container of any node is made of it, which the runtime
        itself does not mind."""
        wanted = f"sha256:{image_id.removeprefix('sha256:')}"
        made = await self._ask(calls.LIST, rpc.ListContainersRequest())
        if any(wanted in (one.image_ref, one.image.image) for one in made.containers):
            raise RuntimeFailure(f"image {wanted[7:19]} is used by a container")
        try:
            await self._ask(calls.REMOVE_IMAGE, rpc.ImageRequest(image=rpc.ImageSpec(image=wanted)))
        except NotThere:
            return


def _image(found: rpc.Image) -> Image:
    names = (*found.repo_tags, *found.repo_digests)
    pinned = found.pinned or any(_is_of_sandboxes(name) for name in found.repo_tags)
    identity = found.id.removeprefix("sha256:")
    return Image(id=identity, names=names, size=found.size, pinned=pinned)


def _is_of_sandboxes(name: str) -> bool:
    """containerd before 1.7.3 does not say what it makes sandboxes of: an image that is called pause."""
    return name.rpartition("/")[2].partition(":")[0] == "pause"


def _with_configuration(image: Image, info: Mapping[str, str]) -> Image:
    """info of containerd and CRI-O: JSON with the image's configuration in imageSpec."""
    said = orjson.loads(info.get("info") or "{}")
    config = (said.get("imageSpec") or {}).get("config") or {}
    return replace(
        image,
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        env=tuple(config.get("Env") or ()),
        working_dir=config.get("WorkingDir") or "",
        user=config.get("User") or "",
        stop_signal=config.get("StopSignal") or "SIGTERM",
    )
