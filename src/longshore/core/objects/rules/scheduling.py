"""Rules for what pods ask of our own scheduler in annotations."""

from __future__ import annotations

from longshore.core.objects.constraints import ANNOTATION, BadConstraint, parse
from longshore.core.objects.dynamic_ports import ASKED, GIVEN, BadPorts, wanted
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.problems import Path, Problems


def constraints(metadata: Doc, path: Path, problems: Problems) -> None:
    """The constraints of a pod, or of a template of pods, can be read."""
    text = (metadata.get("annotations") or {}).get(ANNOTATION)
    if text is None:
        return
    try:
        parse(text)
    except BadConstraint as error:
        problems.invalid(((path, "annotations"), f"[{ANNOTATION}]"), text, str(error))


def ports(metadata: Doc, spec: Doc, path: Path, problems: Problems) -> None:
    """Dynamic ports of a new pod, or of a template of pods, are ports of its containers; what was
    chosen is said by bindings alone."""
    told = metadata.get("annotations") or {}
    if ASKED in told:
        try:
            wanted(spec, told[ASKED])
        except BadPorts as error:
            problems.invalid(((path, "annotations"), f"[{ASKED}]"), told[ASKED], str(error))
    if GIVEN in told:
        why = "is set when the pod is bound"
        problems.forbidden(((path, "annotations"), f"[{GIVEN}]"), why)


def ports_update(new: Doc, old: Doc, path: Path, problems: Problems) -> None:
    """Metadata of a pod: neither what it asked for nor what it got can change."""
    after, before = (one.get("annotations") or {} for one in (new, old))
    for name in (ASKED, GIVEN):
        problems.unchanged(((path, "annotations"), f"[{name}]"), after.get(name), before.get(name))
