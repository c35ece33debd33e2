"""All admission plug-ins of Kubernetes, in the order in which they act, with their defaults
(pkg/kubeapiserver/options/plugins.go), and one of OpenShift's."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from longshore.core.registry.admission import (
    accounts,
    certificates,
    claims,
    classes,
    events,
    images,
    limits,
    namespaces,
    node_restriction,
    nodes,
    owners,
    placement,
    pod_security,
    priorities,
    pulling,
    quotas,
    resizes,
    restricted_tolerations,
    runtimes,
    services,
    storage,
    tolerations,
    topology,
)
from longshore.core.registry.admission.attributes import Hooks
from longshore.core.registry.admission.surroundings import Surroundings

Build: TypeAlias = Callable[[Surroundings], Hooks]


class Plugin(NamedTuple):
    """on: by default. build gives its hooks; None: there is nothing here that it could act on.
    missing says why it cannot be switched on."""

    name: str
    on: bool
    build: Build | None = None
    missing: str = ""


def _plain(hooks: Hooks) -> Build:
    return lambda _: hooks


_LATER = "this server does not have it yet"
_DEPRECATED = "it is deprecated and has no real meaning"

PLUGINS = (
    Plugin("AlwaysAdmit", False, missing=_DEPRECATED),
    Plugin("NamespaceAutoProvision", False, missing=_LATER),
    Plugin("NamespaceLifecycle", True, _plain(namespaces.HOOKS)),
    Plugin("NamespaceExists", False, missing="NamespaceLifecycle does the same"),
    Plugin("LimitPodHardAntiAffinityTopology", False, _plain(placement.ANTI_AFFINITY)),
    Plugin("LimitRanger", True, _plain(limits.HOOKS)),
    Plugin("ServiceAccount", True, _plain(accounts.HOOKS)),
    Plugin("NodeRestriction", True, node_restriction.hooks),
    Plugin("TaintNodesByCondition", True, _plain(nodes.HOOKS)),
    Plugin("AlwaysPullImages", False, _plain(pulling.HOOKS)),
    Plugin(images.NAME, False, images.hooks),
    Plugin("PodSecurity", True, pod_security.hooks),
    Plugin("PodNodeSelector", False, placement.node_selector),
    Plugin("OriginPodNodeEnvironment", True, _plain(placement.PROJECT_SELECTOR)),
    Plugin("Priority", True, _plain(priorities.HOOKS)),
    Plugin("DefaultTolerationSeconds", True, _plain(tolerations.DEFAULT_SECONDS)),
    Plugin("PodTolerationRestriction", False, restricted_tolerations.hooks),
    Plugin("EventRateLimit", False, events.hooks),
    Plugin("ExtendedResourceToleration", False, _plain(tolerations.EXTENDED_RESOURCE)),
    Plugin("DefaultStorageClass", True, _plain(classes.STORAGE_CLASS)),
    Plugin("StorageObjectInUseProtection", True, _plain(storage.HOOKS)),
    Plugin("PodGroupProtection", True),
    Plugin("OwnerReferencesPermissionEnforcement", False, owners.hooks),
    Plugin("PersistentVolumeClaimResize", True, _plain(claims.HOOKS)),
    Plugin("RuntimeClass", True, _plain(runtimes.HOOKS)),
    Plugin("CertificateApproval", True, certificates.approval),
    Plugin("CertificateSigning", True, certificates.signing),
    Plugin("ClusterTrustBundleAttest", True, certificates.attestation),
    Plugin("CertificateSubjectRestriction", True, _plain(certificates.SUBJECT_RESTRICTION)),
    Plugin("DefaultIngressClass", True, _plain(classes.INGRESS_CLASS)),
    Plugin("DenyServiceExternalIPs", False, _plain(services.HOOKS)),
    Plugin(topology.NAME, True, _plain(topology.HOOKS)),
    Plugin("NodeDeclaredFeatureValidator", True),
    Plugin("PodResizeValidator", True, _plain(resizes.HOOKS)),
    # Of these, the kinds that configure them are refused by name.
    Plugin("MutatingAdmissionPolicy", True),
    Plugin("MutatingAdmissionWebhook", True),
    Plugin("ValidatingAdmissionPolicy", True),
    Plugin("ValidatingAdmissionWebhook", True),
    # Charged where a write is planned: see registry/quotas.py.
    Plugin("ResourceQuota", True, quotas.hooks),
    Plugin("AlwaysDeny", False, missing=_DEPRECATED),
)
