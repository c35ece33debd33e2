"""Decide a StatefulSet's next steps: pods and claims to make, pods to end, what its status says.

Pure. The rules are those of upstream's pkg/controller/statefulset/stateful_set_control.go. A pod's
name is its identity, so one is made only where none of that name is left. OrderedReady: one step
a turn, each once all before it are well, upwards when growing, downwards when shrinking and updating.
Parallel: all at once, but updates keep to maxUnavailable. A rollout that is stuck on a broken pod
goes on when somebody deletes that pod (OrderedReady), or by itself (Parallel).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from longshore.core.objects.kinds import Doc
from longshore.machinery.controllers.common import pods as pod_state
from longshore.machinery.controllers.common.owners import is_deleting, owners
from longshore.machinery.controllers.common.shares import scaled
from longshore.machinery.controllers.statefulset import claims, identity
from longshore.machinery.controllers.statefulset import status as saying

# Pods made in one turn; their news begin the next one.
BURST = 500


@dataclass(frozen=True, slots=True)
class Revisions:
    """current: what pods below the partition are made of; update: the newest. collisions: how many
    names of revisions were found taken."""

    current: Doc
    update: Doc
    collisions: int = 0


@dataclass(slots=True)
class StatefulPlan:
    """In the order in which it is to be done. claims are to be made unless they are there;
    owned are claims with the owner references that they should have; label are pods with the
    labels that they should have; create and delete are pods."""

    status: Doc
    owned: list[tuple[Doc, list[Doc]]] = field(default_factory=list)
    claims: list[Doc] = field(default_factory=list)
    label: list[tuple[Doc, dict[str, str]]] = field(default_factory=list)
    create: list[Doc] = field(default_factory=list)
    delete: list[Doc] = field(default_factory=list)
    wake_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Scene:
    """living: the pods of the ordinals that are to be, condemned the others', the highest first."""

    stateful: Doc
    revisions: Revisions
    living: dict[int, Doc]
    condemned: list[tuple[int, Doc]]
    claim: Callable[[str], Doc | None]
    now: float
    burst: int

    @property
    def ordered(self) -> bool:
        return bool(self.stateful["spec"].get("podManagementPolicy") != "Parallel")

    @property
    def ordinals(self) -> range:
        return identity.ordinals(self.stateful)

    def is_available(self, pod: Doc) -> bool:
        return saying.is_available(self.stateful, pod, self.now)

    def is_well(self, pod: Doc | None) -> bool:
        """Available and staying."""
        return pod is not None and self.is_available(pod) and not is_deleting(pod)


def plan(
    stateful: Doc,
    pods: Sequence[Doc],
    revisions: Revisions,
    claim: Callable[[str], Doc | None],
    now: float,
    burst: int = BURST,
) -> StatefulPlan:
    """pods are those that the set controls; claim looks a PersistentVolumeClaim of its namespace up
    by name. now is in seconds since the epoch; burst is how many pods may be made."""
    names = [one["metadata"]["name"] for one in (revisions.current, revisions.update)]
    status = saying.counts(stateful, pods, names[0], names[1], revisions.collisions, now)
    steps = StatefulPlan(status, wake_after_s=_wake_after_s(stateful, pods, now))
    if is_deleting(stateful):
        return steps
    living, condemned = _sorted(stateful, pods)
    scene = _Scene(stateful, revisions, living, condemned, claim, now, burst)
    # What blocks, blocks all that would come after it.
    _ = _fill(scene, steps) and _shrink(scene, steps) and _update(scene, steps)
    return steps


def _wake_after_s(stateful: Doc, pods: Sequence[Doc], now: float) -> float | None:
    waits = [saying.available_in_s(stateful, pod, now) for pod in pods]
    return min((wait for wait in waits if wait), default=None)


def _sorted(stateful: Doc, pods: Sequence[Doc]) -> tuple[dict[int, Doc], list[tuple[int, Doc]]]:
    living: dict[int, Doc] = {}
    condemned: list[tuple[int, Doc]] = []
    wanted = identity.ordinals(stateful)
    for pod in pods:
        ordinal = identity.ordinal_of(stateful, pod["metadata"]["name"])
        if ordinal is None:
            continue
        if ordinal in wanted:
            living[ordinal] = pod
        else:
            condemned.append((ordinal, pod))
    condemned.sort(key=lambda pair: -pair[0])
    return living, condemned


# ---- pods that are to be


def _fill(scene: _Scene, steps: StatefulPlan) -> bool:
    """Make the pods that lack, from the lowest, and replace what has ended; whether to go on."""
    for ordinal in scene.ordinals:
        pod = scene.living.get(ordinal)
        waits = _make(scene, steps, ordinal) if pod is None else _keep(scene, steps, ordinal, pod)
        if waits and scene.ordered:
            return False
    return True


