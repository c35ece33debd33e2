"""Deletes: what DeleteOptions may say, and how a delete is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.errors import BadRequest, Cause, Invalid
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.objects.validation import check, decoding_error
from longshore.core.registry.client import DeleteOptions
from longshore.core.registry.reads import Page
from longshore.core.registry.registry import Registry
from longshore.doors.kit.http import Reply, Request, SlicedReply, sliced
from longshore.doors.kubernetes import translate
from longshore.doors.kubernetes.pages import page_slices
from longshore.doors.kubernetes.rendering import View, encode
from longshore.doors.kubernetes.translate import Target, flag, number

_SCHEMA = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
_OPTIONS = Kind("meta.k8s.io", "v1", "DeleteOptions", "deleteoptions", _SCHEMA)
_POLICIES = ("Background", "Foreground", "Orphan")
RETURNED = frozenset({
    kinds.POD, kinds.POD_TEMPLATE, kinds.PVC, kinds.PV, kinds.RESOURCE_QUOTA, kinds.SERVICE,
    kinds.SERVICE_ACCOUNT, kinds.CSI_DRIVER, kinds.CSI_NODE, kinds.STORAGE_CLASS,
    kinds.VOLUME_ATTACHMENT, kinds.VOLUME_ATTRIBUTES_CLASS, kinds.DEVICE_CLASS,
    kinds.RESOURCE_CLAIM, kinds.RESOURCE_CLAIM_TEMPLATE, kinds.RESOURCE_SLICE,
})  # fmt: skip
"""Whose deletion is answered with the object itself, and not with a Status (ReturnDeletedObject in
pkg/registry)."""
_JOB_WARNING = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background "
    "to remove them or set propagationPolicy=Orphan to suppress this warning"
)


@dataclass(frozen=True, slots=True)
class Deletion:
    """DeleteOptions, and what of them is the door's: accepted asks for 202 while dependents are
    waited for; warnings go into headers."""

    options: DeleteOptions
    dry_run: bool
    accepted: bool
    warnings: tuple[str, ...] = ()


async def delete(
    registry: Registry, request: Request, target: Target, who: User, view: View
) -> Reply:
    """DELETE of one object."""
    wanted = deletion(request, target.kind)
    stored, gone = await registry.delete(who, target.ref, wanted.options, dry_run=wanted.dry_run)
    headers = translate.warning_header(wanted.warnings)
    status = 202 if wanted.accepted and not gone and not wanted.dry_run else 200
    remains = not gone and not wanted.dry_run
    if remains or target.kind.kept_as in RETURNED:
        return Reply(status, view.object(stored), view.media, headers)
    done = translate.success(target, stored.doc["metadata"].get("uid", ""))
    return Reply(status, encode(done, view.media, pretty=view.pretty), view.media, headers)


async def delete_collection(
    registry: Registry, request: Request, target: Target, who: User, view: View
) -> Reply | SlicedReply:
    """DELETE of all that match; answered with what they were."""
    wanted = deletion(request, target.kind)
    chosen = translate.list_options(request)
    deleted = await registry.delete_collection(
        who, target.kind, target.namespace, wanted.options, chosen, dry_run=wanted.dry_run
    )
    page = Page(deleted, registry.cache.revision)
    headers = translate.warning_header(wanted.warnings)
    return sliced(page_slices(view, target.kind, page), 200, view.media, headers)


def deletion(request: Request, kind: Kind) -> Deletion:
    """From the body, else from the query. Raises BadRequest or Invalid."""
    given = _given(request)
    policy, orphan = given.get("propagationPolicy"), given.get("orphanDependents")
    dry_run = given.get("dryRun") or []
    causes = _causes(policy, orphan, dry_run)
    if causes:
        raise Invalid.of(_OPTIONS, "", causes)
    silent = policy is None and orphan is None
    wants = given.get("preconditions") or {}
    options = DeleteOptions(
        _grace(given.get("gracePeriodSeconds")),
        _propagation(policy, orphan),
        wants.get("uid") or "",
        wants.get("resourceVersion") or "",
    )
    warnings = (_JOB_WARNING,) if silent and kind is kinds.JOB else ()
    return Deletion(options, bool(dry_run), orphan is False, warnings)


def _given(request: Request) -> Doc:
    if not request.body.strip():
        return _of_query(request)
    body = translate.read_body(request)
    checked = check(_OPTIONS, body)
    if checked.causes:
        raise decoding_error(_OPTIONS, checked)
    if checked.doc.get("kind", "DeleteOptions") != "DeleteOptions":
        raise BadRequest(f"the body of a delete is DeleteOptions, not {checked.doc['kind']}")
    return checked.doc


def _of_query(request: Request) -> Doc:
    query = request.query
    if not query:
        return {}
    given: Doc = {"dryRun": query.get("dryRun")}
    given["gracePeriodSeconds"] = number(query, "gracePeriodSeconds")
    given["propagationPolicy"] = request.param("propagationPolicy") or None
    if "orphanDependents" in query:
        given["orphanDependents"] = flag(query, "orphanDependents")
    return given


def _causes(policy: Any, orphan: Any, dry_run: list[str]) -> list[Cause]:
    """apimachinery/pkg/apis/meta/v1/validation ValidateDeleteOptions."""
    causes = []
    if policy is not None and orphan is not None:
        why = "orphanDependents and deletionPropagation cannot be both set"
        message = f'Invalid value: "{policy}": {why}'
        causes.append(Cause("FieldValueInvalid", message, "propagationPolicy"))
    if policy is not None and policy not in _POLICIES:
        supported = '"Background", "Foreground", "Orphan", "nil"'
        message = f'Unsupported value: "{policy}": supported values: {supported}'
        causes.append(Cause("FieldValueNotSupported", message, "propagationPolicy"))
    for value in dry_run:
        if value != "All":
            message = f'Unsupported value: "{value}": supported values: "All"'
            causes.append(Cause("FieldValueNotSupported", message, "dryRun"))
    return causes


def _propagation(policy: str | None, orphan: bool | None) -> str:
    """Empty where nothing is said: that is for the object itself to decide."""
    if policy is not None or orphan is None:
        return policy or ""
    return "Orphan" if orphan else "Background"


def _grace(seconds: int | None) -> int | None:
    # Below 0 means at once and in good order: one second (pod strategy, CheckGracefulDelete).
    return 1 if seconds is not None and seconds < 0 else seconds
