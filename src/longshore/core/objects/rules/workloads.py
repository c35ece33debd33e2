"""Rules for the kinds that keep pods running (pkg/apis/apps/validation, and the replication
controller's part of pkg/apis/core/validation)."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.metadata import shared_metadata
from longshore.core.objects.rules.problems import (
    ROOT,
    SPEC,
    STATUS,
    Path,
    Problems,
    Rule,
    UpdateRule,
)
from longshore.core.objects.rules.templates import (
    MISMATCH,
    TEMPLATE,
    amount,
    at_most_all,
    labels_of,
    lasting_template,
    never_ends,
    number,
    pod_template,
    selector_of_template,
)

_RETENTION = ("Delete", "Retain")
# What may change of a StatefulSet, in the order in which upstream lists it.
_STATEFUL_FREE = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
)  # fmt: skip


# ---- Deployments, ReplicaSets, replication controllers


def deployment(doc: Doc, problems: Problems) -> None:
    spec = doc["spec"]
    _scaled(spec, "Deployment", problems)
    _strategy(spec.get("strategy", {}), (SPEC, "strategy"), problems)
    _not_negative(spec, ("minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"),
                  SPEC, problems)  # fmt: skip
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds", 0)
    if deadline is not None and deadline <= ready:
        at = (SPEC, "progressDeadlineSeconds")
        problems.invalid(at, deadline, "must be greater than minReadySeconds")


def replica_set(doc: Doc, problems: Problems) -> None:
    _scaled(doc["spec"], "ReplicaSet", problems)
    problems.not_negative((SPEC, "minReadySeconds"), doc["spec"].get("minReadySeconds"))


def replication_controller(doc: Doc, problems: Problems) -> None:
    spec = doc["spec"]
    template, selector = spec.get("template", {}), spec.get("selector", {})
    _not_negative(spec, ("replicas", "minReadySeconds"), SPEC, problems)
    found = labels_of(template)
    if not selector:
        problems.required((SPEC, "selector"))
    elif not selector.items() <= found.items():
        problems.invalid(((TEMPLATE, "metadata"), "labels"), found, MISMATCH)
    lasting_template(template, "ReplicationController", TEMPLATE, problems)


def pod_template_object(doc: Doc, problems: Problems) -> None:
    pod_template(doc.get("template", {}), (ROOT, "template"), problems)


def selector_update(new: Doc, old: Doc, problems: Problems) -> None:
    """A selector stays what it is."""
    problems.unchanged((SPEC, "selector"), new["spec"].get("selector"), old["spec"].get("selector"))


def _scaled(spec: Doc, name: str, problems: Problems) -> None:
    problems.not_negative((SPEC, "replicas"), spec.get("replicas"))
    selector_of_template(spec, name, problems)
    lasting_template(spec.get("template", {}), name, TEMPLATE, problems)


def _strategy(strategy: Doc, path: Path, problems: Problems) -> None:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    match kind:
        case "Recreate":
            if rolling is not None:
                why = "may not be specified when strategy `type` is 'Recreate'"
                problems.forbidden((path, "rollingUpdate"), why)
        case "RollingUpdate":
            if rolling is None:
                why = "this should be defaulted and never be nil"
                problems.required((path, "rollingUpdate"), why)
            else:
                _rolling(rolling, (path, "rollingUpdate"), problems)
        case _:
            problems.unsupported((path, "type"), kind, ("Recreate", "RollingUpdate"))


def _rolling(rolling: Doc, path: Path, problems: Problems) -> None:
    if not _are_amounts(rolling, path, problems):
        return
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    if number(unavailable) == 0 and number(surge) == 0:
        why = "may not be 0 when `maxSurge` is 0"
        problems.invalid((path, "maxUnavailable"), unavailable, why)
    at_most_all(unavailable, (path, "maxUnavailable"), problems)


def _are_amounts(rolling: Doc, path: Path, problems: Problems) -> bool:
    fields = ("maxUnavailable", "maxSurge")
    return all([amount(rolling.get(field, 0), (path, field), problems) for field in fields])


def _not_negative(given: Doc, fields: tuple[str, ...], path: Path, problems: Problems) -> None:
    for field in fields:
        problems.not_negative((path, field), given.get(field))


# ---- DaemonSets


def daemon_set(doc: Doc, problems: Problems) -> None:
    spec = doc["spec"]
    selector_of_template(spec, "DaemonSet", problems)
    lasting_template(spec.get("template", {}), "DaemonSet", TEMPLATE, problems)
    _not_negative(spec, ("minReadySeconds", "revisionHistoryLimit"), SPEC, problems)
    strategy, path = spec.get("updateStrategy", {}), (SPEC, "updateStrategy")
    match strategy.get("type", ""):
        case "OnDelete":
            pass
        case "RollingUpdate":
            _daemon_rolling(strategy.get("rollingUpdate"), (path, "rollingUpdate"), problems)
        case other:
            problems.unsupported((path, "type"), other, ("OnDelete", "RollingUpdate"))


def _daemon_rolling(rolling: Doc | None, path: Path, problems: Problems) -> None:
    """A node has its old pod or, before that ends, a new one beside it: not both ways."""
    if rolling is None:
        problems.required(path)
    elif _are_amounts(rolling, path, problems):
        unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
        at_most_all(unavailable, (path, "maxUnavailable"), problems)
        at_most_all(surge, (path, "maxSurge"), problems)
        if number(unavailable) and number(surge):
            why = "may not be set when maxUnavailable is non-zero"
            problems.invalid((path, "maxSurge"), surge, why)
        elif not number(unavailable) and not number(surge):
            problems.required((path, "maxUnavailable"), "cannot be 0 when maxSurge is 0")


# ---- StatefulSets


def stateful_set(doc: Doc, problems: Problems) -> None:
    spec = doc["spec"]
    policy, at = spec.get("podManagementPolicy", ""), (SPEC, "podManagementPolicy")
    if not policy:
        problems.required(at)
    elif policy not in ("OrderedReady", "Parallel"):
        problems.invalid(at, policy, "must be 'OrderedReady' or 'Parallel'")
    _stateful_strategy(spec.get("updateStrategy", {}), (SPEC, "updateStrategy"), problems)
    for field, value in spec.get("persistentVolumeClaimRetentionPolicy", {}).items():
        if value not in _RETENTION:
            path = ((SPEC, "persistentVolumeClaimRetentionPolicy"), field)
            problems.unsupported(path, value, _RETENTION)
    _not_negative(spec, ("replicas", "minReadySeconds", "revisionHistoryLimit"), SPEC, problems)
    _not_negative(spec.get("ordinals", {}), ("start",), (SPEC, "ordinals"), problems)
    selector_of_template(spec, "StatefulSet", problems)
    # Upstream holds the pods' spec to the rules only when the pods are made.
    template = spec.get("template", {})
    shared_metadata(template.get("metadata", {}), TEMPLATE, problems)
    never_ends(template, "StatefulSet", TEMPLATE, problems)


def _stateful_strategy(strategy: Doc, path: Path, problems: Problems) -> None:
    rolling, at = strategy.get("rollingUpdate"), (path, "rollingUpdate")
    match strategy.get("type", ""):
        case "":
            problems.required(path)
        case "OnDelete":
            if rolling is not None:
                problems.invalid(at, rolling, "only allowed for updateStrategy 'RollingUpdate'")
        case "RollingUpdate":
            _stateful_rolling(rolling or {}, at, problems)
        case _:
            problems.invalid(path, strategy, "must be 'RollingUpdate' or 'OnDelete'")


def _stateful_rolling(rolling: Doc, path: Path, problems: Problems) -> None:
    problems.not_negative((path, "partition"), rolling.get("partition"))
    unavailable, at = rolling.get("maxUnavailable"), (path, "maxUnavailable")
    if unavailable is not None and amount(unavailable, at, problems):
        if not number(unavailable):
            problems.invalid(at, unavailable, "cannot be 0")
        at_most_all(unavailable, at, problems)


def stateful_set_update(new: Doc, old: Doc, problems: Problems) -> None:
    after, before = ({k: v for k, v in doc["spec"].items() if k not in _STATEFUL_FREE}
                     for doc in (new, old))  # fmt: skip
    if after != before:
        *most, last = (f"'{field}'" for field in _STATEFUL_FREE)
        problems.forbidden(
            SPEC,
            "updates to statefulset spec for fields other than "
            f"{', '.join(most)} and {last} are forbidden",
        )


# ---- histories


def controller_revision(doc: Doc, problems: Problems) -> None:
    if doc.get("data") is None:
        problems.required((ROOT, "data"), "data is mandatory")
    problems.not_negative((ROOT, "revision"), doc.get("revision"))


def controller_revision_update(new: Doc, old: Doc, problems: Problems) -> None:
    problems.unchanged((ROOT, "data"), new.get("data"), old.get("data"))


# ---- statuses

_PARTS_OF_ALL = (
    "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "currentReplicas",
    "updatedReplicas",
)  # fmt: skip


def replicas_status(doc: Doc, problems: Problems) -> None:
    """No count is negative, and no part is more than all."""
    status = doc.get("status", {})
    counts = ("replicas", *_PARTS_OF_ALL, "observedGeneration", "collisionCount")
    _not_negative(status, counts, STATUS, problems)
    for field in _PARTS_OF_ALL:
        if status.get(field, 0) > status.get("replicas", 0):
            why = "cannot be greater than status.replicas"
            problems.invalid((STATUS, field), status.get(field, 0), why)


def daemon_set_status(doc: Doc, problems: Problems) -> None:
    counts = (
        "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady",
        "observedGeneration", "updatedNumberScheduled", "numberAvailable", "numberUnavailable",
    )  # fmt: skip
    _not_negative(doc.get("status", {}), counts, STATUS, problems)


RULES: dict[str, Rule] = {
    "io.k8s.api.apps.v1.Deployment": deployment,
    "io.k8s.api.apps.v1.ReplicaSet": replica_set,
    "io.k8s.api.apps.v1.DaemonSet": daemon_set,
    "io.k8s.api.apps.v1.StatefulSet": stateful_set,
    "io.k8s.api.apps.v1.ControllerRevision": controller_revision,
    "io.k8s.api.core.v1.ReplicationController": replication_controller,
    "io.k8s.api.core.v1.PodTemplate": pod_template_object,
}
UPDATE_RULES: dict[str, UpdateRule] = {
    "io.k8s.api.apps.v1.Deployment": selector_update,
    "io.k8s.api.apps.v1.ReplicaSet": selector_update,
    "io.k8s.api.apps.v1.DaemonSet": selector_update,
    "io.k8s.api.apps.v1.StatefulSet": stateful_set_update,
    "io.k8s.api.apps.v1.ControllerRevision": controller_revision_update,
}
STATUS_RULES: dict[str, Rule] = {
    "io.k8s.api.apps.v1.Deployment": replicas_status,
    "io.k8s.api.apps.v1.ReplicaSet": replicas_status,
    "io.k8s.api.apps.v1.StatefulSet": replicas_status,
    "io.k8s.api.core.v1.ReplicationController": replicas_status,
    "io.k8s.api.apps.v1.DaemonSet": daemon_set_status,
}
