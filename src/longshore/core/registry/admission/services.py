"""DenyServiceExternalIPs: nobody draws other people's addresses to a Service of his
(plugin/pkg/admission/network/denyserviceexternalips)."""

from __future__ import annotations

from longshore.core.objects import kinds
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks


def _deny(request: Attributes) -> None:
    old = request.old["spec"] if request.old is not None else {}
    wanted = set(request.doc["spec"].get("externalIPs") or ())
    if not wanted <= set(old.get("externalIPs") or ()):
        raise request.forbidden("Use of external IPs is denied by admission control")


HOOKS = Hooks(checks=(Hook(_deny, (kinds.SERVICE,), ("create", "update")),))
