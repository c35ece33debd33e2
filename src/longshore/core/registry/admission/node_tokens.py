"""NodeRestriction of token requests: a node gets tokens for pods that it runs, and only for those
whom the pods mean to show them to (plugin/pkg/admission/noderestriction)."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.errors import Forbidden, NotFound
from longshore.core.objects.kinds import Doc
from longshore.core.registry.permission.authorizer import Authorizer
from longshore.core.registry.permission.nodes import node_of
from longshore.core.registry.wishes import Wish

_AUDIENCE_VERB = "request-serviceaccounts-token-audience"


def check_token_request(
    permission: Authorizer, who: User, namespace: str, account: str, spec: Doc
) -> None:
    """spec is a TokenRequest's. Raises Forbidden or NotFound for what a node may not ask for."""
    node = node_of(who)
    if node is None:
        return
    why = _unbound(spec.get("boundObjectRef") or {})
    pod = None if why else _pod(permission, namespace, spec["boundObjectRef"])
    if pod is not None:
        why = _of_another(pod, node, spec["boundObjectRef"]["uid"])
        why = why or _bad_audience(permission, who, pod, account, spec.get("audiences") or [])
    if why:
        kind = kinds.SERVICE_ACCOUNT
        message = f'{kind.resource} "{account}" is forbidden: {why}'
        raise Forbidden(message, kind=kind, name=account)


def _unbound(ref: Doc) -> str:
    if (ref.get("apiVersion"), ref.get("kind")) != ("v1", "Pod") or not ref.get("name"):
        return "node requested token not bound to a pod"
    if not ref.get("uid"):
        return "node requested token with a pod binding without a uid"
    return ""


def _pod(permission: Authorizer, namespace: str, ref: Doc) -> Doc:
    pod = permission.cache.get(kinds.POD, namespace, ref["name"])
    if pod is None:
        raise NotFound.of(kinds.POD, ref["name"])
    return pod


def _of_another(pod: Doc, node: str, uid: str) -> str:
    if pod["metadata"]["uid"] != uid:
        return (
            f"the UID in the bound object reference ({uid}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
    if pod["spec"].get("nodeName") != node:
        return "node requested token bound to a pod scheduled on a different node"
    return ""


def _bad_audience(
    permission: Authorizer, who: User, pod: Doc, account: str, audiences: list[str]
) -> str:
    if len(audiences) > 1:
        return "node may only request 0 or 1 audiences"
    audience = audiences[0] if audiences else ""
    if audience in _audiences(permission, pod):
        return ""
    namespace = pod["metadata"]["namespace"]
    wish = Wish(_AUDIENCE_VERB, "", audience, namespace, account)
    if permission.allowed(who, wish):
        return ""
    return f'{who.name} is not authorized to request tokens for audience "{audience}"'


def _audiences(permission: Authorizer, pod: Doc) -> Iterator[str]:
    """Those that the pod's volumes are for: projected tokens, and drivers that want tokens."""
    for volume in pod["spec"].get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if "serviceAccountToken" in source:
                yield source["serviceAccountToken"].get("audience", "")
        driver = permission.cache.get(kinds.CSI_DRIVER, "", _driver(permission, pod, volume))
        for request in ((driver or {}).get("spec") or {}).get("tokenRequests") or ():
            yield request.get("audience", "")


def _driver(permission: Authorizer, pod: Doc, volume: Doc) -> str:
    """The CSI driver of a volume, also behind its claim; "" if there is none."""
    if "csi" in volume:
        return str(volume["csi"].get("driver", ""))
    metadata, cache = pod["metadata"], permission.cache
    claim_name = (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
    if "ephemeral" in volume:
        claim_name = f"{metadata['name']}-{volume['name']}"
    claim = cache.get(kinds.PVC, metadata["namespace"], claim_name)
    bound = claim and cache.get(kinds.PV, "", claim["spec"].get("volumeName", ""))
    return str((bound["spec"].get("csi") or {}).get("driver", "")) if bound else ""
