"""The flow schemas and priority levels that every cluster has from its start.

The mandatory ones and upstream's suggestions, with its numbers (k8s.io/apiserver
pkg/apis/flowcontrol/bootstrap/default.go, v1.37).
"""

from __future__ import annotations

from longshore.core.objects.kinds import FLOW_SCHEMA, PRIORITY_LEVEL, Doc, Kind

AUTO_UPDATE = "apf.kubernetes.io/autoupdate-spec"
MANDATORY_FLOW_SCHEMAS = frozenset(("exempt", "catch-all"))
MANDATORY_PRIORITY_LEVELS = frozenset(("exempt", "catch-all"))


def _object(kind: Kind, name: str, spec: Doc) -> Doc:
    metadata = {"name": name, "annotations": {AUTO_UPDATE: "true"}}
    return {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": metadata,
        "spec": spec,
    }


def _level(
    name: str, shares: int, lendable_percent: int, queues: tuple[int, int, int] | None
) -> Doc:
    """queues: how many, the hand of one flow, and the length of each. None rejects at once."""
    response: Doc = {"type": "Reject"}
    if queues is not None:
        fields = ("queues", "handSize", "queueLengthLimit")
        response = {"type": "Queue", "queuing": dict(zip(fields, queues, strict=True))}
    limited = {
        "nominalConcurrencyShares": shares,
        "lendablePercent": lendable_percent,
        "limitResponse": response,
    }
    return _object(PRIORITY_LEVEL, name, {"type": "Limited", "limited": limited})


_EXEMPT = _object(
    PRIORITY_LEVEL, "exempt",
    {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}},
)  # fmt: skip

PRIORITY_LEVELS: list[Doc] = [
    _EXEMPT,
    _level("catch-all", 5, 0, None),
    _level("system", 30, 33, (64, 6, 50)),
    _level("node-high", 40, 25, (64, 6, 50)),
    _level("leader-election", 10, 0, (16, 4, 50)),
    _level("workload-high", 40, 50, (128, 6, 50)),
    _level("workload-low", 100, 90, (128, 6, 50)),
    _level("global-default", 20, 50, (128, 6, 50)),
]
"""As prioritylevelconfigurations.flowcontrol.apiserver.k8s.io/v1."""


def _schema(
    name: str, level: str, precedence: int, method: str, subjects: list[Doc], rules: Doc
) -> Doc:
    """method tells flows apart: ByUser, ByNamespace, or not at all."""
    spec: Doc = {
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": precedence,
        "rules": [{"subjects": subjects, **rules}],
    }
    if method:
        spec["distinguisherMethod"] = {"type": method}
    return _object(FLOW_SCHEMA, name, spec)


def _resources(verbs: str, group: str, resources: str, *, cluster: bool = False) -> Doc:
    rule: Doc = {
        "verbs": verbs.split(), "apiGroups": [group], "resources": resources.split(),
        "namespaces": ["*"],
    }  # fmt: skip
    return {**rule, "clusterScope": True} if cluster else rule


def _urls(verb: str, *urls: str) -> Doc:
    return {"verbs": [verb], "nonResourceURLs": list(urls)}


def _everything() -> Doc:
    return {
        "resourceRules": [_resources("*", "*", "*", cluster=True)],
        "nonResourceRules": [_urls("*", "*")],
    }


def _groups(*names: str) -> list[Doc]:
    return [{"kind": "Group", "group": {"name": f"system:{name}"}} for name in names]


def _users(*names: str) -> list[Doc]:
    return [{"kind": "User", "user": {"name": f"system:{name}"}} for name in names]


def _system_accounts() -> list[Doc]:
    account = {"namespace": "kube-system", "name": "*"}
    return [{"kind": "ServiceAccount", "serviceAccount": account}]


_LEASES = ("coordination.k8s.io", "leases")

FLOW_SCHEMAS: list[Doc] = [
    _schema("exempt", "exempt", 1, "", _groups("masters"), _everything()),
    _schema(
        "probes", "exempt", 2, "", _groups("unauthenticated", "authenticated"),
        {"nonResourceRules": [_urls("get", "/healthz", "/readyz", "/livez")]},
    ),
    _schema(
        "system-leader-election", "leader-election", 100, "ByUser",
        [*_users("kube-controller-manager", "kube-scheduler"), *_system_accounts()],
        {"resourceRules": [_resources("get create update", *_LEASES)]},
    ),
    _schema(
        "system-node-high", "node-high", 400, "ByUser", _groups("nodes"),
        {"resourceRules": [
            _resources("*", "", "nodes nodes/status", cluster=True), _resources("*", *_LEASES),
        ]},
    ),
    _schema("system-nodes", "system", 500, "ByUser", _groups("nodes"), _everything()),
    _schema(
        "kube-controller-manager", "workload-high", 800, "ByNamespace",
        _users("kube-controller-manager"), _everything(),
    ),
    _schema(
        "kube-scheduler", "workload-high", 800, "ByNamespace", _users("kube-scheduler"), _everything(),
    ),
    _schema(
        "kube-system-service-accounts", "workload-high", 900, "ByNamespace", _system_accounts(),
        _everything(),
    ),
    _schema(
        "service-accounts", "workload-low", 9000, "ByUser", _groups("serviceaccounts"), _everything(),
    ),
    _schema(
        "global-default", "global-default", 9900, "ByUser",
        _groups("unauthenticated", "authenticated"), _everything(),
    ),
    _schema(
        "catch-all", "catch-all", 10_000, "ByUser", _groups("unauthenticated", "authenticated"),
        _everything(),
    ),
]  # fmt: skip
"""As flowschemas.flowcontrol.apiserver.k8s.io/v1, in the order of their precedence."""
