"""The table of kinds: what is served, under which names, how it is shown, and where it is kept.

Everything that a kind has in common with others is in its row; a kind's own logic is a pure
function keyed by its schema elsewhere in this package: defaults, rules, first status, columns that
must be calculated, conversion to another version.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

Doc: TypeAlias = dict[str, Any]
"""A decoded object. Documents from the cache are shared: never change one, build a new one."""

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_ONE_BY_ONE = tuple(verb for verb in ALL_VERBS if verb != "deletecollection")
_ASKED = ("create",)


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One served kind in one version. There is one instance of each, so kinds are compared by
    identity.

    schema is the definition's name in the published OpenAPI document. subresources names what is
    served below an object's path ("status", "scale", "log"). counted: metadata.generation grows
    when what is wanted changes. columns is what `kubectl get` shows besides the name, see
    columns.py. hub is the version as which objects of this one are stored (None: this is it).
    Kinds without "watch" among their verbs are asked and answered, and never stored. unserved
    says why objects of this kind cannot be created yet; dormant, that they are kept but nothing
    acts on them yet, which whoever creates one is told.
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
    verbs: tuple[str, ...] = ALL_VERBS
    counted: bool = False
    columns: str = "Age"
    hub: Kind | None = None
    unserved: str = ""
    dormant: bool = False
    # Where objects of the kind begin in the store; looked up at every request.
    prefix: str = field(init=False)

    def __post_init__(self) -> None:
        prefix = self.hub.prefix if self.hub else f"/{self.group or 'core'}/{self.plural}/"
        object.__setattr__(self, "prefix", prefix)

    @property
    def api_version(self) -> str:
        """What an object's apiVersion field says: "v1" or "apps/v1"."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def kept_as(self) -> Kind:
        """The version in which objects of this kind are stored."""
        return self.hub or self

    @property
    def is_stored(self) -> bool:
        """Whether objects are kept under this very version."""
        return self.hub is None and "watch" in self.verbs

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


class Ref(NamedTuple):
    """Points at one object, or at a subresource of it ("status", "scale", "finalize")."""

    kind: Kind
    namespace: str
    name: str
    subresource: str = ""

    @property
    def key(self) -> str:
        return self.kind.key(self.namespace, self.name)


class _Group:
    """Makes the rows of one group and version, whose definitions share a prefix."""

    def __init__(self, name: str, version: str = "v1", *, schemas: str = "") -> None:
        self._name = name
        self._version = version
        short = "core" if not name else name.partition(".")[0]
        self._schemas = schemas or f"io.k8s.api.{short}.{version}."

    def __call__(self, name: str, plural: str, short_names: str = "", **more: Any) -> Kind:
        for listed in ("categories", "subresources"):
            if listed in more:
                more[listed] = tuple(more[listed].split())
        return Kind(
            self._name, self._version, name, plural, self._schemas + name,
            short_names=tuple(short_names.split()), **more,
        )  # fmt: skip

    def cluster(self, name: str, plural: str, short_names: str = "", **more: Any) -> Kind:
        return self(name, plural, short_names, namespaced=False, **more)

    def asked(self, name: str, plural: str, *, namespaced: bool = False) -> Kind:
        """A question that is posted, answered, and kept nowhere."""
        return self(name, plural, namespaced=namespaced, verbs=_ASKED)


_core, _apps, _batch = _Group(""), _Group("apps"), _Group("batch")
_ALL = "all"
_TEMPLATE = "Containers,Images,Selector"

# ---- core

