"""AlwaysPullImages: nobody runs an image that is there without the right to pull it
(plugin/pkg/admission/alwayspullimages)."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks, containers


def _always(request: Attributes) -> None:
    spec = request.doc["spec"]
    if request.old is not None and _images(spec) <= _images(request.old["spec"]):
        return
    for container in containers(spec):
        container["imagePullPolicy"] = "Always"
    for volume in spec.get("volumes") or ():
        if volume.get("image"):
            volume["image"]["pullPolicy"] = "Always"


def _images(spec: Doc) -> set[str]:
    return {container.get("image", "") for container in containers(spec)}


HOOKS = Hooks(changes=(Hook(_always, (kinds.POD,), ("create", "update"), looks_up=()),))
