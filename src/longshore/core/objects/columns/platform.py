"""Columns of the platform's own settings: flow control, devices, extensions."""

from __future__ import annotations

from typing import Any

from longshore.core.objects import kinds
from longshore.core.objects.columns.form import Calculated, selector_text
from longshore.core.objects.kinds import Doc
from longshore.core.objects.spans import NONE, since

_UNSET = "<unset>"


def _flow_schema(doc: Doc) -> list[Any]:
    method = (doc.get("spec") or {}).get("distinguisherMethod")
    dangling = _condition(doc, "Dangling")
    return [method.get("type", "") if method else NONE, dangling.get("status", "?")]


def _priority_level(doc: Doc) -> list[Any]:
    limited = (doc.get("spec") or {}).get("limited")
    if limited is None:
        return [NONE] * 4
    queuing = (limited.get("limitResponse") or {}).get("queuing") or {}
    queues = [queuing.get(field, NONE) for field in ("queues", "handSize", "queueLengthLimit")]
    return [limited.get("nominalConcurrencyShares", NONE), *queues]


def _resource_claim(doc: Doc) -> list[Any]:
    status, going = doc.get("status") or {}, "deletionTimestamp" in doc["metadata"]
    states = ["deleted"] if going else []
    if status.get("allocation") is not None:
        states += ["allocated", *(["reserved"] if status.get("reservedFor") else [])]
    elif not going:
        states.append("pending")
    return [",".join(states)]


def _device_taint_rule(doc: Doc) -> list[Any]:
    taint = (doc.get("spec") or {}).get("taint") or {}
    added = taint.get("timeAdded")
    words = [taint.get(field, "") for field in ("key", "value", "effect")]
    return [*words, since(added) if added else ""]


def _migration(doc: Doc) -> list[Any]:
    resource = (doc.get("spec") or {}).get("resource") or {}
    group = resource.get("group")
    state = "Unknown"
    for condition in (doc.get("status") or {}).get("conditions") or ():
        known = condition.get("type") in ("Running", "Succeeded", "Failed")
        if known and condition.get("status") == "True":
            state = condition["type"]
    return [resource.get("resource", "") + (f".{group}" if group else ""), state]


def _pod_group(doc: Doc) -> list[Any]:
    spec = doc.get("spec") or {}
    policy = "Gang" if "gang" in (spec.get("schedulingPolicy") or {}) else "Basic"
    scheduled = _condition(doc, "PodGroupInitiallyScheduled").get("status")
    state = {None: "Pending", "True": "Scheduled"}.get(scheduled, "Unschedulable")
    return [policy, (spec.get("workloadRef") or {}).get("workloadName", NONE), state]


def _offer(doc: Doc) -> list[Any]:
    end = (doc.get("status") or {}).get("expireTime")
    return [end or _UNSET]


def _api_service(doc: Doc) -> list[Any]:
    service = (doc.get("spec") or {}).get("service")
    where = f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"
    available = _condition(doc, "Available")
    state, reason = available.get("status", "Unknown"), available.get("reason")
    return [where, f"{state} ({reason})" if reason and state != "True" else state]


def _condition(doc: Doc, kind: str) -> Doc:
    conditions = (doc.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one.get("type") == kind), {})


def _webhooks(doc: Doc) -> list[Any]:
    return [len(doc.get("webhooks") or ())]


def _validating_policy(doc: Doc) -> list[Any]:
    return _policy(doc, "validations")


def _mutating_policy(doc: Doc) -> list[Any]:
    return _policy(doc, "mutations")


def _policy(doc: Doc, items: str) -> list[Any]:
    spec = doc.get("spec") or {}
    kind = spec.get("paramKind")
    shown = f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else _UNSET
    return [len(spec.get(items) or ()), shown]


def _policy_binding(doc: Doc) -> list[Any]:
    param = (doc.get("spec") or {}).get("paramRef") or {}
    if param.get("name"):
        return [f"{param.get('namespace') or '*'}/{param['name']}"]
    return [selector_text(param["selector"]) if param.get("selector") else _UNSET]


CALCULATED: dict[str, Calculated] = {
    kinds.POD_GROUP.schema: _pod_group,
    kinds.OFFER.schema: _offer,
    kinds.FLOW_SCHEMA.schema: _flow_schema,
    kinds.PRIORITY_LEVEL.schema: _priority_level,
    kinds.RESOURCE_CLAIM.schema: _resource_claim,
    kinds.DEVICE_TAINT_RULE.schema: _device_taint_rule,
    kinds.STORAGE_VERSION_MIGRATION.schema: _migration,
    kinds.API_SERVICE.schema: _api_service,
    kinds.MUTATING_WEBHOOK.schema: _webhooks,
    kinds.VALIDATING_WEBHOOK.schema: _webhooks,
    kinds.VALIDATING_POLICY.schema: _validating_policy,
    kinds.MUTATING_POLICY.schema: _mutating_policy,
    kinds.VALIDATING_POLICY_BINDING.schema: _policy_binding,
    kinds.MUTATING_POLICY_BINDING.schema: _policy_binding,
}