BINDING = _core.asked("Binding", "bindings", namespaced=True)
COMPONENT_STATUS = _core.cluster(
    "ComponentStatus", "componentstatuses", "cs", verbs=("get", "list"), columns="Status,Message,Error",
)  # fmt: skip
CONFIG_MAP = _core("ConfigMap", "configmaps", "cm", columns="Data,Age")
ENDPOINTS = _core("Endpoints", "endpoints", "ep", columns="Endpoints,Age")
EVENT = _core(
    "Event", "events", "ev",
    columns="Last Seen,Type,Reason,Object,Subobject:wide,Source:wide,Message,First Seen:wide,"
    "Count:integer:wide,Name:wide",
)  # fmt: skip
LIMIT_RANGE = _core(
    "LimitRange", "limitranges", "limits", columns="Created At=.metadata.creationTimestamp"
)
NAMESPACE = _core.cluster(
    "Namespace", "namespaces", "ns", verbs=_ONE_BY_ONE, subresources="finalize status",
    columns="Status=.status.phase,Age",
)  # fmt: skip
NODE = _core.cluster(
    "Node", "nodes", "no", subresources="proxy status",
    columns="Status,Roles,Age,Version|Internal-IP,External-IP,OS-Image,Kernel-Version,Container-Runtime",
)  # fmt: skip
PVC = _core(
    "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", subresources="status",
    columns="Status,Volume,Capacity,Access Modes,StorageClass,VolumeAttributesClass,Age|VolumeMode",
)  # fmt: skip
PV = _core.cluster(
    "PersistentVolume", "persistentvolumes", "pv", subresources="status",
    columns="Capacity,Access Modes,Reclaim Policy,Status,Claim,StorageClass,VolumeAttributesClass,"
    "Reason,Age|VolumeMode",
)  # fmt: skip
POD = _core(
    "Pod", "pods", "po", categories=_ALL, counted=True,
    subresources="attach binding ephemeralcontainers eviction exec log portforward proxy resize status",
    columns="Ready,Status,Restarts,Age|IP,Node,Nominated Node,Readiness Gates",
)  # fmt: skip
POD_TEMPLATE = _core(
    "PodTemplate", "podtemplates", columns="Containers,Images,Pod Labels", counted=True
)
REPLICATION_CONTROLLER = _core(
    "ReplicationController", "replicationcontrollers", "rc", categories=_ALL, counted=True,
    subresources="scale status", columns=f"Desired:integer,Current:integer,Ready:integer,Age|{_TEMPLATE}",
)  # fmt: skip
RESOURCE_QUOTA = _core(
    "ResourceQuota", "resourcequotas", "quota", subresources="status", columns="Request,Limit,Age",
)  # fmt: skip
SECRET = _core("Secret", "secrets", columns="Type=.type,Data:integer,Age")
SERVICE_ACCOUNT = _core(
    "ServiceAccount", "serviceaccounts", "sa", subresources="token", columns="Secrets:integer,Age",
)  # fmt: skip
SERVICE = _core(
    "Service", "services", "svc", categories=_ALL, subresources="proxy status",
    columns="Type,Cluster-IP,External-IP,Port(s),Age|Selector",
)  # fmt: skip

# ---- workloads

