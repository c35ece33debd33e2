"""What a default role or binding lacks: added at every start, what was added by people is kept.

Rules: component-helpers/auth/rbac/reconciliation of Kubernetes, without removal of what is more.
"""

from __future__ import annotations

from longshore.core.objects.kinds import Doc
from longshore.core.objects.rbac.covering import uncovered
from longshore.core.objects.rbac.form import AUTOUPDATE


def missing(expected: Doc, found: Doc) -> Doc | None:
    """A merge patch that gives a role or binding what its default has; None if it lacks nothing
    or is not to be kept up to date. A roleRef that differs is in the patch, which no update can
    grant: such a binding has to be made anew."""
    if (found["metadata"].get("annotations") or {}).get(AUTOUPDATE) == "false":
        return None
    patch = _metadata(expected, found)
    if "roleRef" in expected:
        patch |= _subjects(expected, found)
    else:
        patch |= _rules(expected, found)
    return patch or None


def _metadata(expected: Doc, found: Doc) -> Doc:
    """Labels and annotations that are not there; those that are keep their values."""
    lacks: Doc = {}
    for field in ("labels", "annotations"):
        there = found["metadata"].get(field) or {}
        more = {key: v for key, v in expected["metadata"][field].items() if key not in there}
        if more:
            lacks[field] = more
    return {"metadata": lacks} if lacks else {}


def _rules(expected: Doc, found: Doc) -> Doc:
    if "aggregationRule" in expected:
        return _selectors(expected, found)
    there = found.get("rules") or []
    lacks = uncovered(there, expected["rules"]) if there != expected["rules"] else []
    return {"rules": [*there, *lacks]} if lacks else {}


def _selectors(expected: Doc, found: Doc) -> Doc:
    """Its rules are the business of whoever gathers them."""
    there = (found.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
    wanted = expected["aggregationRule"]["clusterRoleSelectors"]
    lacks = [selector for selector in wanted if selector not in there]
    return {"aggregationRule": {"clusterRoleSelectors": [*there, *lacks]}} if lacks else {}


def _subjects(expected: Doc, found: Doc) -> Doc:
    patch: Doc = {}
    if expected["roleRef"] != found["roleRef"]:
        patch["roleRef"] = expected["roleRef"]
    there = found.get("subjects") or []
    lacks = [one for one in expected.get("subjects") or () if one not in there]
    return patch | ({"subjects": [*there, *lacks]} if lacks else {})
