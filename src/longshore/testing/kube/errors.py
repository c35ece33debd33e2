"""How a test hears that something is not as it wants it."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc


class Refused(Exception):
    """The API server said no. code and reason are those of its Status, whole in status."""

    def __init__(self, doc: Doc, code: int) -> None:
        self.status = doc
        self.code = code
        self.reason = str(doc.get("reason") or "")
        super().__init__(str(doc.get("message") or f"the server answered {code}"))


class Unmet(AssertionError):
    """What was waited for did not come."""


class KubeWarning(UserWarning):
    """What the API server warns of: deprecated versions, fields that nobody acts on."""
