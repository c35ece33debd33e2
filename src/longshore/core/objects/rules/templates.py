"""Rules that workloads share: pod templates, selectors of their pods, amounts and percentages
(pkg/apis/apps/validation, pkg/apis/core/validation: ValidatePodTemplateSpec)."""

from __future__ import annotations

import re

from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.metadata import label_selector, shared_metadata
from longshore.core.objects.rules.pods import pod_spec
from longshore.core.objects.rules.problems import SPEC, Path, Problems, shown
from longshore.core.objects.rules.scheduling import constraints, ports
from longshore.core.objects.selectors import from_doc

TEMPLATE: Path = (SPEC, "template")
MISMATCH = "`selector` does not match template `labels`"
_PERCENT = re.compile(r"[0-9]+%")
_PERCENT_SENTENCE = (
    "a valid percent string must be a numeric string followed by an ending '%' "
    "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
)


def labels_of(template: Doc) -> dict[str, str]:
    labels: dict[str, str] = template.get("metadata", {}).get("labels", {})
    return labels


def pod_template(template: Doc, path: Path, problems: Problems) -> None:
    """A template of pods whose restart policy is free."""
    metadata, where = template.get("metadata", {}), (path, "metadata")
    shared_metadata(metadata, where, problems)
    constraints(metadata, where, problems)
    spec, at = template.get("spec", {}), (path, "spec")
    ports(metadata, spec, where, problems)
    pod_spec(spec, at, problems)
    if spec.get("ephemeralContainers"):
        why = "ephemeral containers not allowed in pod template"
        problems.forbidden((at, "ephemeralContainers"), why)


def lasting_template(template: Doc, name: str, path: Path, problems: Problems) -> None:
    """A template of pods that are to run for ever, made by a kind of that name."""
    pod_template(template, path, problems)
    never_ends(template, name, path, problems)


def never_ends(template: Doc, name: str, path: Path, problems: Problems) -> None:
    spec, at = template.get("spec", {}), (path, "spec")
    if spec.get("restartPolicy", "Always") != "Always":
        problems.unsupported((at, "restartPolicy"), spec["restartPolicy"], ("Always",))
    if spec.get("activeDeadlineSeconds") is not None:
        why = f"activeDeadlineSeconds in {name} is not Supported"
        problems.forbidden((at, "activeDeadlineSeconds"), why)


def selector_of_template(spec: Doc, name: str, problems: Problems) -> None:
    """The selector must be there, say something, and find the pods that the template makes."""
    labels = labels_of(spec.get("template", {}))
    if _selector(spec.get("selector"), labels, name, problems):
        matches_template(spec["selector"], labels, TEMPLATE, problems)


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


def matches_template(selector: Doc, labels: Doc, path: Path, problems: Problems) -> None:
    """selector is a metav1.LabelSelector that keeps the rules; path is the template's."""
    compiled = from_doc(selector)
    if compiled is not None and not compiled.matches(labels):
        problems.invalid(((path, "metadata"), "labels"), labels, MISMATCH)


def amount(value: int | str, path: Path, problems: Problems) -> bool:
    """A number from 0 or a percentage. Returns whether it is one."""
    if isinstance(value, int):
        problems.not_negative(path, value)
        return value >= 0
    good = bool(_PERCENT.fullmatch(value))
    if not good:
        problems.invalid(path, value, _PERCENT_SENTENCE)
    return good


def number(value: int | str) -> int:
    """Of an amount that is one."""
    return value if isinstance(value, int) else int(value[:-1])


def at_most_all(value: int | str, path: Path, problems: Problems) -> None:
    """An amount that is one: not more than 100%."""
    if isinstance(value, str) and number(value) > 100:
        problems.invalid(path, value, "must not be greater than 100%")
