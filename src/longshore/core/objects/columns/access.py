"""Columns of who may do what: bindings, and requests for certificates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from longshore.core.objects import kinds
from longshore.core.objects.columns.form import Calculated
from longshore.core.objects.kinds import Doc
from longshore.core.objects.spans import NONE, human_span


def _binding(doc: Doc) -> list[Any]:
    role, subjects = doc.get("roleRef") or {}, doc.get("subjects") or ()
    accounts = [
        f"{one.get('namespace', '')}/{one.get('name', '')}"
        for one in subjects
        if one.get("kind") == "ServiceAccount"
    ]
    return [
        f"{role.get('kind', '')}/{role.get('name', '')}", _named(subjects, "User"),
        _named(subjects, "Group"), ", ".join(accounts),
    ]  # fmt: skip


def _named(subjects: Iterable[Doc], kind: str) -> str:
    return ", ".join(one.get("name", "") for one in subjects if one.get("kind") == kind)


def _signing_request(doc: Doc) -> list[Any]:
    seconds = (doc.get("spec") or {}).get("expirationSeconds")
    return [NONE if seconds is None else human_span(seconds), _signing_state(doc)]


def _signing_state(doc: Doc) -> str:
    status = doc.get("status") or {}
    types = {condition.get("type") for condition in status.get("conditions") or ()}
    state = "Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"
    failed = ",Failed" if "Failed" in types else ""
    return state + failed + (",Issued" if status.get("certificate") else "")


def _pod_certificate_request(doc: Doc) -> list[Any]:
    conditions = (doc.get("status") or {}).get("conditions") or ()
    ends = [c["type"] for c in conditions if c.get("type") in ("Issued", "Denied", "Failed")]
    said = (doc.get("spec") or {}).get("unverifiedUserAnnotations") or {}
    shown = ",".join(f"{key}={value}" for key, value in sorted(said.items()))
    return [ends[-1] if ends else "Pending", shown or NONE]


CALCULATED: dict[str, Calculated] = {
    kinds.ROLE_BINDING.schema: _binding,
    kinds.CLUSTER_ROLE_BINDING.schema: _binding,
    kinds.CSR.schema: _signing_request,
    kinds.POD_CERTIFICATE_REQUEST.schema: _pod_certificate_request,
}
