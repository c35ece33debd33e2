"""Taints of nodes and tolerations of pods, as documents have them. Pure."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc


def tolerates(toleration: Doc, taint: Doc) -> bool:
    """Rules as in component-helpers/scheduling/corev1 (Toleration.ToleratesTaint)."""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    key = toleration.get("key") or ""
    if key and key != taint["key"]:
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(key) and (toleration.get("value") or "") == (taint.get("value") or "")