def _make(scene: _Scene, steps: StatefulPlan, ordinal: int) -> bool:
    """True: whoever comes after must wait."""
    found = [scene.claim(name) for name in claims.names(scene.stateful, ordinal)]
    stale = any(one and claims.is_stale(scene.stateful, ordinal, one) for one in found)
    if not stale and len(steps.create) < scene.burst:
        steps.claims += _lacking(scene, ordinal)
        revision = _revision_for(scene, ordinal)
        steps.create.append(identity.pod_from(scene.stateful, revision, ordinal))
    return True


def _revision_for(scene: _Scene, ordinal: int) -> Doc:
    """Below the partition pods stay what they were."""
    lowest = scene.ordinals.start + _partition(scene.stateful)
    return scene.revisions.current if ordinal < lowest else scene.revisions.update


def _keep(scene: _Scene, steps: StatefulPlan, ordinal: int, pod: Doc) -> bool:
    """See to one that is there. True: whoever comes after must wait."""
    if pod_state.is_terminal(pod):
        if not is_deleting(pod):
            steps.delete.append(pod)
        return True
    if pod_state.phase(pod) == "Pending":
        steps.claims += _lacking(scene, ordinal)
    if scene.ordered and not (saying.is_ready(pod) and scene.is_well(pod)):
        return True
    right = identity.labels_of(scene.stateful, ordinal)
    if not right.items() <= (pod["metadata"].get("labels") or {}).items():
        steps.label.append((pod, right))
    _settle_claims(scene, steps, ordinal, pod)
    return False


def _lacking(scene: _Scene, ordinal: int) -> list[Doc]:
    wanted = claims.made(scene.stateful, ordinal)
    return [one for one in wanted if scene.claim(one["metadata"]["name"]) is None]


def _settle_claims(scene: _Scene, steps: StatefulPlan, ordinal: int, pod: Doc) -> None:
    """Give the claims of a pod the owners that the retention policy asks for."""
    for name in claims.names(scene.stateful, ordinal):
        claim = scene.claim(name)
        if claim is not None:
            right = claims.right_owners(scene.stateful, ordinal, pod, claim)
            if right != owners(claim):
                steps.owned.append((claim, right))


# ---- pods that are not to be


def _shrink(scene: _Scene, steps: StatefulPlan) -> bool:
    """End condemned pods, from the highest; whether to go on."""
    for ordinal, pod in scene.condemned:
        _settle_claims(scene, steps, ordinal, pod)
    sick = _first_sick(scene)
    for _, pod in scene.condemned:
        well = saying.is_ready(pod) and scene.is_available(pod)
        if not is_deleting(pod) and (well or pod is sick or not scene.ordered):
            steps.delete.append(pod)
        if scene.ordered:
            return False
    return True


def _first_sick(scene: _Scene) -> Doc | None:
    """The one of the lowest ordinal that is not well: the only sick one that may be ended in order,
    since those above it must not go before those below them are well."""
    for ordinal in scene.ordinals:
        pod = scene.living.get(ordinal)
        if not scene.is_well(pod):
            return pod
    return next((pod for _, pod in reversed(scene.condemned) if not scene.is_well(pod)), None)


# ---- updates


def _update(scene: _Scene, steps: StatefulPlan) -> bool:
    """End pods of another revision, from the highest down to the partition, so that new ones are
    made; as many as may be missing at once."""
    strategy = scene.stateful["spec"].get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return True
    old = _outdated(scene)
    spare = _max_unavailable(scene.stateful) - _unavailable(scene)
    if not scene.ordered:
        # Ending what does not work costs nothing, and waiting for it would be for ever.
        steps.delete += [pod for pod in old if not scene.is_available(pod)]
        old = [pod for pod in old if scene.is_available(pod)]
    steps.delete += old[: max(0, spare)]
    return True


def _outdated(scene: _Scene) -> list[Doc]:
    """The highest first."""
    newest = scene.revisions.update["metadata"]["name"]
    reached = scene.ordinals[_partition(scene.stateful) :]
    found = [scene.living[one] for one in reversed(reached) if one in scene.living]
    return [
        pod
        for pod in found
        if identity.revision_of(pod) != newest
        and not is_deleting(pod)
        and not pod_state.is_terminal(pod)
    ]


def _unavailable(scene: _Scene) -> int:
    return sum(not scene.is_well(scene.living.get(ordinal)) for ordinal in scene.ordinals)


def _rolling(stateful: Doc) -> Doc:
    return (stateful["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}


def _partition(stateful: Doc) -> int:
    return int(_rolling(stateful).get("partition", 0))


def _max_unavailable(stateful: Doc) -> int:
    """At least one, or a small share would never let an update begin."""
    replicas = int(stateful["spec"].get("replicas", 1))
    return max(1, scaled(_rolling(stateful).get("maxUnavailable", 1), replicas, up=False))
