"""Rules for what pods ask of our own scheduler in annotations."""

from __future__ import annotations

from longshore.core.objects.constraints import ANNOTATION, BadConstraint, parse
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
