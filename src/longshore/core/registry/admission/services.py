"""Who may draw other people's addresses to a Service of theirs, by spec.externalIPs (CVE-2020-8554).

DenyServiceExternalIPs (plugin/pkg/admission/network/denyserviceexternalips) denies it to everybody. In
the namespace of a tenant it is denied in any case, but to those who may use services/externalips,
which no role but cluster-admin grants.
"""

from __future__ import annotations

from functools import partial

from longshore.core.objects import kinds
from longshore.core.registry.admission.attributes import Attributes, Hook, Hooks
from longshore.core.registry.admission.namespaces import TENANT_LABEL
from longshore.core.registry.permission.authorizer import Authorizer
from longshore.core.registry.wishes import Wish


def _deny(request: Attributes) -> None:
    if _draws_more(request):
        raise request.forbidden("Use of external IPs is denied by admission control")


def _draws_more(request: Attributes) -> bool:
    wanted = request.doc["spec"].get("externalIPs")
    if not wanted:
        return False
    old = request.old["spec"] if request.old is not None else {}
    return not set(wanted) <= set(old.get("externalIPs") or ())


def _deny_tenants(permission: Authorizer, request: Attributes) -> None:
    if not _draws_more(request) or not _is_tenants(request):
        return
    who = request.who
    wish = Wish("use", "", "services", request.namespace, request.name, "externalips")
    if who is not None and not permission.allowed(who, wish):
        why = "Use of external IPs is denied by admission control in the namespace of a tenant"
        raise request.forbidden(why)


def _is_tenants(request: Attributes) -> bool:
    home = request.home or request.cache.get(kinds.NAMESPACE, "", request.namespace)
    return home is not None and TENANT_LABEL in (home["metadata"].get("labels") or {})


def of_tenants(permission: Authorizer) -> Hooks:
    """What no switch turns off."""
    return Hooks(
        checks=(Hook(partial(_deny_tenants, permission), (kinds.SERVICE,), ("create", "update")),)
    )


HOOKS = Hooks(checks=(Hook(_deny, (kinds.SERVICE,), ("create", "update")),))
