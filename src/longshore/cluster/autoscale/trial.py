"""Placements tried on a picture of the cluster, by the scheduler's own planner (nodegroups/protocol.py,
Trial). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.machinery.controllers.daemonset.nodes import Meant, meant_by, should_run
from longshore.machinery.controllers.daemonset.pods import PodMaker
from longshore.machinery.controllers.nodegroups.protocol import Packing
from longshore.machinery.scheduler import explain
from longshore.machinery.scheduler.picture import LOOKED_AT, Picture, picture, scheduler_of
from longshore.machinery.scheduler.plan import plan
from longshore.machinery.scheduler.pods.podclass import PodClass
from longshore.machinery.scheduler.profile import Profile

__all__ = ["LOOKED_AT", "PictureTrial"]

# No node and no pod can have such a name.
_TRIED = "~new"
_HOSTNAME = "kubernetes.io/hostname"


class Daemons:
    """The pods that DaemonSets would make on a new node."""

    def __init__(self, sets: Iterable[Doc]) -> None:
        self._sets: list[tuple[str, Meant, PodMaker]] = [
            (
                one["metadata"]["uid"],
                meant_by(one["spec"]["template"]["spec"]),
                PodMaker(one, ""),
            )
            for one in sets
        ]

    def on(self, node: Doc) -> Iterator[tuple[str, Doc]]:
        """With the uids that they have here."""
        name = node["metadata"]["name"]
        for uid, meant, maker in self._sets:
            if should_run(meant, node).runs:
                yield f"{uid}/{name}", maker.pod_for(name)

    def all(self) -> list[Doc]:
        """One of each."""
        return [maker.pod_for(_TRIED) for _, _, maker in self._sets]


class PictureTrial:
    """A Trial. profiles are those of the scheduler: pods of other schedulers have no place here."""

    def __init__(
        self,
        objects: Mapping[Kind, Sequence[Doc]],
        daemon_sets: Iterable[Doc],
        pods: Sequence[Doc],
        profiles: Mapping[str, Profile],
    ) -> None:
        self._daemons = Daemons(daemon_sets)
        self.picture: Picture = picture(objects, [*pods, *self._daemons.all()])
        self._nodes = {one["metadata"]["name"]: one for one in objects.get(kinds.NODE, ())}
        self._profiles = profiles
        self._given: dict[str, Doc] = {}
        """The pods that got places here, by uid."""

    def add(self, template: Doc, name: str) -> None:
        node = _named(template, name)
        self._nodes[name] = node
        self.picture.view.put_node(node)
        for uid, pod in self._daemons.on(node):
            self.picture.view.put_pod(uid, name, self._class(pod))

    def place(self, pods: Sequence[Doc]) -> set[str]:
        placed: set[str] = set()
        by_scheduler: dict[str, list[Doc]] = {}
        for pod in pods:
            by_scheduler.setdefault(scheduler_of(pod), []).append(pod)
        for name, those in by_scheduler.items():
            if (profile := self._profiles.get(name)) is not None:
                placed |= self._placed(those, profile)
        return placed

    def _placed(self, pods: Sequence[Doc], profile: Profile) -> set[str]:
        view, known = self.picture.view, {pod["metadata"]["uid"]: pod for pod in pods}
        asked = [(uid, self._class(pod)) for uid, pod in known.items()]
        found = plan(view, asked, 0, profile).placements
        for uid, pod_class in asked:
            if uid in found:
                view.put_pod(uid, found[uid], pod_class)
                self._given[uid] = known[uid]
        return set(found)

    def pack(self, template: Doc, pods: Sequence[Doc], most: int) -> Packing:
        names: list[str] = []
        taken: set[str] = set()
        left = list(pods)
        while left and len(names) < most:
            names.append(f"{_TRIED}/{len(names)}")
            self.add(template, names[-1])
            got = self.place(left)
            if not got:
                self._remove(names.pop())
                break
            taken |= got
            left = [pod for pod in left if pod["metadata"]["uid"] not in got]
        self._take_back(taken)
        for name in names:
            self._remove(name)
        return Packing(len(names), frozenset(taken))

    def objections(self, template: Doc, pod: Doc) -> list[str]:
        profile = self._profiles.get(scheduler_of(pod))
        if profile is None:
            return [f"pod is left to another scheduler, {scheduler_of(pod)}"]
        pod_class, view = self._class(pod), self.picture.view
        if pod_class.refusal:
            return [pod_class.refusal]
        self.add(template, _TRIED)
        row = view.rows[_TRIED]
        found = [
            one.reason
            for _, one in explain.objections(view, pod_class, profile)
            if one.whole or one.rows[row]
        ]
        self._remove(_TRIED)
        return found

    def vacate(self, node: str, pods: Sequence[Doc]) -> bool:
        view, before = self.picture.view, self.picture.view.pods_on(node)
        given = {uid: self._given[uid] for uid in before if uid in self._given}
        there = [pod for pod in pods if pod["metadata"]["uid"] in before]
        moving = {pod["metadata"]["uid"]: pod for pod in there} | given
        for uid in moving:
            view.drop_pod(uid)
        view.drop_node(node)
        found = self.place([*moving.values()])
        if len(found) == len(moving):
            return True
        self._take_back(found)
        view.put_node(self._nodes[node])
        for uid in moving:
            view.put_pod(uid, node, before[uid])
        self._given |= given
        return False

    def _class(self, pod: Doc) -> PodClass:
        return self.picture.class_of(pod)

    def _take_back(self, uids: Iterable[str]) -> None:
        for uid in uids:
            self.picture.view.drop_pod(uid)
            del self._given[uid]

    def _remove(self, name: str) -> None:
        """A node that was only tried."""
        for uid in self.picture.view.pods_on(name):
            self.picture.view.drop_pod(uid)
        self.picture.view.drop_node(name)
        del self._nodes[name]


def _named(template: Doc, name: str) -> Doc:
    metadata = template["metadata"]
    labels = {**(metadata.get("labels") or {}), _HOSTNAME: name}
    return {**template, "metadata": {**metadata, "name": name, "labels": labels}}
