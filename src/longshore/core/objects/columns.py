"""The columns that kubectl get shows of each kind. Pure: ages are relative to a now argument.

Source: pkg/printers/internalversion/printers.go; what an operator reads off them must be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from longshore.base.clock import parse_rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.pod_status import pod_cells
from longshore.core.objects.spans import NONE, UNKNOWN, age, human_span


@dataclass(frozen=True, slots=True)
class Column:
    """One column; priority above 0 is shown with -o wide only."""

    name: str
    type: str = "string"
    priority: int = 0
    format: str = ""

    def definition(self) -> Doc:
        """As metav1.TableColumnDefinition."""
        return {
            "name": self.name, "type": self.type, "format": self.format,
            "description": "", "priority": self.priority,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Printer:
    """A kind's columns, and the cells of one object under them."""

    columns: tuple[Column, ...]
    cells: Callable[[Doc, float], list[Any]]


def printer(kind: Kind) -> Printer:
    """The kind's own, or name and age for a kind that has none."""
    return _PRINTERS.get((kind.group, kind.plural), _PLAIN)


def _columns(text: str) -> tuple[Column, ...]:
    """From "Ready Status Restarts:integer | IP": what follows the bar is for -o wide."""
    shown = [Column("Name", format="name")]
    for priority, half in enumerate(text.split("|")):
        for word in filter(None, half.split(",")):
            name, _, kind = word.strip().partition(":")
            shown.append(Column(name, kind or "string", priority))
    return tuple(shown)


def _named(cells: Callable[[Doc, float], list[Any]]) -> Callable[[Doc, float], list[Any]]:
    return lambda doc, now: [doc["metadata"]["name"], *cells(doc, now)]


# --- workloads ---


def _deployment(doc: Doc, now: float) -> list[Any]:
    spec, status = doc.get("spec") or {}, doc.get("status") or {}
    ready, desired = status.get("readyReplicas", 0), spec.get("replicas", 1)
    return [
        f"{ready}/{desired}", status.get("updatedReplicas", 0), status.get("availableReplicas", 0),
        age(doc, now), *_template(spec),
    ]  # fmt: skip


def _replica_set(doc: Doc, now: float) -> list[Any]:
    spec, status = doc.get("spec") or {}, doc.get("status") or {}
    return [
        spec.get("replicas", 1), status.get("replicas", 0), status.get("readyReplicas", 0),
        age(doc, now), *_template(spec),
    ]  # fmt: skip


def _template(spec: Doc) -> list[str]:
    """Containers, images and selector of a workload."""
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or ()
    names = ",".join(c.get("name", "") for c in containers)
    images = ",".join(c.get("image", "") for c in containers)
    return [names, images, _selector(spec.get("selector"))]


def _selector(selector: Doc | None) -> str:
    selector = selector or {}
    parts = [f"{k}={v}" for k, v in sorted((selector.get("matchLabels") or {}).items())]
    for one in selector.get("matchExpressions") or ():
        key, values = one.get("key", ""), ",".join(sorted(one.get("values") or ()))
        forms = {
            "In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})",
            "Exists": key, "DoesNotExist": f"!{key}",
        }  # fmt: skip
        parts.append(forms.get(one.get("operator", ""), key))
    return ",".join(parts) or NONE


# --- network ---


def _service(doc: Doc, now: float) -> list[Any]:
    spec = doc.get("spec") or {}
    kind = spec.get("type", "ClusterIP")
    selector = ",".join(f"{k}={v}" for k, v in sorted((spec.get("selector") or {}).items()))
    address = NONE if kind == "ExternalName" else spec.get("clusterIP") or NONE
    return [
        kind, address, _external(doc, spec, kind), _ports(spec.get("ports")), age(doc, now),
        selector or NONE,
    ]  # fmt: skip


def _external(doc: Doc, spec: Doc, kind: str) -> str:
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    outside = list(spec.get("externalIPs") or ())
    if kind == "LoadBalancer":
        balancer = (doc.get("status") or {}).get("loadBalancer") or {}
        outside += [i.get("ip") or i.get("hostname", "") for i in balancer.get("ingress") or ()]
        return ",".join(outside) or "<pending>"
    return ",".join(outside) or NONE


def _ports(ports: Iterable[Doc] | None) -> str:
    shown = []
    for port in ports or ():
        number = str(port.get("port", ""))
        if port.get("nodePort"):
            number += f":{port['nodePort']}"
        shown.append(f"{number}/{port.get('protocol', 'TCP')}")
    return ",".join(shown) or NONE


