"""ImageLocality: nodes that already have the pod's images.

The sizes of those that are there, each less the fewer nodes have it (or all pods would heat up the
few nodes that do), from 23 MiB, which is nothing, to 1000 MiB for each image, which is all.
"""

from __future__ import annotations

from collections.abc import Iterator

from longshore.core.objects.kinds import Doc

from .cluster import Cluster, Scores, name_of
from .profile import Profile

MIB = 1024 * 1024
LEAST, MOST = 23 * MIB, 1000 * MIB


def score(cluster: Cluster, pod: Doc, among: list[Doc], profile: Profile) -> Scores:
    wanted = list(_wanted(pod))
    most = MOST * len(wanted)
    scores: Scores = {}
    for node in among:
        held = sum(_held(cluster, node, image) for image in wanted)
        scores[name_of(node)] = 100.0 * (min(max(held, LEAST), most) - LEAST) / (most - LEAST)
    return scores


def _held(cluster: Cluster, node: Doc, image: str) -> float:
    sizes = _sizes(node)
    if image not in sizes:
        return 0.0
    holders = sum(image in _sizes(other) for other in cluster.nodes.values())
    return float(sizes[image]) * holders / len(cluster.nodes)


def _sizes(node: Doc) -> dict[str, int]:
    images = node["status"].get("images") or ()
    return {name: image["sizeBytes"] for image in images for name in image["names"]}


def _wanted(pod: Doc) -> Iterator[str]:
    spec = pod["spec"]
    for container in [*spec["containers"], *(spec.get("initContainers") or ())]:
        yield with_tag(container["image"])
    for volume in spec.get("volumes") or ():
        if "image" in volume:
            yield with_tag(volume["image"]["reference"])


def with_tag(image: str) -> str:
    return image if image.rfind(":") > image.rfind("/") else f"{image}:latest"
