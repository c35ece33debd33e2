"""Who is recorded as the manager of fields, and whether an apply is forced: query parameters.

Source: apimachinery apis/meta/v1/validation (ValidatePatchOptions, ValidateFieldManager),
apiserver/pkg/endpoints/handlers/create.go (managerOrUserAgent).
"""

from __future__ import annotations

from longshore.base.remembering import remembered
from longshore.core.objects.errors import Cause
from longshore.doors.kit.http import Request

APPLY_PATCH = "application/apply-patch+yaml"
_LENGTH_MAX = 128


@remembered(1024)
def of_agent(user_agent: str) -> str:
    """The default: what stands before the first slash of the User-Agent."""
    product = user_agent.partition("/")[0]
    return "".join(c for c in product if c.isprintable())[:_LENGTH_MAX] or "unknown"


def problems(request: Request, applies: bool, patches: bool) -> list[Cause]:
    """What is wrong with fieldManager and force."""
    found = []
    manager = request.param("fieldManager")
    if applies and not manager:
        why = "Required value: is required for apply patch"
        found.append(Cause("FieldValueRequired", why, "fieldManager"))
    if patches and not applies and "force" in request.query:
        why = "Forbidden: may not be specified for non-apply patch"
        found.append(Cause("FieldValueForbidden", why, "force"))
    return found + _name_problems(manager)


def _name_problems(manager: str) -> list[Cause]:
    if len(manager.encode()) > _LENGTH_MAX:
        why = f"Too long: may not be more than {_LENGTH_MAX} bytes"
        return [Cause("FieldValueTooLong", why, "fieldManager")]
    return [
        Cause(
            "FieldValueInvalid",
            f'Invalid value: "{manager}": invalid character U+{ord(char):04X} (at position {place})',
            "fieldManager",
        )
        for place, char in enumerate(manager)
        if not char.isprintable()
    ]
