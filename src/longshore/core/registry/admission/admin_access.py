"""Devices that others have may be used only in namespaces that an administrator has labelled so
(pkg/registry/resource: AuthorizedForAdmin, AuthorizedForAdminStatus)."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.device_claims import ADMIN_ACCESS, status_of
from longshore.core.objects.errors import Cause, Invalid
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks


def _claim(request: Attributes) -> None:
    _spec(request, request.doc.get("spec") or {}, "spec")


def _template(request: Attributes) -> None:
    spec = request.doc.get("spec") or {}
    _spec(request, spec.get("spec") or {}, "spec.spec")


def _spec(request: Attributes, spec: Doc, path: str) -> None:
    requests = (spec.get("devices") or {}).get("requests") or ()
    for index, one in enumerate(requests):
        if (one.get("exactly") or {}).get("adminAccess"):
            _check(request, f"{path}.devices.requests[{index}].adminAccess")
            return


def _status(request: Attributes) -> None:
    """What was granted once may stay."""
    if request.old is not None and status_of(request.old).get("allocation") is not None:
        return
    allocation = status_of(request.doc).get("allocation") or {}
    for index, one in enumerate((allocation.get("devices") or {}).get("results") or ()):
        if one.get("adminAccess"):
            _check(request, f"status.allocation.devices.results[{index}].adminAccess")
            return


def _check(request: Attributes, path: str) -> None:
    namespace = request.cache.get(kinds.NAMESPACE, "", request.namespace)
    labels = (namespace or {"metadata": {}})["metadata"].get("labels") or {}
    if labels.get(ADMIN_ACCESS) != "true":
        why = (
            f"Forbidden: admin access to devices requires the `{ADMIN_ACCESS}: true` label on the "
            "containing namespace"
        )
        cause = Cause("FieldValueForbidden", why, path)
        raise Invalid.of(request.kind, request.name, [cause])


_LOOKED_UP = (kinds.NAMESPACE,)
HOOKS = Hooks(
    checks=(
        Hook(_claim, (kinds.RESOURCE_CLAIM,), looks_up=_LOOKED_UP),
        Hook(_template, (kinds.RESOURCE_CLAIM_TEMPLATE,), looks_up=_LOOKED_UP),
        Hook(_status, (kinds.RESOURCE_CLAIM,), ("update",), "status"),
    )
)
