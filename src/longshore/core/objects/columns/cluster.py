"""Columns of what the cluster itself consists of."""

from __future__ import annotations

from typing import Any

from longshore.core.objects import kinds
from longshore.core.objects.columns.form import Calculated
from longshore.core.objects.kinds import Doc
from longshore.core.objects.spans import NONE, UNKNOWN, since


def _node(doc: Doc) -> list[Any]:
    status, metadata = doc.get("status") or {}, doc["metadata"]
    info = status.get("nodeInfo") or {}
    addresses = {
        a.get("type"): a.get("address", "") for a in reversed(status.get("addresses") or [])
    }
    return [
        _node_status(doc), _roles(metadata.get("labels") or {}),
        info.get("kubeletVersion", ""), addresses.get("InternalIP", NONE),
        addresses.get("ExternalIP", NONE), info.get("osImage") or UNKNOWN,
        info.get("kernelVersion") or UNKNOWN, info.get("containerRuntimeVersion") or UNKNOWN,
    ]  # fmt: skip


def _node_status(doc: Doc) -> str:
    words = []
    for condition in (doc.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Ready":
            words.append("Ready" if condition.get("status") == "True" else "NotReady")
    if (doc.get("spec") or {}).get("unschedulable"):
        words = [*(words or ["Unknown"]), "SchedulingDisabled"]
    return ",".join(words or ["Unknown"])


def _roles(labels: Doc) -> str:
    prefix = "node-role.kubernetes.io/"
    roles = {key[len(prefix) :] for key in labels if key.startswith(prefix)} - {""}
    if labels.get("kubernetes.io/role"):
        roles.add(labels["kubernetes.io/role"])
    return ",".join(sorted(roles)) or NONE


def _event(doc: Doc) -> list[Any]:
    about, series = doc.get("involvedObject") or {}, doc.get("series") or {}
    source = doc.get("source") or {}
    first = doc.get("firstTimestamp") or doc.get("eventTime")
    last = series.get("lastObservedTime") or doc.get("lastTimestamp") or first
    count = series.get("count") or doc.get("count") or 1
    component = source.get("component") or doc.get("reportingComponent", "")
    host = source.get("host") or doc.get("reportingInstance", "")
    thing = f"{about.get('kind', '').lower()}/{about.get('name', '')}"
    message = str(doc.get("message", "")).strip()
    return [
        since(last), doc.get("type", ""), doc.get("reason", ""), thing,
        about.get("fieldPath", ""), f"{component}, {host}" if host else component, message,
        since(first), count, doc["metadata"]["name"],
    ]  # fmt: skip


def _data(doc: Doc) -> int:
    return len(doc.get("data") or ()) + len(doc.get("binaryData") or ())


CALCULATED: dict[str, Calculated] = {
    kinds.NODE.schema: _node,
    kinds.EVENT.schema: _event,
    kinds.CONFIG_MAP.schema: lambda doc: [str(_data(doc))],
    kinds.SECRET.schema: lambda doc: [_data(doc)],
    kinds.SERVICE_ACCOUNT.schema: lambda doc: [len(doc.get("secrets") or ())],
}