def _endpoints(doc: Doc, now: float) -> list[Any]:
    found = []
    for subset in doc.get("subsets") or ():
        ports = subset.get("ports") or ()
        for address in subset.get("addresses") or ():
            found += [f"{address.get('ip', '')}:{port.get('port', '')}" for port in ports]
            if not ports:
                found.append(address.get("ip", ""))
    return [_some(found, 3), age(doc, now)]


def _endpoint_slice(doc: Doc, now: float) -> list[Any]:
    ports = [str(port.get("port", "*")) for port in doc.get("ports") or ()]
    addresses = [a for e in doc.get("endpoints") or () for a in e.get("addresses") or ()]
    kind = doc.get("addressType", "")
    shown_ports = _some(ports, 3, "<unset>")
    return [kind, shown_ports, _some(addresses, 3, "<unset>"), age(doc, now)]


def _some(found: list[str], most: int, none: str = NONE) -> str:
    if not found:
        return none
    more = f" + {len(found) - most} more..." if len(found) > most else ""
    return ",".join(found[:most]) + more


# --- the rest ---


def _node(doc: Doc, now: float) -> list[Any]:
    status, metadata = doc.get("status") or {}, doc["metadata"]
    info = status.get("nodeInfo") or {}
    addresses = {
        a.get("type"): a.get("address", "") for a in reversed(status.get("addresses") or [])
    }
    return [
        _node_status(doc), _roles(metadata.get("labels") or {}), age(doc, now),
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


def _event(doc: Doc, now: float) -> list[Any]:
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
        _since(last, now), doc.get("type", ""), doc.get("reason", ""), thing,
        about.get("fieldPath", ""), f"{component}, {host}" if host else component, message,
        _since(first, now), count, doc["metadata"]["name"],
    ]  # fmt: skip


def _since(timestamp: str | None, now: float) -> str:
    return human_span(now - parse_rfc3339(timestamp)) if timestamp else UNKNOWN


def _data(doc: Doc) -> int:
    return len(doc.get("data") or ()) + len(doc.get("binaryData") or ())


_EVENT_COLUMNS = (
    Column("Last Seen"), Column("Type"), Column("Reason"), Column("Object"),
    Column("Subobject", priority=1), Column("Source", priority=1), Column("Message"),
    Column("First Seen", priority=1), Column("Count", "integer", 1),
    Column("Name", priority=1, format="name"),
)  # fmt: skip
_WORKLOAD = "|Containers,Images,Selector"
_PLAIN = Printer(_columns("Age"), _named(lambda doc, now: [age(doc, now)]))

_FORMS: dict[Kind, tuple[str, Callable[[Doc, float], list[Any]]]] = {
    kinds.POD: ("Ready,Status,Restarts,Age|IP,Node,Nominated Node,Readiness Gates", pod_cells),
    kinds.DEPLOYMENT: (f"Ready,Up-to-date:integer,Available:integer,Age{_WORKLOAD}", _deployment),
    kinds.REPLICA_SET: (
        f"Desired:integer,Current:integer,Ready:integer,Age{_WORKLOAD}", _replica_set,
    ),
    kinds.SERVICE: ("Type,Cluster-IP,External-IP,Port(s),Age|Selector", _service),
    kinds.ENDPOINTS: ("Endpoints,Age", _endpoints),
    kinds.ENDPOINT_SLICE: ("AddressType,Ports,Endpoints,Age", _endpoint_slice),
    kinds.NODE: (
        "Status,Roles,Age,Version|Internal-IP,External-IP,OS-Image,Kernel-Version,"
        "Container-Runtime",
        _node,
    ),
    kinds.NAMESPACE: (
        "Status,Age",
        lambda doc, now: [(doc.get("status") or {}).get("phase", ""), age(doc, now)],
    ),
    kinds.CONFIG_MAP: ("Data,Age", lambda doc, now: [str(_data(doc)), age(doc, now)]),
    kinds.SECRET: (
        "Type,Data:integer,Age", lambda doc, now: [doc.get("type", ""), _data(doc), age(doc, now)],
    ),
    kinds.SERVICE_ACCOUNT: (
        "Secrets:integer,Age", lambda doc, now: [len(doc.get("secrets") or ()), age(doc, now)],
    ),
    kinds.LEASE: (
        "Holder,Age",
        lambda doc, now: [(doc.get("spec") or {}).get("holderIdentity", ""), age(doc, now)],
    ),
}  # fmt: skip

_PRINTERS: dict[tuple[str, str], Printer] = {
    (kind.group, kind.plural): Printer(_columns(form), _named(cells))
    for kind, (form, cells) in _FORMS.items()
}
_PRINTERS["", "events"] = Printer(_EVENT_COLUMNS, _event)
