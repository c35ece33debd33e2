"""OwnerReferencesPermissionEnforcement: who may not delete an object may not leave it to another,
and who may not finalize an owner may not block its end (plugin/pkg/admission/gc)."""

from __future__ import annotations

from functools import partial

from longshore.core.objects.kinds import KINDS, Doc
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks
from longshore.core.registry.admission.surroundings import Surroundings
from longshore.core.registry.wishes import Wish

_ANYTHING = Wish("update", "*", "*", "", "*", "finalizers")


def _references(around: Surroundings, request: Attributes) -> None:
    new, old = _owners(request.doc), _owners(request.old)
    if new == old:
        return
    if request.verb != "create" and not around.may(request.who, _to_delete(request)):
        raise request.forbidden("cannot set an ownerRef on a resource you can't delete: , <nil>")
    blocking = _newly_blocking(new, old)
    if not blocking or around.may(request.who, _ANYTHING):
        return
    for reference in blocking:
        _check_finalize(around, request, reference)


def _owners(doc: Doc | None) -> list[Doc]:
    return (doc["metadata"].get("ownerReferences") or []) if doc is not None else []


def _to_delete(request: Attributes) -> Wish:
    kind = request.kind
    return Wish("delete", kind.group, kind.plural, request.namespace, request.name)


def _newly_blocking(new: list[Doc], old: list[Doc]) -> list[Doc]:
    before = {one.get("uid") for one in old if one.get("blockOwnerDeletion")}
    return [one for one in new if one.get("blockOwnerDeletion") and one.get("uid") not in before]


def _check_finalize(around: Surroundings, request: Attributes, reference: Doc) -> None:
    version, name = reference.get("apiVersion", ""), reference.get("kind", "")
    owner = KINDS.named(version, name)
    if owner is None:
        raise request.forbidden(
            "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for "
            f'APIVersion {version} Kind {name}: no matches for kind "{name}" in version "{version}"'
        )
    namespace = request.namespace if owner.namespaced else ""
    wish = Wish(
        "update", owner.group, owner.plural, namespace, reference.get("name", ""), "finalizers"
    )
    if not around.may(request.who, wish):
        raise request.forbidden(
            "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set "
            "finalizers on: , <nil>"
        )


def hooks(around: Surroundings) -> Hooks:
    return Hooks(checks=(Hook(partial(_references, around), (), ("create", "update")),))
