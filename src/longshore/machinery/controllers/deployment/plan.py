"""Decide a Deployment's next step: a set to make, sizes to change, sets to forget, what to say.

Pure. One step at a time, as upstream's syncDeployment: the sets' own changes bring the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common import conditions as cond
from longshore.machinery.controllers.common import pods as pod_state
from longshore.machinery.controllers.common.owners import is_deleting
from longshore.machinery.controllers.deployment import revisions, sizes
from longshore.machinery.controllers.deployment import status as saying


@dataclass(frozen=True, slots=True)
class DeploymentPlan:
    """create is a new ReplicaSet; update are sets as they should be; delete are old sets.
    revision is what the Deployment itself is to be annotated with (None: as it is).
    events: (reason, message) of what is done."""

    status: Doc
    create: Doc | None = None
    update: tuple[Doc, ...] = ()
    delete: tuple[Doc, ...] = ()
    revision: int | None = None
    events: tuple[tuple[str, str], ...] = ()
    wake_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Scene:
    deployment: Doc
    new: Doc | None
    old: tuple[Doc, ...]
    within: sizes.Bounds
    now: float

    @property
    def sets(self) -> list[Doc]:
        return [*self.old, *([self.new] if self.new is not None else [])]

    @property
    def active_old(self) -> list[Doc]:
        return [rs for rs in self.old if sizes.size(rs) > 0]


def plan(
    deployment: Doc, sets: Sequence[Doc], old_pods: Sequence[Doc], now: float
) -> DeploymentPlan:
    """sets are those that the Deployment controls; old_pods the pods of all its sets (only Recreate
    looks at them). now is in seconds since the epoch."""
    new = revisions.current(deployment, sets)
    old = tuple(rs for rs in sets if rs is not new)
    scene = _Scene(deployment, new, old, sizes.bounds(deployment), now)
    if is_deleting(deployment):
        return DeploymentPlan(_counts(scene))
    if deployment["spec"].get("paused") or _is_scaled(scene):
        return _finish(scene, _scale(scene), rollout=False)
    if sizes.strategy(deployment) == "Recreate":
        return _finish(scene, _recreate(scene, old_pods), rollout=True)
    return _finish(scene, _roll(scene), rollout=True)


@dataclass(frozen=True, slots=True)
class _Step:
    """sizes: new sizes by name; create: the current set is to be made with that many pods."""

    sizes: sizes.Sizes
    create: int | None = None


def _is_scaled(scene: _Scene) -> bool:
    """spec.replicas has changed since a set with pods was last sized."""
    want = str(scene.within.want)
    return any(
        revisions.notes(rs).get(revisions.DESIRED, want) != want
        for rs in scene.sets
        if sizes.size(rs) > 0
    )


def _scale(scene: _Scene) -> _Step:
    return _Step(sizes.scale(scene.within, scene.new, scene.old, scene.deployment))


def _roll(scene: _Scene) -> _Step:
    if scene.new is None:
        return _Step({}, sizes.size_of_new(scene.within, scene.old, 0))
    now = sizes.size(scene.new)
    right = sizes.size_of_new(scene.within, scene.sets, now)
    if right != now:
        return _Step({scene.new["metadata"]["name"]: right})
    return _Step(sizes.shrink_old(scene.within, scene.new, scene.active_old))


def _recreate(scene: _Scene, pods: Sequence[Doc]) -> _Step:
    if scene.active_old:
        return _Step({rs["metadata"]["name"]: 0 for rs in scene.active_old})
    if _old_pods_run(scene, pods):
        return _Step({})
    if scene.new is None:
        return _Step({}, scene.within.want)
    return _Step(sizes.changed([scene.new], {scene.new["metadata"]["name"]: scene.within.want}))


def _old_pods_run(scene: _Scene, pods: Sequence[Doc]) -> bool:
    """Two versions must never run at once, so a pod counts until it is gone."""
    uids = {rs["metadata"]["uid"] for rs in scene.old}
    counted = any((rs.get("status") or {}).get("replicas", 0) for rs in scene.old)
    return counted or any(
        not pod_state.is_terminal(pod)
        and any(ref["uid"] in uids for ref in pod["metadata"].get("ownerReferences") or ())
        for pod in pods
    )


def _finish(scene: _Scene, step: _Step, *, rollout: bool) -> DeploymentPlan:
    """Turn a step into documents, and say how things stand."""
    status = saying.with_pause(scene.deployment, _counts(scene), scene.now)
    made = None
    if step.create is not None:
        made = revisions.new_set(scene.deployment, scene.old, step.create, scene.within.most)
        message = f'Created new replica set "{made["metadata"]["name"]}"'
        status = saying.noted(scene.deployment, status, "NewReplicaSetCreated", message, scene.now)
    elif scene.new is not None and cond.find(status["conditions"], saying.PROGRESSING) is None:
        message = f'Found new replica set "{scene.new["metadata"]["name"]}"'
        status = saying.noted(scene.deployment, status, "FoundNewReplicaSet", message, scene.now)
    if rollout:
        status = saying.with_progress(scene.deployment, status, made or scene.new, scene.now)
        status = saying.with_failures(status, scene.new, scene.old)
    done = DeploymentPlan(
        status=status,
        create=made,
        update=_updates(scene, step.sizes),
        events=_events(scene, step, made),
        wake_after_s=saying.wake_after_s(scene.deployment, status, scene.now),
    )
    return replace(
        done, revision=_revision(scene, made, done.update), delete=_outdated(scene, status)
    )


def _counts(scene: _Scene) -> Doc:
    return saying.counts(scene.deployment, scene.within, scene.new, scene.sets, scene.now)


def _updates(scene: _Scene, new_sizes: sizes.Sizes) -> tuple[Doc, ...]:
    """The sets that must be written: with another size, revision, or record of sizes."""
    noted = revisions.sizes(scene.deployment, scene.within.most)
    result = []
    for rs in scene.sets:
        after = rs
        if rs is scene.new:
            after = revisions.kept_current(scene.deployment, rs, scene.old)
        right = new_sizes.get(rs["metadata"]["name"], sizes.size(rs))
        if right or right != sizes.size(rs):
            after = _sized(after, right, noted)
        if after is not rs:
            result.append(after)
    return tuple(result)


def _sized(replica_set: Doc, right: int, noted: dict[str, str]) -> Doc:
    known = revisions.notes(replica_set)
    if sizes.size(replica_set) == right and noted.items() <= known.items():
        return replica_set
    metadata = {**replica_set["metadata"], "annotations": {**known, **noted}}
    return {**replica_set, "metadata": metadata, "spec": {**replica_set["spec"], "replicas": right}}


def _events(scene: _Scene, step: _Step, made: Doc | None) -> tuple[tuple[str, str], ...]:
    told = []
    if made is not None and step.create:
        told.append((made["metadata"]["name"], 0, step.create))
    for rs in scene.sets:
        name = rs["metadata"]["name"]
        if name in step.sizes:
            told.append((name, sizes.size(rs), step.sizes[name]))
    return tuple(
        (
            "ScalingReplicaSet",
            f"Scaled {'up' if after > before else 'down'} replica set {name} "
            f"from {before} to {after}",
        )
        for name, before, after in told
    )


def _revision(scene: _Scene, made: Doc | None, updated: Sequence[Doc]) -> int | None:
    """The Deployment carries the revision of its current set."""
    now = made or scene.new
    for rs in updated:
        if scene.new is not None and rs["metadata"]["name"] == scene.new["metadata"]["name"]:
            now = rs
    if now is None or revisions.revision(now) == revisions.revision(scene.deployment):
        return None
    return revisions.revision(now)


def _outdated(scene: _Scene, status: Doc) -> tuple[Doc, ...]:
    """Old, empty sets beyond the history limit, once the rollout is through (or paused)."""
    spec = scene.deployment["spec"]
    limit = spec.get("revisionHistoryLimit", 10)
    if not (spec.get("paused") or saying.complete(scene.deployment, status)):
        return ()
    kept = sorted((rs for rs in scene.old if not is_deleting(rs)), key=revisions.revision)
    surplus = kept[: max(0, len(kept) - int(limit))]
    return tuple(rs for rs in surplus if _is_empty(rs))


def _is_empty(replica_set: Doc) -> bool:
    status, metadata = replica_set.get("status") or {}, replica_set["metadata"]
    seen = status.get("observedGeneration", 0) >= metadata.get("generation", 0)
    return seen and not status.get("replicas", 0) and sizes.size(replica_set) == 0
