"""Are the values of a document sensible, beyond their types? Rules and wording are upstream's.

Documents that come here passed validation.check and, if new, defaults.default. Each kind has rules
for what an object must be, and some have rules for what may change of one that is there.
"""

from __future__ import annotations

from longshore.core.objects.errors import Cause
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.rules import (
    autoscaling,
    certificates,
    claims,
    device_claims,
    device_slices,
    devices,
    disruption,
    endpoints,
    ephemeral,
    events,
    flowcontrol,
    gangs,
    ingress,
    jobs,
    metadata,
    network,
    platform,
    pod_updates,
    pods,
    quotas,
    rbac,
    records,
    resizes,
    services,
    sharing,
    storage,
    usage,
    workloads,
)
from longshore.core.objects.rules.problems import Problems, Rule, StatusRule, UpdateRule

_RULES: dict[str, Rule] = {
    **pods.RULES,
    **workloads.RULES,
    **jobs.RULES,
    **autoscaling.RULES,
    **disruption.RULES,
    **claims.RULES,
    **quotas.RULES,
    **services.RULES,
    **endpoints.RULES,
    **records.RULES,
    **events.RULES,
    **ingress.RULES,
    **network.RULES,
    **rbac.RULES,
    **storage.RULES,
    **platform.RULES,
    **flowcontrol.RULES,
    **gangs.RULES,
    **sharing.RULES,
    **usage.RULES,
    **devices.RULES,
    **device_claims.RULES,
    **device_slices.RULES,
    **certificates.RULES,
}
_UPDATE_RULES: dict[str, UpdateRule] = {
    **pod_updates.UPDATE_RULES,
    **workloads.UPDATE_RULES,
    **jobs.UPDATE_RULES,
    **claims.UPDATE_RULES,
    **quotas.UPDATE_RULES,
    **services.UPDATE_RULES,
    **endpoints.UPDATE_RULES,
    **records.UPDATE_RULES,
    **events.UPDATE_RULES,
    **ingress.UPDATE_RULES,
    **network.UPDATE_RULES,
    **rbac.UPDATE_RULES,
    **storage.UPDATE_RULES,
    **platform.UPDATE_RULES,
    **gangs.UPDATE_RULES,
    **sharing.UPDATE_RULES,
    **device_claims.UPDATE_RULES,
    **device_slices.UPDATE_RULES,
    **certificates.UPDATE_RULES,
}
# What a status must be, where clients other than its controller write it.
_STATUS_RULES: dict[str, Rule] = {
    **workloads.STATUS_RULES,
    **jobs.STATUS_RULES,
    **autoscaling.STATUS_RULES,
    **disruption.STATUS_RULES,
    **quotas.STATUS_RULES,
}
# What may change of a status.
_STATUS_CHANGE_RULES: dict[str, StatusRule] = {
    **certificates.STATUS_RULES,
    **device_claims.STATUS_RULES,
}
# These are not held to rules of a new one once they are there: only what may change is looked at.
_NOT_AGAIN = frozenset(("io.k8s.api.core.v1.Pod", "io.k8s.api.events.v1.Event"))


def validate_create(kind: Kind, doc: Doc, *, sound_spec: bool = False) -> list[Cause]:
    """Every rule that a new object breaks. kind may be a version that is not kept, which may have
    rules of its own; doc is in the form that is. sound_spec: of a pod whose very spec passed before."""
    problems = Problems()
    metadata.metadata(kind.kept_as, doc["metadata"], problems)
    rule = _RULES.get(kind.schema) or _RULES.get(kind.kept_as.schema)
    if rule is not None and not sound_spec:
        rule(doc, problems)
    return problems.causes


def validate_update(kind: Kind, new: Doc, old: Doc, subresource: str = "") -> list[Cause]:
    """Every rule that a change breaks. new is what prepare_update made of it; kind as above."""
    problems, kept = Problems(), kind.kept_as
    metadata.metadata_update(kept, new["metadata"], old["metadata"], problems)
    if subresource in ("status", "approval") or _same_spec(new, old):
        status_rule = _STATUS_RULES.get(kept.schema)
        if status_rule is not None:
            status_rule(new, problems)
        change_rule = _STATUS_CHANGE_RULES.get(kind.schema)
        if change_rule is not None:
            change_rule(new, old, subresource, problems)
        return problems.causes
    if subresource == "ephemeralcontainers":
        ephemeral.ephemeral_update(new, old, problems)
        return problems.causes
    if subresource == "resize":
        resizes.resize_update(new, old, problems)
        return problems.causes
    rule = _RULES.get(kind.schema) or _RULES.get(kept.schema)
    update_rule = _UPDATE_RULES.get(kind.schema) or _UPDATE_RULES.get(kept.schema)
    if rule is not None and kind.schema not in _NOT_AGAIN:
        rule(new, problems)
    if update_rule is not None:
        update_rule(new, old, problems)
    return problems.causes


def _same_spec(new: Doc, old: Doc) -> bool:
    """Whether the spec is the stored one itself, as prepare_update leaves it in a status update."""
    return "spec" in new and new["spec"] is old.get("spec")
