"""What a pod, or a volume, refers to by name: what a node must be able to read to run it.

Rules: pkg/api/v1/pod/util.go (VisitPodSecretNames, VisitPodConfigmapNames),
pkg/api/v1/persistentvolume/util.go and plugin/pkg/auth/authorizer/node/graph.go of Kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterator

from longshore.core.objects.kinds import Doc

MIRROR = "kubernetes.io/config.mirror"
SECRETS, CONFIG_MAPS, CLAIMS = "secrets", "configmaps", "persistentvolumeclaims"
ACCOUNTS, RESOURCE_CLAIMS = "serviceaccounts", "resourceclaims"
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_SECRET_REFS = ("secretRef", "nodePublishSecretRef", "nodeStageSecretRef", "nodeExpandSecretRef")


def pod_references(pod: Doc) -> frozenset[tuple[str, str, str]]:
    """Resource, namespace and name of all that a pod refers to. A mirror pod refers to nothing:
    nodes make those themselves."""
    metadata, spec = pod["metadata"], pod["spec"]
    if MIRROR in (metadata.get("annotations") or {}):
        return frozenset()
    found = [*spec_references(spec, metadata["name"]), *_resource_claims(pod)]
    namespace = metadata["namespace"]
    return frozenset((resource, namespace, name) for resource, name in found if name)


def spec_references(spec: Doc, pod_name: str) -> Iterator[tuple[str, str]]:
    """Resource and name."""
    yield ACCOUNTS, spec.get("serviceAccountName", "")
    for secret in spec.get("imagePullSecrets") or ():
        yield SECRETS, secret.get("name", "")
    for part in _CONTAINERS:
        for container in spec.get(part) or ():
            yield from _of_container(container)
    for volume in spec.get("volumes") or ():
        yield from _of_volume(volume, pod_name)


def _of_container(container: Doc) -> Iterator[tuple[str, str]]:
    for source in container.get("envFrom") or ():
        yield SECRETS, (source.get("secretRef") or {}).get("name", "")
        yield CONFIG_MAPS, (source.get("configMapRef") or {}).get("name", "")
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        yield SECRETS, (source.get("secretKeyRef") or {}).get("name", "")
        yield CONFIG_MAPS, (source.get("configMapKeyRef") or {}).get("name", "")


def _of_volume(volume: Doc, pod_name: str) -> Iterator[tuple[str, str]]:
    yield CONFIG_MAPS, (volume.get("configMap") or {}).get("name", "")
    yield CLAIMS, (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
    if "ephemeral" in volume:
        yield CLAIMS, f"{pod_name}-{volume['name']}"
    for source in (volume.get("projected") or {}).get("sources") or ():
        yield SECRETS, (source.get("secret") or {}).get("name", "")
        yield CONFIG_MAPS, (source.get("configMap") or {}).get("name", "")
    for source in volume.values():
        if isinstance(source, dict):
            yield SECRETS, source.get("secretName", "")
            yield from ((SECRETS, ref.get("name", "")) for ref in _refs(source))


def _resource_claims(pod: Doc) -> Iterator[tuple[str, str]]:
    status = pod.get("status") or {}
    for claim in pod["spec"].get("resourceClaims") or ():
        yield RESOURCE_CLAIMS, claim.get("resourceClaimName", "")
    for claim in status.get("resourceClaimStatuses") or ():
        yield RESOURCE_CLAIMS, claim.get("resourceClaimName") or ""
    extended = status.get("extendedResourceClaimStatus") or {}
    yield RESOURCE_CLAIMS, extended.get("resourceClaimName", "")


def volume_secrets(volume: Doc) -> Iterator[tuple[str, str]]:
    """Namespace and name of the Secrets that a node needs to mount a PersistentVolume: those of
    its claim's namespace, unless it names another."""
    spec = volume.get("spec") or {}
    home = (spec.get("claimRef") or {}).get("namespace", "")
    for source in spec.values():
        if not isinstance(source, dict):
            continue
        if source.get("secretName"):
            yield source.get("secretNamespace") or home, source["secretName"]
        for ref in _refs(source):
            yield ref.get("namespace") or home, ref.get("name", "")


def _refs(source: Doc) -> Iterator[Doc]:
    return (source[field] for field in _SECRET_REFS if source.get(field))


_OBJECT_VOLUMES = {
    "csi": "csidrivers (via CSI volumes)",
    "glusterfs": "endpoints (via glusterFS volumes)",
    "persistentVolumeClaim": "persistentvolumeclaims",
    "ephemeral": "persistentvolumeclaims (via ephemeral volumes)",
    "azureFile": "secrets (via azureFile volumes)",
}
_OBJECT_SOURCES = {
    "serviceAccountToken": "serviceaccounts (via projected volumes)",
    "clusterTrustBundle": "clustertrustbundles",
    "podCertificate": "podcertificates",
}


def object_reference(spec: Doc) -> str:
    """A resource of the API that a pod's spec refers to, as upstream calls it; "" if it refers to
    none (HasAPIObjectReference in pkg/api/pod/util.go)."""
    for resource, name in spec_references(spec, ""):
        if name:
            return resource
    if spec.get("resourceClaims"):
        return RESOURCE_CLAIMS
    for volume in spec.get("volumes") or ():
        sources = (volume.get("projected") or {}).get("sources") or ()
        parts = [(_OBJECT_VOLUMES, volume), *((_OBJECT_SOURCES, source) for source in sources)]
        for words, part in parts:
            for field, said in words.items():
                if field in part:
                    return said
    return ""