CONTROLLER_REVISION = _apps(
    "ControllerRevision", "controllerrevisions", columns="Controller,Revision=.revision,Age"
)
DAEMON_SET = _apps(
    "DaemonSet", "daemonsets", "ds", categories=_ALL, subresources="status", counted=True,
    columns="Desired:integer,Current:integer,Ready:integer,Up-to-date:integer,Available:integer,"
    f"Node Selector,Age|{_TEMPLATE}",
)  # fmt: skip
DEPLOYMENT = _apps(
    "Deployment", "deployments", "deploy", categories=_ALL, subresources="scale status", counted=True,
    columns=f"Ready,Up-to-date:integer,Available:integer,Age|{_TEMPLATE}",
)  # fmt: skip
REPLICA_SET = _apps(
    "ReplicaSet", "replicasets", "rs", categories=_ALL, subresources="scale status", counted=True,
    columns=f"Desired:integer,Current:integer,Ready:integer,Age|{_TEMPLATE}",
)  # fmt: skip
STATEFUL_SET = _apps(
    "StatefulSet", "statefulsets", "sts", categories=_ALL, subresources="scale status", counted=True,
    columns="Ready,Age|Containers,Images",
)  # fmt: skip
CRON_JOB = _batch(
    "CronJob", "cronjobs", "cj", categories=_ALL, subresources="status", counted=True,
    columns=f"Schedule,Timezone,Suspend,Active:integer,Last Schedule,Age|{_TEMPLATE}",
)  # fmt: skip
JOB = _batch(
    "Job", "jobs", categories=_ALL, subresources="status", counted=True,
    columns=f"Status,Completions,Duration,Age|{_TEMPLATE}",
)  # fmt: skip
_HPA_COLUMNS = "Reference,Targets,MinPods,MaxPods:integer,Replicas:integer,Age"
HPA = _Group("autoscaling", "v2")(
    "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", categories=_ALL,
    subresources="status", columns=_HPA_COLUMNS,
)  # fmt: skip
HPA_V1 = _Group("autoscaling")(
    "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", categories=_ALL,
    subresources="status", columns=_HPA_COLUMNS, hub=HPA,
)  # fmt: skip
_policy = _Group("policy")
PDB = _policy(
    "PodDisruptionBudget", "poddisruptionbudgets", "pdb", subresources="status", counted=True,
    columns="Min Available,Max Unavailable,Allowed Disruptions:integer,Age",
)  # fmt: skip

# ---- network

_network = _Group("networking.k8s.io")
ENDPOINT_SLICE = _Group("discovery.k8s.io")(
    "EndpointSlice", "endpointslices", counted=True, columns="AddressType,Ports,Endpoints,Age",
)  # fmt: skip
INGRESS = _network(
    "Ingress", "ingresses", "ing", subresources="status", counted=True,
    columns="Class,Hosts,Address,Ports,Age", dormant=True,
)  # fmt: skip
INGRESS_CLASS = _network.cluster(
    "IngressClass", "ingressclasses", counted=True, columns="Controller,Parameters,Age",
)  # fmt: skip
NETWORK_POLICY = _network(
    "NetworkPolicy",
    "networkpolicies",
    "netpol",
    counted=True,
    columns="Pod-Selector,Age",
)
IP_ADDRESS = _network.cluster(
    "IPAddress", "ipaddresses", "ip", counted=True, columns="ParentRef,Age"
)
SERVICE_CIDR = _network.cluster(
    "ServiceCIDR", "servicecidrs", subresources="status", counted=True, columns="CIDRs,Age",
)  # fmt: skip

# ---- storage

_storage = _Group("storage.k8s.io")
CSI_DRIVER = _storage.cluster(
    "CSIDriver", "csidrivers", counted=True,
    columns="AttachRequired:boolean,PodInfoOnMount:boolean,StorageCapacity:boolean,TokenRequests,"
    "RequiresRepublish:boolean,Modes,Age",
)  # fmt: skip
CSI_NODE = _storage.cluster(
    "CSINode", "csinodes", subresources="status", columns="Drivers:integer,Age"
)
CSI_STORAGE_CAPACITY = _storage(
    "CSIStorageCapacity", "csistoragecapacities", columns="StorageClassName=.storageClassName,Capacity",
)  # fmt: skip
STORAGE_CLASS = _storage.cluster(
    "StorageClass", "storageclasses", "sc",
    columns="Provisioner=.provisioner,ReclaimPolicy,VolumeBindingMode,AllowVolumeExpansion,Age",
)  # fmt: skip
VOLUME_ATTACHMENT = _storage.cluster(
    "VolumeAttachment", "volumeattachments", subresources="status",
    columns="Attacher=.spec.attacher,PV,Node=.spec.nodeName,Attached:boolean=.status.attached,Age", dormant=True,
)  # fmt: skip
VOLUME_ATTRIBUTES_CLASS = _storage.cluster(
    "VolumeAttributesClass", "volumeattributesclasses", "vac", columns="DriverName=.driverName,Age",
)  # fmt: skip

