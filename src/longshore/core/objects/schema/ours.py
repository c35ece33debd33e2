"""The definitions of kinds that are kept here and that no release of Kubernetes carries: offers of
capacity are Longshore's own, queues have the names and the shape of Kueue's (kueue.x-k8s.io/v1beta1),
with the fields that are acted on and no others. What was used is in usage.py.

tools/build_definitions.py puts them into the packaged file beside Kubernetes' own.
"""

from __future__ import annotations

from typing import Any

from longshore.core.objects.kinds import CLUSTER_QUEUE, LOCAL_QUEUE, OFFER, Kind

Definition = dict[str, Any]

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"


def our_definitions() -> dict[str, Definition]:
    """By name, as OpenAPI v2 has them. Built anew: the caller may keep or change it."""
    found = {}
    for kind, text, spec, status in (_OFFER, _CLUSTER_QUEUE, _LOCAL_QUEUE):
        found[kind.schema] = _whole(kind, text, spec, status)
        found[f"{kind.schema}List"] = _list(kind)
    return found


# ---- the words that schemas are made of


def _text(description: str) -> Definition:
    return {"type": "string", "description": description}


def _number(description: str) -> Definition:
    return {"type": "integer", "format": "int32", "description": description}


def _quantity(description: str) -> Definition:
    return {"$ref": f"#/definitions/{_QUANTITY}", "description": description}


def _amounts(description: str) -> Definition:
    return _map({"$ref": f"#/definitions/{_QUANTITY}"}, description)


def _map(value: Definition, description: str) -> Definition:
    return {"type": "object", "additionalProperties": value, "description": description}


def _reference(name: str, description: str) -> Definition:
    return {"$ref": f"#/definitions/{_META}{name}", "description": description}


def _object(description: str, required: str, /, **fields: Definition) -> Definition:
    made: Definition = {"type": "object", "description": description, "properties": fields}
    return {**made, "required": required.split()} if required else made


def _items(description: str, item: Definition, key: str = "") -> Definition:
    """key names the field by which items are told apart, where they are merged one by one."""
    made: Definition = {"type": "array", "description": description, "items": item}
    if not key:
        return {**made, "x-kubernetes-list-type": "atomic"}
    merged = {"x-kubernetes-patch-merge-key": key, "x-kubernetes-patch-strategy": "merge"}
    return {**made, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key], **merged}


def _whole(kind: Kind, text: str, spec: Definition, status: Definition) -> Definition:
    metadata = _reference("ObjectMeta", "The object's metadata.")
    fields = {**_typed(), "metadata": metadata, "spec": spec, "status": status}
    return {**_object(text, "spec", **fields), **_named(kind, kind.name)}


def _list(kind: Kind) -> Definition:
    item = {"$ref": f"#/definitions/{kind.schema}"}
    items = {"type": "array", "items": item, "description": "The objects."}
    metadata = _reference("ListMeta", "The list's metadata.")
    made = _object(f"A list of {kind.name}.", "items", **_typed(), items=items, metadata=metadata)
    return {**made, **_named(kind, kind.list_name)}


def _typed() -> dict[str, Definition]:
    return {
        "apiVersion": _text("The version of this form of the object."),
        "kind": _text("What the object is."),
    }


def _named(kind: Kind, name: str) -> Definition:
    gvk = {"group": kind.group, "kind": name, "version": kind.version}
    return {"x-kubernetes-group-version-kind": [gvk]}


_CONDITIONS = _items(
    "What is known of its state.", _reference("Condition", "One condition."), key="type"
)

# ---- offers

_OFFER = (
    OFFER,
    "Capacity of a node that is offered to a scheduler, and to nobody else as long as the offer stands.",
    _object(
        "What is offered to whom.", "schedulerName",
        schedulerName=_text("Whose offer it is: only pods with this spec.schedulerName can be bound against it."),
        nodeName=_text("The node. Empty: one is yet to be found, by the scheduler that makes offers."),
        nodeSelector=_map(_text("A label's value."), "Labels of the nodes that an offer without a node may be given."),
        resources=_amounts("What is held on the node, pods among it. Of an offer without a node, the least that is wanted; "
                           "it is offered all that is free."),
        leaseDurationSeconds=_number("How long the offer stands once it has a node; 30 if it is not given."),
    ),
    _object(
        "What became of it.", "",
        expireTime=_reference("Time", "When it ends. What was bound against it stays."),
        conditions=_CONDITIONS,
    ),
)  # fmt: skip

# ---- queues

_RESOURCE_QUOTA = _object(
    "The quota of one resource.", "name nominalQuota",
    name=_text("The resource."),
    nominalQuota=_quantity("What the queue may use at any time."),
    borrowingLimit=_quantity("How much more it may use of what others of its cohort do not. Not given: all of that."),
    lendingLimit=_quantity("How much of its quota others may use. Not given: all of it."),
)  # fmt: skip
_FLAVOR = _object(
    "A flavor of resources.", "name resources",
    name=_text("Its name."),
    resources=_items("The quotas.", _RESOURCE_QUOTA, key="name"),
)  # fmt: skip
_RESOURCE_GROUP = _object(
    "Resources that have flavors in common.", "coveredResources flavors",
    coveredResources=_items("The resources.", _text("A resource.")),
    flavors=_items("Their flavors. One is supported.", _FLAVOR, key="name"),
)  # fmt: skip
_USED = _object(
    "What is used of one resource.", "name",
    name=_text("The resource."),
    total=_quantity("What is used."),
    borrowed=_quantity("How much of it is beyond the queue's own quota."),
)  # fmt: skip
_FLAVOR_USED = _object(
    "What is used of a flavor.", "name",
    name=_text("Its name."), resources=_items("By resource.", _USED, key="name"),
)  # fmt: skip
_COUNTS = {
    "pendingWorkloads": _number("How many pods and pod groups wait."),
    "admittedWorkloads": _number("How many are admitted and not finished."),
    "flavorsUsage": _items("What the admitted ones use.", _FLAVOR_USED, key="name"),
    "conditions": _CONDITIONS,
}
_CLUSTER_QUEUE = (
    CLUSTER_QUEUE,
    "A share of the cluster, for the pods of the queues that point at it.",
    _object(
        "What may be used by whom.", "",
        cohort=_text("Queues of one cohort lend one another what they do not use."),
        resourceGroups=_items("Quotas. What is not covered by any cannot be used.", _RESOURCE_GROUP),
        namespaceSelector=_reference("LabelSelector", "Which namespaces may use it: {} all, none if it is not given."),
        queueingStrategy=_text("StrictFIFO or BestEffortFIFO: whether one that does not fit holds up those behind it."),
        stopPolicy=_text("None, or Hold: nothing more is admitted."),
        preemption=_object(
            "Whether others' pods make room.", "",
            reclaimWithinCohort=_text("Never, or Any: pods of those who borrow are evicted, the newest first, as long as this "
                                      "queue does not have its quota."),
        ),
        fairSharing=_object(
            "Its part where several want to borrow.", "",
            weight=_quantity("1 if it is not given; 0 borrows only what nobody else wants."),
        ),
    ),
    _object("What is used.", "", **_COUNTS),
)  # fmt: skip
_LOCAL_QUEUE = (
    LOCAL_QUEUE,
    "The door of a namespace to a ClusterQueue: pods name it in the label kueue.x-k8s.io/queue-name.",
    _object("Where it leads.", "clusterQueue", clusterQueue=_text("The ClusterQueue.")),
    _object("What its pods use.", "", **_COUNTS),
)
