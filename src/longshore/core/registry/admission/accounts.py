"""ServiceAccount: every pod runs as an account, which has to be there, and is handed a token of it
(plugin/pkg/admission/serviceaccount)."""

from __future__ import annotations

from collections.abc import Iterator

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.attributes import (
    POD_CONTAINERS,
    Attributes,
    Hook,
    Hooks,
    containers,
)
from longshore.core.watch.cache import Cache

DEFAULT = "default"
MIRROR = "kubernetes.io/config.mirror"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
# An hour and seven seconds: by these, tokens that were mounted by default are known
# (pkg/serviceaccount/claims.go: WarnOnlyBoundTokenExpirationSeconds).
TOKEN_S = 3607
_ENFORCED = "kubernetes.io/enforce-mountable-secrets"
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_SAID = {
    "initContainers": "init container", "containers": "container",
    "ephemeralContainers": "ephemeral container",
}  # fmt: skip
# Shared by all pods, as objects in the cache share all that is equal: nobody writes into it.
_SOURCE = {
    "defaultMode": 0o644,
    "sources": [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_S, "path": "token"}},
        {
            "configMap": {
                "name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}],
            }
        },
        {
            "downwardAPI": {
                "items": [
                    {
                        "path": "namespace",
                        "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                    }
                ]
            }
        },
    ],
}  # fmt: skip
# The default account of a namespace is always about to be there.
_TO_COME: Doc = {"metadata": {"name": DEFAULT}}


def _give_account(request: Attributes) -> None:
    doc = request.doc
    if _is_mirror(doc):
        return _check_mirror(request)
    spec = doc["spec"]
    if not spec.get("serviceAccountName"):
        spec["serviceAccountName"] = spec["serviceAccount"] = DEFAULT
    account = _account(request, spec["serviceAccountName"])
    if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
        spec["imagePullSecrets"] = [dict(one) for one in account["imagePullSecrets"]]
    _check_secrets(request, account)


def _hand_token(pod: Doc, cache: Cache) -> None:
    """Mount a token, unless the pod or its account declines. Added last: the volume that it takes is
    nothing to validate, and costs a third of all that a pod costs to validate."""
    if _is_mirror(pod):
        return
    spec, namespace = pod["spec"], pod["metadata"]["namespace"]
    wanted = spec.get("automountServiceAccountToken")
    if wanted is None:
        account = cache.get(kinds.SERVICE_ACCOUNT, namespace, spec["serviceAccountName"])
        wanted = (account or _TO_COME).get("automountServiceAccountToken")
    if wanted is not False:
        _mount(spec, pod["metadata"]["uid"])


def _account(request: Attributes, name: str) -> Doc:
    """Upstream waits up to two seconds for the default account; here it counts at once, since its
    controller makes it, and a node that has to mount its token waits for it."""
    found = request.cache.get(kinds.SERVICE_ACCOUNT, request.namespace, name)
    if found is not None:
        return found
    if name == DEFAULT:
        return _TO_COME
    raise request.forbidden(
        f"error looking up service account {request.namespace}/{name}: "
        f'serviceaccount "{name}" not found'
    )


def _mount(spec: Doc, uid: str) -> None:
    """The volume's name ends in five characters of chance, which the pod's uid has plenty of."""
    volumes = spec.get("volumes") or []
    name = next((v["name"] for v in volumes if v["name"].startswith(VOLUME_PREFIX)), "")
    known, needed = bool(name), False
    name = name or VOLUME_PREFIX + uid[-5:]
    for container in (*(spec.get("initContainers") or ()), *spec.get("containers", ())):
        mounts = container.get("volumeMounts") or []
        if not any(mount.get("mountPath") == MOUNT_PATH for mount in mounts):
            mount = {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}
            container["volumeMounts"] = [*mounts, mount]
            needed = True
    if needed and not known:
        spec["volumes"] = [*volumes, {"name": name, "projected": _SOURCE}]


def _check_ephemeral(request: Attributes) -> None:
    if not _is_mirror(request.doc):
        name = request.doc["spec"].get("serviceAccountName") or DEFAULT
        _check_secrets(request, _account(request, name))


def _check_secrets(request: Attributes, account: Doc) -> None:
    annotations = account["metadata"].get("annotations")
    if annotations and annotations.get(_ENFORCED) in _TRUE:
        _limit_secrets(request, account)


def _is_mirror(pod: Doc) -> bool:
    return MIRROR in (pod["metadata"].get("annotations") or ())


def _check_mirror(request: Attributes) -> None:
    spec = request.doc["spec"]
    if spec.get("serviceAccountName"):
        raise request.forbidden("a mirror pod may not reference service accounts")
    if any(_secrets(spec)):
        raise request.forbidden("a mirror pod may not reference secrets")
    for volume in spec.get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if "serviceAccountToken" in source:
                why = "a mirror pod may not use ServiceAccountToken volume projections"
                raise request.forbidden(why)


def _secrets(spec: Doc) -> Iterator[str]:
    """Names of all secrets that a pod refers to."""
    yield from (one.get("name", "") for one in spec.get("imagePullSecrets") or ())
    for container in containers(spec):
        yield from (name for _, name in _env_secrets(container))
    for volume in spec.get("volumes") or ():
        if "secret" in volume:
            yield volume["secret"].get("secretName", "")
        for source in (volume.get("projected") or {}).get("sources") or ():
            if "secret" in source:
                yield source["secret"].get("name", "")


def _env_secrets(container: Doc) -> Iterator[tuple[str, str]]:
    """How a container refers to a secret in its environment, and the secret's name."""
    for entry in container.get("env") or ():
        reference = (entry.get("valueFrom") or {}).get("secretKeyRef")
        if reference:
            yield f"with envVar {entry.get('name', '')}", reference.get("name", "")
    for entry in container.get("envFrom") or ():
        if entry.get("secretRef"):
            yield "with envFrom", entry["secretRef"].get("name", "")


def _limit_secrets(request: Attributes, account: Doc) -> None:
    """An account with the annotation speaks for the secrets that it lists, and for no others."""
    spec, name = request.doc["spec"], account["metadata"]["name"]
    known = {one.get("name") for one in account.get("secrets") or ()}
    not_listed = f"is not allowed because service account {name} does not reference that"
    for volume in () if request.subresource else spec.get("volumes") or ():
        secret = (volume.get("secret") or {}).get("secretName")
        if secret is not None and secret not in known:
            raise request.forbidden(f'volume with secret.secretName="{secret}" {not_listed} secret')
    for field in ("ephemeralContainers",) if request.subresource else POD_CONTAINERS[:2]:
        for container in spec.get(field) or ():
            for how, secret in _env_secrets(container):
                if secret not in known:
                    raise request.forbidden(
                        f"{_SAID[field]} {container.get('name', '')} {how} referencing "
                        f'secret.secretName="{secret}" {not_listed} secret'
                    )
    pulls = {one.get("name") for one in account.get("imagePullSecrets") or ()}
    for index, one in enumerate(() if request.subresource else spec.get("imagePullSecrets") or ()):
        if one.get("name") not in pulls:
            raise request.forbidden(
                f'imagePullSecrets[{index}].name="{one.get("name")}" {not_listed} imagePullSecret'
            )


HOOKS = Hooks(
    changes=(Hook(_give_account, (kinds.POD,)),),
    checks=(Hook(_check_ephemeral, (kinds.POD,), ("update",), "ephemeralcontainers"),),
    additions=((kinds.POD, _hand_token),),
)
