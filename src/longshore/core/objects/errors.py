"""What can go wrong with a request, as Kubernetes names it.

    ApiError
    ├── BadRequest 400          ├── Conflict 409            ├── Invalid 422
    ├── Unauthorized 401        ├── AlreadyExists 409       ├── TooManyRequests 429
    ├── Forbidden 403           ├── Expired 410             ├── InternalError 500
    ├── NotFound 404            ├── TooLarge 413            ├── Unavailable 503
    ├── MethodNotAllowed 405    └── UnsupportedMediaType 415 ├── Timeout 504
    └── NotAcceptable 406       └── InsufficientStorage 507

Each class carries the code and reason of metav1.Status (apimachinery/pkg/api/errors). A door
translates them once, at its edge, into its guest API's own error form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from longshore.base.limits import CAUSES_MAX
from longshore.core.objects.kinds import Kind


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason of a refusal. field is a path such as spec.ports[0].port."""

    reason: str
    message: str
    field: str = ""


def bounded(causes: Sequence[Cause]) -> Sequence[Cause]:
    """The causes that an answer lists; of what is too many, how many more there are."""
    if len(causes) <= CAUSES_MAX:
        return causes
    return (*causes[:CAUSES_MAX], Cause("", f"and {len(causes) - CAUSES_MAX} more"))


class ApiError(Exception):
    """The request cannot be served. message is one sentence for a person."""

    code: ClassVar[int] = 500
    reason: ClassVar[str] = "InternalError"

    def __init__(
        self,
        message: str,
        *,
        kind: Kind | None = None,
        name: str = "",
        causes: Sequence[Cause] = (),
        retry_after_s: int = 0,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.name = name
        self.causes = tuple(causes)
        self.retry_after_s = retry_after_s


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"


class Forbidden(ApiError):
    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    code, reason = 404, "NotFound"

    @classmethod
    def of(cls, kind: Kind, name: str) -> NotFound:
        return cls(f'{kind.resource} "{name}" not found', kind=kind, name=name)


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"

    @classmethod
    def of(cls, kind: Kind, name: str, *, going: bool = False) -> AlreadyExists:
        """going: the one that is there is being deleted (registry/generic/registry/store.go)."""
        said = f'{kind.resource} "{name}" already exists'
        return cls(f"object is being deleted: {said}" if going else said, kind=kind, name=name)


class Conflict(ApiError):
    """The caller's revision is stale, or a precondition failed: read again, then retry."""

    code, reason = 409, "Conflict"

    @classmethod
    def of(cls, kind: Kind, name: str, why: str = "") -> Conflict:
        why = why or (
            "the object has been modified; please apply your changes to the latest version "
            "and try again"
        )
        return cls(
            f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}',
            kind=kind, name=name,
        )  # fmt: skip


class Expired(ApiError):
    """The revision asked for is no longer in the window: list again."""

    code, reason = 410, "Expired"


class TooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    """The object breaks rules of its kind; causes lists each of them, up to CAUSES_MAX."""

    code, reason = 422, "Invalid"

    @classmethod
    def of(cls, kind: Kind, name: str, causes: Sequence[Cause]) -> Invalid:
        causes = bounded(causes)
        parts = [f"{c.field}: {c.message}" if c.field else c.message for c in causes]
        detail = parts[0] if len(parts) == 1 else "[" + ", ".join(parts) + "]"
        qualified = f"{kind.name}.{kind.group}" if kind.group else kind.name
        return cls(
            f'{qualified} "{name}" is invalid: {detail}', kind=kind, name=name, causes=causes
        )


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"


class InternalError(ApiError):
    code, reason = 500, "InternalError"


class Unavailable(ApiError):
    code, reason = 503, "ServiceUnavailable"


class Timeout(ApiError):
    code, reason = 504, "Timeout"


class InsufficientStorage(ApiError):
    """No room is left for what would be written (RFC 4918, 11.5). apimachinery has no reason for
    507; clients go by the code where they do not know a reason, and kubectl shows it."""

    code, reason = 507, "InsufficientStorage"
