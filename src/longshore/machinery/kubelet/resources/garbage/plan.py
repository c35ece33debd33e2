"""Choose images to remove. Pure. Source: pkg/kubelet/images/image_gc_manager.go."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from longshore.machinery.kubelet.resources.use import Reading
from longshore.machinery.runtime.protocol import Image


@dataclass(frozen=True, slots=True)
class Seen:
    """When an image was first here, and when a container last was made of it (the monotonic clock's
    seconds; -inf for never)."""

    first: float
    used: float = float("-inf")


def sighted(
    before: Mapping[str, Seen], images: Iterable[Image], used: Collection[str], now: float
) -> dict[str, Seen]:
    """What is known of the images that are here now, by id."""
    known = {image.id: before.get(image.id, Seen(now)) for image in images}
    return {one: Seen(seen.first, now) if one in used else seen for one, seen in known.items()}


def bytes_to_free(disk: Reading, high_percent: int, low_percent: int) -> int:
    """How much must go; 0 while the disk is not full enough."""
    if not disk.capacity or high_percent >= 100:
        return 0
    full = 100 - disk.available * 100 // disk.capacity
    if full < high_percent:
        return 0
    return max(0, disk.capacity * (100 - low_percent) // 100 - disk.available)


def removable(
    images: Iterable[Image], seen: Mapping[str, Seen], now: float, min_age_s: float
) -> list[Image]:
    """Those that nobody uses, the runtime neither, and that are not just here, what was not used for longest first."""
    idle = [
        image
        for image in images
        if not image.pinned
        and seen[image.id].used < now
        and now - seen[image.id].first >= min_age_s
    ]
    return sorted(idle, key=lambda image: (seen[image.id].used, seen[image.id].first, image.id))