# ---- who may do what

_rbac, _authn = _Group("rbac.authorization.k8s.io"), _Group("authentication.k8s.io")
_authz = _Group("authorization.k8s.io")
_certificates = _Group("certificates.k8s.io")
_BINDING_COLUMNS = "Role,Age|Users,Groups,ServiceAccounts"
ROLE = _rbac(
    "Role",
    "roles",
    columns="Created At=.metadata.creationTimestamp",
)
ROLE_BINDING = _rbac(
    "RoleBinding",
    "rolebindings",
    columns=_BINDING_COLUMNS,
)
CLUSTER_ROLE = _rbac.cluster(
    "ClusterRole",
    "clusterroles",
    columns="Created At=.metadata.creationTimestamp",
)
CLUSTER_ROLE_BINDING = _rbac.cluster(
    "ClusterRoleBinding",
    "clusterrolebindings",
    columns=_BINDING_COLUMNS,
)
TOKEN_REVIEW = _authn.asked("TokenReview", "tokenreviews")
SELF_SUBJECT_REVIEW = _authn.asked("SelfSubjectReview", "selfsubjectreviews")
SUBJECT_ACCESS_REVIEW = _authz.asked("SubjectAccessReview", "subjectaccessreviews")
SELF_SUBJECT_ACCESS_REVIEW = _authz.asked("SelfSubjectAccessReview", "selfsubjectaccessreviews")
SELF_SUBJECT_RULES_REVIEW = _authz.asked("SelfSubjectRulesReview", "selfsubjectrulesreviews")
LOCAL_SUBJECT_ACCESS_REVIEW = _authz.asked(
    "LocalSubjectAccessReview", "localsubjectaccessreviews", namespaced=True
)
CSR = _certificates.cluster(
    "CertificateSigningRequest", "certificatesigningrequests", "csr", subresources="approval status",
    columns="Age,SignerName=.spec.signerName,Requestor=.spec.username,RequestedDuration,Condition", dormant=True,
)  # fmt: skip
POD_CERTIFICATE_REQUEST = _certificates(
    "PodCertificateRequest", "podcertificaterequests", subresources="status",
    columns="PodName=.spec.podName,ServiceAccountName=.spec.serviceAccountName,NodeName=.spec.nodeName,"
    "SignerName=.spec.signerName,State|UnverifiedUserAnnotations", dormant=True,
)  # fmt: skip
CLUSTER_TRUST_BUNDLE = _certificates.cluster(
    "ClusterTrustBundle", "clustertrustbundles", columns="SignerName=.spec.signerName",
)  # fmt: skip

# ---- the platform's own

