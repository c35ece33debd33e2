"""ServiceAccount: every pod runs as an account, which has to be there, and is handed a token of it
(plugin/pkg/admission/serviceaccount)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from zlib import crc32

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Doc
from longshore.core.registry.admission.attributes import (
    POD_CONTAINERS,
    Attributes,
    Hook,
    Hooks,
    containers,
)

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
    wanted = spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken"))
    if wanted is not False:
        _mount(spec, _volume_name(request.namespace, account["metadata"]["name"]))


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


@lru_cache(maxsize=1024)
def _volume_name(namespace: str, account: str) -> str:
    """Upstream draws the last five characters for each pod. All that is asked of the name is that a
    pod has no other volume of it, so pods of an account have the same one, and may share a spec."""
    return f"{VOLUME_PREFIX}{crc32(f'{namespace}/{account}'.encode()):08x}"[:21]


def _mount(spec: Doc, name: str) -> None:
    volumes = spec.get("volumes") or []
    named = (volume.get("name", "") for volume in volumes)
    there = next((one for one in named if one.startswith(VOLUME_PREFIX)), "")
    needed, name = False, there or name
    for container in (*(spec.get("initContainers") or ()), *spec.get("containers", ())):
        mounts = container.get("volumeMounts") or []
        if not any(mount.get("mountPath") == MOUNT_PATH for mount in mounts):
            mount = {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}
            container["volumeMounts"] = [*mounts, mount]
            needed = True
    if needed and not there:
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
    changes=(Hook(_give_account, (kinds.POD,), looks_up=(kinds.SERVICE_ACCOUNT,)),),
    checks=(Hook(_check_ephemeral, (kinds.POD,), ("update",), "ephemeralcontainers"),),
)
