"""Images of a local cluster: unpacked once, shared by all its nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from longshore.cluster.config import ClusterError, ClusterPaths, check_name, default_root
from longshore.cluster.host import containerd, cri
from longshore.machinery.runtime.images.store import ImageStore
from longshore.machinery.runtime.protocol import Image, RuntimeFailure


def load(file: Path, name: str, root: Path | None, directory: Path | None = None) -> list[str]:
    """Unpack the images of a tar, for all nodes of a local cluster or for a machine that joined one, whose
    directory that is; a line for each. Raises ClusterError, and then nothing changed."""
    try:
        images = _images(name, root, directory).load(file)
    except RuntimeFailure as error:
        raise ClusterError(str(error)) from error
    return [f"loaded {', '.join(image.names) or image.id}" for image in images]


def listed(name: str, root: Path | None, directory: Path | None = None) -> list[dict[str, Any]]:
    """One dictionary for each name of an image: name, id, size in bytes."""
    return sorted(
        (
            {"name": reference, "id": image.id, "size": image.size}
            for image in _images(name, root, directory).list()
            for reference in image.names or ("<none>",)
        ),
        key=lambda one: str(one["name"]),
    )


class Images(Protocol):
    """The images of all nodes of a cluster, or of one machine."""

    def load(self, path: Path) -> list[Image]: ...

    def list(self) -> list[Image]: ...


def _images(name: str, root: Path | None, directory: Path | None) -> Images:
    if directory is not None:
        machine = ClusterPaths.of_machine(directory)
        if (used := cri.settled(machine)) is not None:
            raise ClusterError(
                f"the images of this machine are with the runtime at {used.endpoint}: of containerd, "
                "ctr --namespace k8s.io images import loads some"
            )
        return ImageStore(machine.images)
    paths = ClusterPaths((root or default_root()).absolute(), check_name(name))
    config = paths.load()
    if config.hollow:
        raise ClusterError(f"cluster {name!r} is hollow: its nodes have every image and run none")
    if config.runtime == "cri":
        return containerd.SharedImages(paths)
    return ImageStore(paths.images)
