"""The table of kinds: what is served, under which names, and where it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Doc: TypeAlias = dict[str, Any]
"""A decoded object. Documents from the cache are shared: never change one, build a new one."""

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One served kind. There is one instance of each, so kinds are compared by identity.

    schema is the definition's name in the published OpenAPI document; subresources names what is
    served below an object's path ("status", "scale", "log", "binding").
    """

    group: str
    version: str
    name: str
    plural: str
    schema: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    # Where objects of the kind begin in the store; looked up at every request.
    prefix: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "prefix", f"/{self.group or 'core'}/{self.plural}/")

    @property
    def api_version(self) -> str:
        """What an object's apiVersion field says: "v1" or "apps/v1"."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        return self.name.lower()

    @property
    def list_name(self) -> str:
        return f"{self.name}List"

    @property
    def resource(self) -> str:
        """The qualified resource name that error messages use: "pods", "deployments.apps"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def key(self, namespace: str, name: str) -> str:
        """The store's key of one object; the namespace is empty for cluster-scoped kinds."""
        return f"{self.prefix}{namespace}/{name}" if self.namespaced else f"{self.prefix}{name}"

    def key_of(self, doc: Doc) -> str:
        metadata = doc["metadata"]
        return self.key(metadata.get("namespace", ""), metadata["name"])


@dataclass(frozen=True, slots=True)
class Ref:
    """Points at one object, or at a subresource of it ("status", "scale", "finalize")."""

    kind: Kind
    namespace: str
    name: str
    subresource: str = ""

    @property
    def key(self) -> str:
        return self.kind.key(self.namespace, self.name)


def _core(name: str, plural: str, **more: Any) -> Kind:
    return Kind("", "v1", name, plural, f"io.k8s.api.core.v1.{name}", **more)


NAMESPACE = _core("Namespace", "namespaces", namespaced=False, short_names=("ns",),
                  subresources=("status", "finalize"))  # fmt: skip
NODE = _core("Node", "nodes", namespaced=False, short_names=("no",), subresources=("status",))
POD = _core("Pod", "pods", short_names=("po",), categories=("all",),
            subresources=("status", "log", "binding"))  # fmt: skip
SERVICE = _core("Service", "services", short_names=("svc",), categories=("all",),
                subresources=("status",))  # fmt: skip
ENDPOINTS = _core("Endpoints", "endpoints", short_names=("ep",))
CONFIG_MAP = _core("ConfigMap", "configmaps", short_names=("cm",))
SECRET = _core("Secret", "secrets")
SERVICE_ACCOUNT = _core("ServiceAccount", "serviceaccounts", short_names=("sa",))
EVENT = _core("Event", "events", short_names=("ev",))
ENDPOINT_SLICE = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices",
                      "io.k8s.api.discovery.v1.EndpointSlice")  # fmt: skip
REPLICA_SET = Kind("apps", "v1", "ReplicaSet", "replicasets", "io.k8s.api.apps.v1.ReplicaSet",
                   short_names=("rs",), categories=("all",),
                   subresources=("status", "scale"))  # fmt: skip
DEPLOYMENT = Kind("apps", "v1", "Deployment", "deployments", "io.k8s.api.apps.v1.Deployment",
                  short_names=("deploy",), categories=("all",),
                  subresources=("status", "scale"))  # fmt: skip
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases", "io.k8s.api.coordination.v1.Lease")


class Kinds:
    """All served kinds, found by resource path or by apiVersion and kind."""

    def __init__(self, kinds: tuple[Kind, ...]) -> None:
        self._by_resource = {(k.group, k.version, k.plural): k for k in kinds}
        self._by_gvk = {(k.api_version, k.name): k for k in kinds}
        assert len(self._by_gvk) == len(kinds), "two kinds share a name"

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._by_resource.values())

    def at(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind served below /apis/GROUP/VERSION/PLURAL (group is empty for the core group)."""
        return self._by_resource.get((group, version, plural))

    def named(self, api_version: str, name: str) -> Kind | None:
        """The kind that an object's apiVersion and kind fields name."""
        return self._by_gvk.get((api_version, name))


KINDS = Kinds((
    NAMESPACE, NODE, POD, SERVICE, ENDPOINTS, CONFIG_MAP, SECRET, SERVICE_ACCOUNT, EVENT,
    ENDPOINT_SLICE, REPLICA_SET, DEPLOYMENT, LEASE,
))  # fmt: skip
