"""Columns of workloads and of what scales and protects them."""

from __future__ import annotations

from typing import Any

from longshore.base.clock import parse_rfc3339
from longshore.core.objects import kinds
from longshore.core.objects.columns.form import Calculated, selector_text
from longshore.core.objects.kinds import Doc
from longshore.core.objects.spans import NONE, UNKNOWN, Since, human_span


def _deployment(doc: Doc) -> list[Any]:
    spec, status = doc.get("spec") or {}, doc.get("status") or {}
    ready, desired = status.get("readyReplicas", 0), spec.get("replicas", 1)
    return [
        f"{ready}/{desired}", status.get("updatedReplicas", 0), status.get("availableReplicas", 0),
        *_template(spec),
    ]  # fmt: skip


def _replica_set(doc: Doc) -> list[Any]:
    spec, status = doc.get("spec") or {}, doc.get("status") or {}
    return [
        spec.get("replicas", 1), status.get("replicas", 0), status.get("readyReplicas", 0),
        *_template(spec),
    ]  # fmt: skip


def _replication_controller(doc: Doc) -> list[Any]:
    *counts, names, images, _ = _replica_set(doc)
    return [*counts, names, images, _labels((doc.get("spec") or {}).get("selector"))]


def _daemon_set(doc: Doc) -> list[Any]:
    spec, status = doc.get("spec") or {}, doc.get("status") or {}
    counts = (
        "desiredNumberScheduled", "currentNumberScheduled", "numberReady",
        "updatedNumberScheduled", "numberAvailable",
    )  # fmt: skip
    pods = (spec.get("template") or {}).get("spec") or {}
    return [
        *(status.get(count, 0) for count in counts), _labels(pods.get("nodeSelector")),
        *_template(spec),
    ]  # fmt: skip


def _stateful_set(doc: Doc) -> list[Any]:
    spec, status = doc.get("spec") or {}, doc.get("status") or {}
    names, images, _ = _template(spec)
    return [f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}", names, images]


def _pod_template(doc: Doc) -> list[Any]:
    names, images, _ = _template(doc)
    metadata = (doc.get("template") or {}).get("metadata") or {}
    return [names, images, _labels(metadata.get("labels"))]


def _controller_revision(doc: Doc) -> list[Any]:
    owners = (one for one in doc["metadata"].get("ownerReferences") or () if one.get("controller"))
    owner = next(owners, None)
    if owner is None:
        return [NONE]
    group, slash, _ = owner.get("apiVersion", "").partition("/")
    kind = owner.get("kind", "").lower() + (f".{group}" if slash else "")
    return [f"{kind}/{owner.get('name', '')}"]


# ---- jobs


def _job(doc: Doc) -> list[Any]:
    spec, status = doc.get("spec") or {}, doc.get("status") or {}
    return [
        _job_status(doc, status), _completions(spec, status), _duration(status),
        *_template(spec),
    ]  # fmt: skip


def _job_status(doc: Doc, status: Doc) -> str:
    true = {c.get("type") for c in status.get("conditions") or () if c.get("status") == "True"}
    for word in ("Complete", "Failed"):
        if word in true:
            return word
    if "deletionTimestamp" in doc["metadata"]:
        return "Terminating"
    for word in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if word in true:
            return word
    return "Running"


def _completions(spec: Doc, status: Doc) -> str:
    done, wanted = status.get("succeeded", 0), spec.get("completions")
    if wanted is not None:
        return f"{done}/{wanted}"
    beside = spec.get("parallelism", 0)
    return f"{done}/1 of {beside}" if beside > 1 else f"{done}/1"


def _duration(status: Doc) -> str | Since:
    start, end = status.get("startTime"), status.get("completionTime")
    if not start:
        return ""
    began = parse_rfc3339(start)
    return human_span(parse_rfc3339(end) - began) if end else Since(began)


def _cron_job(doc: Doc) -> list[Any]:
    spec, status = doc.get("spec") or {}, doc.get("status") or {}
    last, suspended = status.get("lastScheduleTime"), spec.get("suspend")
    return [
        spec.get("schedule", ""), spec.get("timeZone") or NONE,
        "<unset>" if suspended is None else str(suspended), len(status.get("active") or ()),
        Since(parse_rfc3339(last)) if last else NONE,
        *_template((spec.get("jobTemplate") or {}).get("spec") or {}),
    ]  # fmt: skip


# ---- autoscalers and budgets

_METRICS_SHOWN = 2


def _autoscaler(doc: Doc) -> list[Any]:
    spec, status = doc.get("spec") or {}, doc.get("status") or {}
    target = spec.get("scaleTargetRef") or {}
    return [
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _metrics(spec.get("metrics") or (), status.get("currentMetrics") or ()),
        str(spec.get("minReplicas", "<unset>")), spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
    ]  # fmt: skip


def _metrics(wanted: Any, current: Any) -> str:
    shown = []
    for index, one in enumerate(wanted):
        found = current[index] if index < len(current) else {}
        shown.append(_metric(one, found))
    if not shown:
        return NONE
    more = len(shown) - _METRICS_SHOWN
    return ", ".join(shown[:_METRICS_SHOWN]) + (f" + {more} more..." if more > 0 else "")


def _metric(wanted: Doc, current: Doc) -> str:
    """What is and what is wanted: "cpu: 40%/80%"."""
    kind = wanted.get("type", "")
    field = kind[:1].lower() + kind[1:]
    if field not in wanted:
        return "<unknown type>"
    source, found = wanted[field] or {}, (current.get(field) or {}).get("current") or {}
    target, name = source.get("target") or {}, ""
    if field in ("resource", "containerResource"):
        name = f"{source.get('name', '')}: "
    if "averageUtilization" in target:
        share = found.get("averageUtilization")
        return f"{name}{UNKNOWN if share is None else f'{share}%'}/{target['averageUtilization']}%"
    average = "averageValue" in target
    form = "averageValue" if average else "value"
    marked = " (avg)" if average and field in ("object", "external") else ""
    return f"{name}{found.get(form, UNKNOWN)}/{target.get(form, UNKNOWN)}{marked}"


def _budget(doc: Doc) -> list[Any]:
    spec, status = doc.get("spec") or {}, doc.get("status") or {}
    least, most = spec.get("minAvailable", "N/A"), spec.get("maxUnavailable", "N/A")
    return [str(least), str(most), status.get("disruptionsAllowed", 0)]


# ---- what several show


def _labels(labels: Doc | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def _template(spec: Doc) -> list[str]:
    """Containers, images and selector of a workload."""
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or ()
    names = ",".join(c.get("name", "") for c in containers)
    images = ",".join(c.get("image", "") for c in containers)
    return [names, images, selector_text(spec.get("selector"))]


CALCULATED: dict[str, Calculated] = {
    kinds.DEPLOYMENT.schema: _deployment,
    kinds.REPLICA_SET.schema: _replica_set,
    kinds.REPLICATION_CONTROLLER.schema: _replication_controller,
    kinds.DAEMON_SET.schema: _daemon_set,
    kinds.STATEFUL_SET.schema: _stateful_set,
    kinds.POD_TEMPLATE.schema: _pod_template,
    kinds.CONTROLLER_REVISION.schema: _controller_revision,
    kinds.JOB.schema: _job,
    kinds.CRON_JOB.schema: _cron_job,
    kinds.HPA.schema: _autoscaler,
    kinds.PDB.schema: _budget,
}
