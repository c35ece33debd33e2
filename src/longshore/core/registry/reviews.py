"""Questions about who someone is and what they may do: asked by POST, answered in .status, stored
nowhere.

Rules: pkg/registry/authorization/*/rest.go, pkg/registry/authentication/*/storage.go and
pkg/apis/authorization/validation of Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import orjson

from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.errors import BadRequest, Cause, Invalid, Unauthorized
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.permission.authorizer import Authorizer
from longshore.core.registry.review_selectors import fields_of, selector_causes
from longshore.core.registry.sent import WriteOptions, checked
from longshore.core.registry.wishes import Wish


class TokenReader(Protocol):
    """Knows whose bearer token a token is."""

    def authenticate(self, token: str, audiences: Sequence[str] = ()) -> tuple[User, list[str]]:
        """The bearer, and those of the audiences that the token is for (none asked: the cluster's
        own). Raises Unauthorized, saying why."""


class Reviews:
    """Answers every kind of review."""

    def __init__(self, tokens: TokenReader, permission: Authorizer) -> None:
        self._tokens = tokens
        self._permission = permission

    def answer(
        self, who: User, kind: Kind, doc: Doc, namespace: str, options: WriteOptions
    ) -> tuple[Doc, list[str]]:
        """The object that was posted, with its status; and warnings. Raises Forbidden, BadRequest
        or Invalid."""
        self._permission.authorize(who, "create", kind, namespace, "")
        doc, warnings = checked(kind, doc, options)
        doc.setdefault("spec", {})
        if kind is kinds.TOKEN_REVIEW:
            return {**doc, "status": self._token(doc["spec"])}, warnings
        return {**doc, "status": _ANSWERS[kind](self._permission, who, doc, namespace)}, warnings

    def _token(self, spec: Doc) -> Doc:
        token, asked = spec.get("token") or "", spec.get("audiences") or []
        if not token:
            raise BadRequest("token is required for TokenReview in authentication")
        try:
            user, audiences = self._tokens.authenticate(token, asked)
        except Unauthorized as error:
            return {"user": {}, "error": error.message}
        return {"authenticated": True, "user": user_info(user), "audiences": audiences}


def user_info(user: User) -> Doc:
    """authentication.k8s.io/v1 UserInfo."""
    info: Doc = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        info["uid"] = user.uid
    if user.extra:
        info["extra"] = {key: list(values) for key, values in user.extra}
    return info


def _self_review(_permission: Authorizer, who: User, _doc: Doc, _namespace: str) -> Doc:
    return {"userInfo": user_info(who)}


def _self_access(permission: Authorizer, who: User, doc: Doc, _namespace: str) -> Doc:
    _refuse(kinds.SELF_SUBJECT_ACCESS_REVIEW, _attribute_causes(doc["spec"]) + _meta_causes(doc))
    return _verdict(permission, who, doc["spec"])


def _access(permission: Authorizer, _who: User, doc: Doc, _namespace: str) -> Doc:
    spec = doc["spec"]
    causes = _attribute_causes(spec) + _subject_causes(spec) + _meta_causes(doc)
    _refuse(kinds.SUBJECT_ACCESS_REVIEW, causes)
    return _verdict(permission, _subject(spec), spec)


def _local_access(permission: Authorizer, _who: User, doc: Doc, namespace: str) -> Doc:
    spec = doc["spec"]
    causes = _attribute_causes(spec) + _subject_causes(spec) + _meta_causes(doc, "namespace")
    _refuse(kinds.LOCAL_SUBJECT_ACCESS_REVIEW, causes + _local_causes(spec, namespace))
    return _verdict(permission, _subject(spec), spec)


def _rules(permission: Authorizer, who: User, doc: Doc, _namespace: str) -> Doc:
    namespace = doc["spec"].get("namespace")
    if not namespace:
        raise BadRequest("no namespace on request")
    resources, paths, missing = permission.rules_of(who, namespace)
    found: Doc = {
        "resourceRules": resources,
        "nonResourceRules": paths,
        "incomplete": bool(missing),
    }
    return found | {"evaluationError": missing} if missing else found


_ANSWERS: dict[Kind, Callable[[Authorizer, User, Doc, str], Doc]] = {
    kinds.SELF_SUBJECT_REVIEW: _self_review,
    kinds.SELF_SUBJECT_ACCESS_REVIEW: _self_access,
    kinds.SUBJECT_ACCESS_REVIEW: _access,
    kinds.LOCAL_SUBJECT_ACCESS_REVIEW: _local_access,
    kinds.SELF_SUBJECT_RULES_REVIEW: _rules,
}
REVIEWS = frozenset({*_ANSWERS, kinds.TOKEN_REVIEW})
"""The kinds that Reviews answers."""


def _verdict(permission: Authorizer, user: User, spec: Doc) -> Doc:
    path = spec.get("nonResourceAttributes")
    if path is not None:
        verdict = permission.judge_path(user, path.get("verb", ""), path.get("path", ""))
    else:
        verdict = permission.judge(user, _wish(spec["resourceAttributes"]))
    said: Doc = {"allowed": verdict.allowed}
    more = {
        "denied": verdict.denied, "reason": verdict.reason, "evaluationError": verdict.error,
    }  # fmt: skip
    return said | {key: value for key, value in more.items() if value}


def _wish(asked: Doc) -> Wish:
    parts = ("verb", "group", "resource", "namespace", "name", "subresource")
    return Wish(*(asked.get(part, "") for part in parts))._replace(fields=fields_of(asked))


def _subject(spec: Doc) -> User:
    extra = tuple((key, tuple(values)) for key, values in (spec.get("extra") or {}).items())
    groups = tuple(spec.get("groups") or ())
    return User(spec.get("user", ""), groups, spec.get("uid", ""), extra)


# --- what is wrong with a question ---


def _attribute_causes(spec: Doc) -> list[Cause]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        why = "cannot be specified in combination with resourceAttributes"
        return [_invalid("spec.nonResourceAttributes", path, why)]
    if resource is None and path is None:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        return [_invalid("spec.resourceAttributes", None, why)]
    return list(selector_causes(resource or {}))


def _subject_causes(spec: Doc) -> list[Cause]:
    if spec.get("user") or spec.get("groups"):
        return []
    return [_invalid("spec.user", "", "at least one of user or group must be specified")]


def _meta_causes(doc: Doc, besides: str = "") -> list[Cause]:
    said = {
        key for key, value in doc["metadata"].items() if value and key not in ("managedFields", besides)
    }  # fmt: skip
    if not said:
        return []
    why = f"must be empty except for {besides}" if besides else "must be empty"
    return [_invalid("metadata", doc["metadata"], why)]


def _local_causes(spec: Doc, namespace: str) -> list[Cause]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    causes = []
    if resource is not None and resource.get("namespace", "") != namespace:
        given, field = resource.get("namespace", ""), "spec.resourceAttributes.namespace"
        causes.append(_invalid(field, given, "must match metadata.namespace"))
    if path is not None:
        why = "disallowed on this kind of request"
        causes.append(_invalid("spec.nonResourceAttributes", path, why))
    return causes


def _invalid(field: str, value: object, why: str) -> Cause:
    shown = orjson.dumps(value).decode()
    return Cause("FieldValueInvalid", f"Invalid value: {shown}: {why}", field)


def _refuse(kind: Kind, causes: list[Cause]) -> None:
    if causes:
        raise Invalid.of(kind, "", causes)
