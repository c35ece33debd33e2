"""Rules for Deployments and ReplicaSets (pkg/apis/apps/validation)."""

from __future__ import annotations

import re

from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.metadata import label_selector, shared_metadata
from longshore.core.objects.rules.pods import pod_spec
from longshore.core.objects.rules.problems import SPEC, Path, Problems, Rule, UpdateRule, shown
from longshore.core.objects.selectors import from_doc

_PERCENT = re.compile(r"[0-9]+%")
_PERCENT_SENTENCE = (
    "a valid percent string must be a numeric string followed by an ending '%' "
    "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
)


def deployment(doc: Doc, problems: Problems) -> None:
    spec = doc["spec"]
    _scaled(spec, "Deployment", problems)
    _strategy(spec.get("strategy", {}), (SPEC, "strategy"), problems)
    for field in ("minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"):
        problems.not_negative((SPEC, field), spec.get(field))
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds", 0)
    if deadline is not None and deadline <= ready:
        at = (SPEC, "progressDeadlineSeconds")
        problems.invalid(at, deadline, "must be greater than minReadySeconds")


def replica_set(doc: Doc, problems: Problems) -> None:
    _scaled(doc["spec"], "ReplicaSet", problems)
    problems.not_negative((SPEC, "minReadySeconds"), doc["spec"].get("minReadySeconds"))


def selector_update(new: Doc, old: Doc, problems: Problems) -> None:
    """Of both kinds: a selector stays what it is."""
    problems.unchanged((SPEC, "selector"), new["spec"].get("selector"), old["spec"].get("selector"))


def _scaled(spec: Doc, name: str, problems: Problems) -> None:
    problems.not_negative((SPEC, "replicas"), spec.get("replicas"))
    template = spec.get("template", {})
    labels = template.get("metadata", {}).get("labels", {})
    if _selector(spec.get("selector"), labels, name, problems):
        _template_matches(spec["selector"], labels, problems)
    _template(template, name, (SPEC, "template"), problems)


def _selector(selector: Doc | None, labels: Doc, name: str, problems: Problems) -> bool:
    """Whether there is a usable selector."""
    path, known = (SPEC, "selector"), len(problems.causes)
    if selector is None:
        hint = f"add selector.matchLabels {shown(labels)}, the labels of spec.template"
        problems.required(path, hint if labels else "")
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        problems.invalid(path, selector, f"empty selector is invalid for {name.lower()}")
    else:
        label_selector(selector, path, problems)
    return len(problems.causes) == known


def _template_matches(selector: Doc, labels: Doc, problems: Problems) -> None:
    compiled = from_doc(selector)
    if compiled is not None and not compiled.matches(labels):
        path = (((SPEC, "template"), "metadata"), "labels")
        problems.invalid(path, labels, "`selector` does not match template `labels`")


def _template(template: Doc, name: str, path: Path, problems: Problems) -> None:
    shared_metadata(template.get("metadata", {}), (path, "metadata"), problems)
    spec, at = template.get("spec", {}), (path, "spec")
    pod_spec(spec, at, problems)
    if spec.get("restartPolicy", "Always") != "Always":
        problems.unsupported((at, "restartPolicy"), spec["restartPolicy"], ("Always",))
    if spec.get("activeDeadlineSeconds") is not None:
        why = f"activeDeadlineSeconds in {name} is not Supported"
        problems.forbidden((at, "activeDeadlineSeconds"), why)
    if spec.get("ephemeralContainers"):
        why = "ephemeral containers not allowed in pod template"
        problems.forbidden((at, "ephemeralContainers"), why)


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
    known = len(problems.causes)
    for field in ("maxUnavailable", "maxSurge"):
        _amount(rolling.get(field, 0), (path, field), problems)
    if len(problems.causes) > known:
        return
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    if _number(unavailable) == 0 and _number(surge) == 0:
        why = "may not be 0 when `maxSurge` is 0"
        problems.invalid((path, "maxUnavailable"), unavailable, why)
    if isinstance(unavailable, str) and _number(unavailable) > 100:
        problems.invalid((path, "maxUnavailable"), unavailable, "must not be greater than 100%")


def _amount(value: int | str, path: Path, problems: Problems) -> None:
    if isinstance(value, int):
        problems.not_negative(path, value)
    elif not _PERCENT.fullmatch(value):
        problems.invalid(path, value, _PERCENT_SENTENCE)


def _number(value: int | str) -> int:
    return value if isinstance(value, int) else int(value[:-1])


RULES: dict[str, Rule] = {
    "io.k8s.api.apps.v1.Deployment": deployment,
    "io.k8s.api.apps.v1.ReplicaSet": replica_set,
}
UPDATE_RULES: dict[str, UpdateRule] = {
    "io.k8s.api.apps.v1.Deployment": selector_update,
    "io.k8s.api.apps.v1.ReplicaSet": selector_update,
}
