"""ImageLocality: pods rather go where their images are."""

from __future__ import annotations

import numpy as np
import pytest

from longshore.core.objects.kinds import Doc
from longshore.machinery.scheduler.profile import DEFAULT
from longshore.machinery.scheduler.rules import image_locality

from .placing import class_of, node, place, pod, view_of

MB = 1024**2


def with_images(name: str, **sizes_mb: float) -> Doc:
    made = node(name)
    made["status"]["images"] = [
        {"names": [f"{image}:latest", f"{image}@sha256:0"], "sizeBytes": int(size * MB)}
        for image, size in sizes_mb.items()
    ]
    return made


def scores(nodes: list[Doc], *images: str) -> list[float]:
    doc = pod("p")
    doc["spec"]["containers"] = [{"name": image, "image": image} for image in images]
    view = view_of(*nodes)
    found = image_locality.score(view, class_of(doc), view.alive, DEFAULT)
    return [0.0] * len(nodes) if found is None else np.floor(found).tolist()


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        # Upstream's examples (imagelocality/image_locality_test.go): two nodes, of which one has it.
        (("gcr.io/250", "gcr.io/40"), [0, 5]),
        (("gcr.io/4000",), [0, 100]),
        (("gcr.io/10",), [0, 0]),
        (("nobody/has",), [0, 0]),
    ],
)
def test_scores_are_upstreams(images: tuple[str, ...], expected: list[float]) -> None:
    rich = {"gcr.io/250": 250.0, "gcr.io/40": 0.0, "gcr.io/4000": 4000.0, "gcr.io/10": 10.0}
    assert scores([node("a"), with_images("b", **rich)], *images) == expected


def test_an_image_that_many_have_weighs_more() -> None:
    """It is scaled by the share of nodes that have it, so that one node is not heated."""
    nodes = [with_images("a", common=500, rare=500), with_images("b", common=500)]
    common, rare = scores(nodes, "common"), scores(nodes, "rare")
    assert common == [48, 48] and rare == [23, 0]


def test_a_pod_goes_where_its_image_is_and_news_count() -> None:
    view = view_of(node("a"), node("b"), node("c"))
    web = pod("p")
    web["spec"]["containers"][0]["image"] = "web"
    assert view.put_node(with_images("b", web=800)) is None, "no room came of it"
    assert place(view, web) == ["b"]
    view.put_node(node("b"))
    view.put_node(with_images("c", web=800))
    assert place(view, web) == ["c"]
    view.drop_node("c")
    assert view.images.empty
