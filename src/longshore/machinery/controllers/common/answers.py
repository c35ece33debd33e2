"""Reading the answers of a batch."""

from __future__ import annotations

from collections.abc import Iterable

from longshore.core.objects.errors import ApiError, Forbidden
from longshore.core.objects.kinds import Doc


def first_error(answers: Iterable[Doc | ApiError | None]) -> ApiError | None:
    return next((answer for answer in answers if isinstance(answer, ApiError)), None)


def raise_first(answers: Iterable[Doc | ApiError | None]) -> None:
    if (error := first_error(answers)) is not None:
        raise error


def namespace_ends(error: ApiError) -> bool:
    """A terminating namespace takes nothing in: that is the end of it, not a failure."""
    return isinstance(error, Forbidden) and any(
        cause.reason == "NamespaceTerminating" for cause in error.causes
    )
