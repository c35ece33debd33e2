"""A view of a cluster made of listed objects at one moment, for those who only look. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.offers import accepted_by
from longshore.machinery.scheduler.offers.held import HeldOffers
from longshore.machinery.scheduler.pods.podclass import PodClass, PodClasses
from longshore.machinery.scheduler.profile import DEFAULT
from longshore.machinery.scheduler.view import devices, volumes
from longshore.machinery.scheduler.view.view import ClusterView

LOOKED_AT: tuple[Kind, ...] = (
    kinds.NAMESPACE, kinds.NODE, kinds.SERVICE, kinds.POD, kinds.OFFER, *volumes.HEARD, *devices.HEARD,
)  # fmt: skip
"""What placement depends on."""

_ENDED = ("Succeeded", "Failed")


@dataclass(slots=True)
class Picture:
    """pods are those that hold something of a node, by uid."""

    view: ClusterView = field(default_factory=ClusterView)
    classes: PodClasses = field(default_factory=PodClasses)
    pods: dict[str, Doc] = field(default_factory=dict)

    def class_of(self, pod: Doc) -> PodClass:
        return self.classes.of(pod)


def picture(objects: Mapping[Kind, Iterable[Doc]], also: Iterable[Doc] = ()) -> Picture:
    """objects are all that there are, by their kind of LOOKED_AT; also are further pods that will
    be asked about."""
    made = Picture()
    for namespace in objects.get(kinds.NAMESPACE, ()):
        metadata = namespace["metadata"]
        made.view.put_namespace(metadata["name"], metadata.get("labels") or {})
    for node in objects.get(kinds.NODE, ()):
        made.view.put_node(node)
    for service in objects.get(kinds.SERVICE, ()):
        made.view.services.put(service)
    for kind in volumes.HEARD:
        for doc in objects.get(kind, ()):
            made.view.volumes.hear(kind, doc, gone=False)
    for kind in devices.HEARD:
        for doc in objects.get(kind, ()):
            made.view.devices.hear(kind, doc, gone=False)
    bound = [pod for pod in objects.get(kinds.POD, ()) if _holds(pod)]
    _put(made, bound, [*bound, *also])
    _hold(made, objects.get(kinds.OFFER, ()))
    return made


def _put(made: Picture, bound: Iterable[Doc], all_of_them: Iterable[Doc]) -> None:
    """Classes keep the labels that selectors ask for: all selectors are read before."""
    for pod in all_of_them:
        made.classes.of(pod)
    if made.classes.stale:
        made.classes = made.classes.renewed()
    for pod in bound:
        uid = pod["metadata"]["uid"]
        made.pods[uid] = pod
        made.view.put_pod(uid, pod["spec"]["nodeName"], made.classes.of(pod))


def _hold(made: Picture, offers: Iterable[Doc]) -> None:
    """What is offered to other schedulers, and what has been taken of it, nobody else gets."""
    held = HeldOffers()
    standing = {one.uid: one for one in map(held.put, offers) if one is not None}
    for uid, pod in made.pods.items():
        left = held.took(uid, pod) if accepted_by(pod) else None
        if left is not None:
            standing[left.uid] = left
    for one in standing.values():
        made.view.put_pod(one.uid, one.node, one.pod_class)


def scheduler_of(pod: Doc) -> str:
    """The name of the profile, or of the other scheduler, that the pod is left to."""
    return str(pod["spec"].get("schedulerName") or DEFAULT.name)


def _holds(pod: Doc) -> bool:
    return bool(pod["spec"].get("nodeName")) and _phase(pod) not in _ENDED


def _phase(pod: Doc) -> str:
    return str((pod.get("status") or {}).get("phase", ""))
