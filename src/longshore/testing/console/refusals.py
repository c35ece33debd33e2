"""Refusals in kubectl's words (kubectl/pkg/cmd/util/helpers.go: checkErr, StandardErrorMessage)."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc

UNREACHABLE = "The connection to the server was refused - did you specify the right host or port?"


class Refused(Exception):
    """status is the metav1.Status that the API answered."""

    def __init__(self, status: Doc) -> None:
        super().__init__(status["message"])
        self.status = status


class Complaint(Exception):
    """What kubectl itself says no to; the message is printed after "error: "."""


def lines_of(status: Doc) -> list[str]:
    """What kubectl prints of a metav1.Status."""
    reason, message = status.get("reason", ""), status["message"]
    details = status.get("details") or {}
    causes = details.get("causes") or []
    if reason == "Unauthorized":
        return ["error: You must be logged in to the server (Unauthorized)"]
    if reason == "Invalid" and details:
        return _invalid(details, causes)
    if any(cause.get("reason") == "FieldManagerConflict" for cause in causes):
        return [f"error: {line}" if not at else line for at, line in enumerate(_split(message))]
    where = f" ({reason})" if reason else ""
    return _split(f"Error from server{where}: {message}")


def _invalid(details: Doc, causes: list[Doc]) -> list[str]:
    first = f'The {details["kind"]} "{details.get("name", "")}" is invalid'
    told = [f"{cause['field']}: {cause['message']}" for cause in causes]
    if len(told) == 1:
        return _split(f"{first}: {told[0]}")
    return [f"{first}: ", *(f"* {one}" for one in told)] if told else [first]


def _split(text: str) -> list[str]:
    return text.splitlines()