LEASE = _Group("coordination.k8s.io")("Lease", "leases", columns="Holder=.spec.holderIdentity,Age")
EVENT_V1 = _Group("events.k8s.io")("Event", "events", "ev", columns=EVENT.columns, hub=EVENT)
RUNTIME_CLASS = _Group("node.k8s.io").cluster(
    "RuntimeClass", "runtimeclasses", columns="Handler=.handler,Age"
)
PRIORITY_CLASS = _Group("scheduling.k8s.io").cluster(
    "PriorityClass", "priorityclasses", "pc", counted=True,
    columns="Value:integer=.value,Global-Default:boolean=.globalDefault,Age|PreemptionPolicy=.preemptionPolicy",
)  # fmt: skip
POD_GROUP = _Group("scheduling.k8s.io", "v1beta1")(
    "PodGroup", "podgroups", subresources="status", counted=True, columns="Policy,Workload,Status,Age",
)  # fmt: skip
_flow = _Group("flowcontrol.apiserver.k8s.io", schemas="io.k8s.api.flowcontrol.v1.")
FLOW_SCHEMA = _flow.cluster(
    "FlowSchema", "flowschemas", subresources="status", counted=True,
    columns="PriorityLevel=.spec.priorityLevelConfiguration.name,"
    "MatchingPrecedence:integer=.spec.matchingPrecedence,DistinguisherMethod,Age,MissingPL",
)  # fmt: skip
PRIORITY_LEVEL = _flow.cluster(
    "PriorityLevelConfiguration", "prioritylevelconfigurations", subresources="status", counted=True,
    columns="Type=.spec.type,NominalConcurrencyShares,Queues,HandSize,QueueLengthLimit,Age",
)  # fmt: skip
_resource = _Group("resource.k8s.io", schemas="io.k8s.api.resource.v1.")
DEVICE_CLASS = _resource.cluster("DeviceClass", "deviceclasses", counted=True)
DEVICE_TAINT_RULE = _resource.cluster(
    "DeviceTaintRule", "devicetaintrules", subresources="status", counted=True,
    columns="Key,Value,Effect,TimeAdded,Age",
)  # fmt: skip
RESOURCE_CLAIM = _resource(
    "ResourceClaim",
    "resourceclaims",
    subresources="status",
    columns="State,Age",
)
RESOURCE_CLAIM_TEMPLATE = _resource("ResourceClaimTemplate", "resourceclaimtemplates")
RESOURCE_SLICE = _resource.cluster(
    "ResourceSlice", "resourceslices", counted=True,
    columns="Node=.spec.nodeName,Driver=.spec.driver,Pool=.spec.pool.name,Age",
)  # fmt: skip
STORAGE_VERSION_MIGRATION = _Group("storagemigration.k8s.io").cluster(
    "StorageVersionMigration", "storageversionmigrations", subresources="status", counted=True,
    columns="Resource,Status", dormant=True,
)  # fmt: skip

# ---- who may use how much: offers of capacity to other schedulers, queues of tenants

OFFER = _Group("scheduling.longshore.io", schemas="io.longshore.scheduling.v1.").cluster(
    "Offer", "offers", subresources="status", counted=True,
    columns="Scheduler=.spec.schedulerName,Node=.spec.nodeName,Expires,Age",
)  # fmt: skip
_queue = _Group("kueue.x-k8s.io", "v1beta1", schemas="io.x-k8s.kueue.v1beta1.")
_QUEUED = "Pending Workloads:integer=.status.pendingWorkloads,Admitted Workloads:integer=.status.admittedWorkloads"
CLUSTER_QUEUE = _queue.cluster(
    "ClusterQueue", "clusterqueues", "cq", subresources="status", counted=True,
    columns=f"Cohort=.spec.cohort,{_QUEUED},Age",
)  # fmt: skip
LOCAL_QUEUE = _queue(
    "LocalQueue", "localqueues", "queue queues lq", subresources="status", counted=True,
    columns=f"ClusterQueue=.spec.clusterQueue,{_QUEUED},Age",
)  # fmt: skip

# ---- what was used: by projects over time, and by workloads, to say what they should request

_usage = _Group("usage.longshore.io", schemas="io.longshore.usage.v1.")
USAGE_RECORD = _usage.cluster("UsageRecord", "usagerecords", columns="Project=.spec.project,Age")
WORKLOAD_USAGE = _usage(
    "WorkloadUsage", "workloadusages", "wu",
    columns="Kind=.spec.targetRef.kind,Workload=.spec.targetRef.name,Age",
)  # fmt: skip
PROJECT_USAGE = _usage(
    "ProjectUsage", "projectusages", verbs=("get", "list"),
    columns="CPU=.usage.cpu,CPU Requests=.requests.cpu,Memory=.usage.memory,"
    "Memory Requests=.requests.memory,Storage=.usage.storage,Pods:number=.pods",
)  # fmt: skip

# ---- extensions: listed, and refused by name until they take effect

