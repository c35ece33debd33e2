"""ResourceQuota, as far as it is a matter of the quota itself: a limit that nobody would keep is not
taken in. What uses a quota is charged in registry/quotas.py."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.objects.quota.usage import DEVICES_SUFFIX
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks
from longshore.core.registry.admission.surroundings import Surroundings


def _can_be_counted(request: Attributes) -> None:
    for name in (request.doc.get("spec") or {}).get("hard") or ():
        if name.endswith(DEVICES_SUFFIX):
            raise request.forbidden(f"spec.hard[{name}]: devices of claims are not counted yet")


def hooks(_: Surroundings) -> Hooks:
    verbs = ("create", "update")
    return Hooks(checks=(Hook(_can_be_counted, (kinds.RESOURCE_QUOTA,), verbs),))
