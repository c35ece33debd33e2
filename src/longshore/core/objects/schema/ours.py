"""The definitions of kinds that are kept here and that no release of Kubernetes carries: offers of
capacity are Longshore's own, queues have the names and the shape of Kueue's (kueue.x-k8s.io/v1beta1),
with the fields that are acted on and no others. What was used is in usage.py.

tools/build_definitions.py puts them into the packaged file beside Kubernetes' own.
"""

from __future__ import annotations

from longshore.core.objects.kinds import CLUSTER_QUEUE, LOCAL_QUEUE, OFFER, Kind
from longshore.core.objects.schema.forms import (
    Definition,
    amounts,
    items,
    listing,
    mapping,
    named,
    quantity,
    reference,
    string,
    structure,
    typed,
)


def our_definitions() -> dict[str, Definition]:
    """By name, as OpenAPI v2 has them. Built anew: the caller may keep or change it."""
    found = {}
    for kind, text, spec, status in (_OFFER, _CLUSTER_QUEUE, _LOCAL_QUEUE):
        found[kind.schema] = _whole(kind, text, spec, status)
        found[f"{kind.schema}List"] = listing(kind)
    return found


# ---- the words that schemas are made of


def _number(description: str) -> Definition:
    return {"type": "integer", "format": "int32", "description": description}


def _whole(kind: Kind, text: str, spec: Definition, status: Definition) -> Definition:
    metadata = reference("ObjectMeta", "The object's metadata.")
    fields = {**typed(), "metadata": metadata, "spec": spec, "status": status}
    return {**structure(text, "spec", **fields), **named(kind, kind.name)}


_CONDITIONS = items(
    "What is known of its state.", reference("Condition", "One condition."), key="type"
)

# ---- offers

_OFFER = (
    OFFER,
    "Capacity of a node that is offered to a scheduler, and to nobody else as long as the offer stands.",
    structure(
        "What is offered to whom.", "schedulerName",
        schedulerName=string("Whose offer it is: only pods with this spec.schedulerName can be bound against it."),
        nodeName=string("The node. Empty: one is yet to be found, by the scheduler that makes offers."),
        nodeSelector=mapping(string("A label's value."), "Labels of the nodes that an offer without a node may be given."),
        resources=amounts("What is held on the node, pods among it. Of an offer without a node, the least that is wanted; "
                           "it is offered all that is free."),
        leaseDurationSeconds=_number("How long the offer stands once it has a node; 30 if it is not given."),
    ),
    structure(
        "What became of it.", "",
        expireTime=reference("Time", "When it ends. What was bound against it stays."),
        conditions=_CONDITIONS,
    ),
)  # fmt: skip

# ---- queues

_RESOURCE_QUOTA = structure(
    "The quota of one resource.", "name nominalQuota",
    name=string("The resource."),
    nominalQuota=quantity("What the queue may use at any time."),
    borrowingLimit=quantity("How much more it may use of what others of its cohort do not. Not given: all of that."),
    lendingLimit=quantity("How much of its quota others may use. Not given: all of it."),
)  # fmt: skip
_FLAVOR = structure(
    "A flavor of resources.", "name resources",
    name=string("Its name."),
    resources=items("The quotas.", _RESOURCE_QUOTA, key="name"),
)  # fmt: skip
_RESOURCE_GROUP = structure(
    "Resources that have flavors in common.", "coveredResources flavors",
    coveredResources=items("The resources.", string("A resource.")),
    flavors=items("Their flavors. One is supported.", _FLAVOR, key="name"),
)  # fmt: skip
_USED = structure(
    "What is used of one resource.", "name",
    name=string("The resource."),
    total=quantity("What is used."),
    borrowed=quantity("How much of it is beyond the queue's own quota."),
)  # fmt: skip
_FLAVOR_USED = structure(
    "What is used of a flavor.", "name",
    name=string("Its name."), resources=items("By resource.", _USED, key="name"),
)  # fmt: skip
_COUNTS = {
    "pendingWorkloads": _number("How many pods and pod groups wait."),
    "admittedWorkloads": _number("How many are admitted and not finished."),
    "flavorsUsage": items("What the admitted ones use.", _FLAVOR_USED, key="name"),
    "conditions": _CONDITIONS,
}
_CLUSTER_QUEUE = (
    CLUSTER_QUEUE,
    "A share of the cluster, for the pods of the queues that point at it.",
    structure(
        "What may be used by whom.", "",
        cohort=string("Queues of one cohort lend one another what they do not use."),
        resourceGroups=items("Quotas. What is not covered by any cannot be used.", _RESOURCE_GROUP),
        namespaceSelector=reference("LabelSelector", "Which namespaces may use it: {} all, none if it is not given."),
        queueingStrategy=string("StrictFIFO or BestEffortFIFO: whether one that does not fit holds up those behind it."),
        stopPolicy=string("None, or Hold: nothing more is admitted."),
        preemption=structure(
            "Whether others' pods make room.", "",
            reclaimWithinCohort=string("Never, or Any: pods of those who borrow are evicted, the newest first, as long as this "
                                      "queue does not have its quota."),
        ),
        fairSharing=structure(
            "Its part where several want to borrow.", "",
            weight=quantity("1 if it is not given; 0 borrows only what nobody else wants."),
        ),
    ),
    structure("What is used.", "", **_COUNTS),
)  # fmt: skip
_LOCAL_QUEUE = (
    LOCAL_QUEUE,
    "The door of a namespace to a ClusterQueue: pods name it in the label kueue.x-k8s.io/queue-name.",
    structure("Where it leads.", "clusterQueue", clusterQueue=string("The ClusterQueue.")),
    structure("What its pods use.", "", **_COUNTS),
)