_admission = _Group("admissionregistration.k8s.io")
_WEBHOOKS = "admission webhooks are not called yet, and one that is not called protects nothing"
_POLICIES = (
    "admission policies are not evaluated yet, and one that is not evaluated protects nothing"
)
_EXTENSIONS = "api-extensions"
MUTATING_WEBHOOK = _admission.cluster(
    "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", categories=_EXTENSIONS,
    counted=True, columns="Webhooks:integer,Age", unserved=_WEBHOOKS,
)  # fmt: skip
VALIDATING_WEBHOOK = _admission.cluster(
    "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", categories=_EXTENSIONS,
    counted=True, columns="Webhooks:integer,Age", unserved=_WEBHOOKS,
)  # fmt: skip
VALIDATING_POLICY = _admission.cluster(
    "ValidatingAdmissionPolicy", "validatingadmissionpolicies", categories=_EXTENSIONS,
    subresources="status", counted=True, columns="Validations:integer,ParamKind,Age", unserved=_POLICIES,
)  # fmt: skip
VALIDATING_POLICY_BINDING = _admission.cluster(
    "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", categories=_EXTENSIONS,
    counted=True, columns="PolicyName=.spec.policyName,ParamRef,Age", unserved=_POLICIES,
)  # fmt: skip
MUTATING_POLICY = _admission.cluster(
    "MutatingAdmissionPolicy", "mutatingadmissionpolicies", categories=_EXTENSIONS, counted=True,
    columns="Mutations:integer,ParamKind,Age", unserved=_POLICIES,
)  # fmt: skip
MUTATING_POLICY_BINDING = _admission.cluster(
    "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", categories=_EXTENSIONS,
    counted=True, columns="PolicyName=.spec.policyName,ParamRef,Age", unserved=_POLICIES,
)  # fmt: skip
CUSTOM_RESOURCE_DEFINITION = _Group(
    "apiextensions.k8s.io", schemas="io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
).cluster(
    "CustomResourceDefinition", "customresourcedefinitions", "crd crds", categories=_EXTENSIONS,
    subresources="status", counted=True, columns="Created At=.metadata.creationTimestamp",
    unserved="custom resources are not served yet",
)  # fmt: skip
API_SERVICE = _Group(
    "apiregistration.k8s.io", schemas="io.k8s.kube-aggregator.pkg.apis.apiregistration.v1."
).cluster(
    "APIService", "apiservices", categories=_EXTENSIONS, subresources="status",
    columns="Service,Available,Age", unserved="API aggregation is not served yet",
)  # fmt: skip

# ---- what is spoken of below an object's path, and never stored

SCALE = _Group("autoscaling")(
    "Scale", "scales", namespaced=True, verbs=_ASKED,
    columns="Desired:integer=.spec.replicas,Available:integer=.status.replicas,Age",
)  # fmt: skip
EVICTION = _policy.asked("Eviction", "evictions", namespaced=True)
TOKEN_REQUEST = _authn.asked("TokenRequest", "tokenrequests", namespaced=True)

# ---- what is measured when it is asked for, and never stored

_metrics = _Group("metrics.k8s.io", "v1beta1", schemas="io.k8s.metrics.pkg.apis.metrics.v1beta1.")
_READ = ("get", "list")
_USED = "cpu,memory,Window=.window"
NODE_METRICS = _metrics.cluster("NodeMetrics", "nodes", verbs=_READ, columns=_USED)
POD_METRICS = _metrics("PodMetrics", "pods", verbs=_READ, columns=_USED)

# ---- what every node may know of pods and namespaces, to enforce NetworkPolicies: the hub, cut down

_peers = _Group("network.longshore.io", schemas="io.longshore.network.v1.")
_FOLLOWED = ("list", "watch")
POD_PEER = _peers("PodPeer", "podpeers", verbs=_FOLLOWED, hub=POD)
NAMESPACE_PEER = _peers.cluster("NamespacePeer", "namespacepeers", verbs=_FOLLOWED, hub=NAMESPACE)
NODE_PEER = _peers.cluster("NodePeer", "nodepeers", verbs=_FOLLOWED, hub=NODE)


