"""The images that a pod is made of, by the names that nodes give them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.core.objects.kinds import Doc


def read_images(spec: Doc) -> tuple[str, ...]:
    """One for each container, init container and image volume, repeats included."""
    return tuple(_whole(name) for name in image_names(spec))


def image_names(spec: Doc) -> Iterator[str]:
    """As they are written."""
    for field in ("initContainers", "containers"):
        for container in spec.get(field) or ():
            yield container.get("image") or ""
    for volume in spec.get("volumes") or ():
        if "image" in volume:
            yield volume["image"].get("reference") or ""


def _whole(name: str) -> str:
    """With a tag; without one the latest is meant (imagelocality normalizedImageName)."""
    return name if name.rfind(":") > name.rfind("/") else f"{name}:latest"