class Kinds:
    """All served kinds, found by resource path or by apiVersion and kind."""

    def __init__(self, kinds: tuple[Kind, ...]) -> None:
        self._by_resource = {(k.group, k.version, k.plural): k for k in kinds}
        self._by_gvk = {(k.api_version, k.name): k for k in kinds}
        self.stored = tuple(kind for kind in kinds if kind.is_stored)
        assert len(self._by_gvk) == len(kinds), "two kinds share a name"

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._by_resource.values())

    def at(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind served below /apis/GROUP/VERSION/PLURAL (group is empty for the core group)."""
        return self._by_resource.get((group, version, plural))

    def named(self, api_version: str, name: str) -> Kind | None:
        """The kind that an object's apiVersion and kind fields name."""
        return self._by_gvk.get((api_version, name))


# The order of groups is that of discovery; the first version of a group is its preferred one.
KINDS = Kinds((
    BINDING, COMPONENT_STATUS, CONFIG_MAP, ENDPOINTS, EVENT, LIMIT_RANGE, NAMESPACE, NODE, PVC, PV,
    POD, POD_TEMPLATE, REPLICATION_CONTROLLER, RESOURCE_QUOTA, SECRET, SERVICE_ACCOUNT, SERVICE,
    API_SERVICE,
    CONTROLLER_REVISION, DAEMON_SET, DEPLOYMENT, REPLICA_SET, STATEFUL_SET,
    EVENT_V1,
    TOKEN_REVIEW, SELF_SUBJECT_REVIEW,
    LOCAL_SUBJECT_ACCESS_REVIEW, SELF_SUBJECT_ACCESS_REVIEW, SELF_SUBJECT_RULES_REVIEW,
    SUBJECT_ACCESS_REVIEW,
    HPA, HPA_V1,
    CRON_JOB, JOB,
    CSR, POD_CERTIFICATE_REQUEST, CLUSTER_TRUST_BUNDLE,
    INGRESS, INGRESS_CLASS, NETWORK_POLICY, IP_ADDRESS, SERVICE_CIDR,
    PDB,
    CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING,
    CSI_DRIVER, CSI_NODE, CSI_STORAGE_CAPACITY, STORAGE_CLASS, VOLUME_ATTACHMENT,
    VOLUME_ATTRIBUTES_CLASS,
    MUTATING_POLICY, MUTATING_POLICY_BINDING, MUTATING_WEBHOOK, VALIDATING_POLICY,
    VALIDATING_POLICY_BINDING, VALIDATING_WEBHOOK,
    CUSTOM_RESOURCE_DEFINITION,
    PRIORITY_CLASS, POD_GROUP,
    LEASE,
    RUNTIME_CLASS,
    ENDPOINT_SLICE,
    FLOW_SCHEMA, PRIORITY_LEVEL,
    DEVICE_CLASS, DEVICE_TAINT_RULE, RESOURCE_CLAIM, RESOURCE_CLAIM_TEMPLATE, RESOURCE_SLICE,
    STORAGE_VERSION_MIGRATION,
    OFFER, CLUSTER_QUEUE, LOCAL_QUEUE,
    USAGE_RECORD, WORKLOAD_USAGE,
))  # fmt: skip
SPOKEN = Kinds((SCALE, EVICTION, TOKEN_REQUEST))
"""Kinds of subresources: they have no collection of their own."""
MEASURED = (NODE_METRICS, POD_METRICS)
"""Served beside KINDS where nodes can be asked."""
PEERS = (POD_PEER, NAMESPACE_PEER, NODE_PEER)
ACCOUNTED = (PROJECT_USAGE,)
"""Reckoned up from UsageRecords when it is asked for, and never stored."""
SERVED = Kinds((*KINDS, *PEERS, *ACCOUNTED))
"""KINDS, what nodes need of them for NetworkPolicies and routes, and what projects used."""
