"""Rules for what shares a cluster among tenants: offers and queues.

Queues: Kueue's webhooks (kubernetes-sigs/kueue pkg/webhooks), for the fields that are acted on.
"""

from __future__ import annotations

from typing import Any

from longshore.base import quantities
from longshore.core.objects import names
from longshore.core.objects.kinds import CLUSTER_QUEUE, LOCAL_QUEUE, OFFER, Doc
from longshore.core.objects.rules import resources
from longshore.core.objects.rules.metadata import label_selector, labels
from longshore.core.objects.rules.problems import SPEC, Path, Problems, Rule, UpdateRule, repeats

LEASE_MAX_S = 3600
_STRATEGIES = ("BestEffortFIFO", "StrictFIFO")
_STOPS = ("None", "Hold")
_RECLAIMS = ("Never", "Any")


def offer(doc: Doc, problems: Problems) -> None:
    spec = doc.get("spec", {})
    if not spec.get("schedulerName"):
        problems.required((SPEC, "schedulerName"))
    amounts = spec.get("resources", {})
    resources.amounts(amounts, (SPEC, "resources"), problems, resources.OF_NODES)
    if spec.get("nodeName") and not amounts:
        problems.required((SPEC, "resources"), "an offer of a node says what is offered of it")
    labels(spec.get("nodeSelector", {}), (SPEC, "nodeSelector"), problems)
    lease_s = spec.get("leaseDurationSeconds")
    if lease_s is not None and not 1 <= lease_s <= LEASE_MAX_S:
        why = f"must be between 1 and {LEASE_MAX_S}, inclusive"
        problems.invalid((SPEC, "leaseDurationSeconds"), lease_s, why)


def offer_update(new: Doc, old: Doc, problems: Problems) -> None:
    """Once it has a node, what is offered stays."""
    after, before = new.get("spec", {}), old.get("spec", {})
    fixed = ("nodeName", "resources") if before.get("nodeName") else ()
    for field in ("schedulerName", "nodeSelector", "leaseDurationSeconds", *fixed):
        problems.unchanged((SPEC, field), after.get(field), before.get(field))


def cluster_queue(doc: Doc, problems: Problems) -> None:
    spec = doc.get("spec", {})
    covered = [
        name for group in spec.get("resourceGroups", ()) for name in group["coveredResources"]
    ]
    for index in repeats(covered):
        problems.duplicate((SPEC, "resourceGroups"), covered[index])
    for index, group in enumerate(spec.get("resourceGroups", ())):
        _group(group, ((SPEC, "resourceGroups"), index), bool(spec.get("cohort")), problems)
    if "namespaceSelector" in spec:
        label_selector(spec["namespaceSelector"], (SPEC, "namespaceSelector"), problems)
    _choices(spec, problems)


def _choices(spec: Doc, problems: Problems) -> None:
    reclaim = spec.get("preemption", {}).get("reclaimWithinCohort", "Never")
    for path, value, known in (
        ((SPEC, "queueingStrategy"), spec.get("queueingStrategy", _STRATEGIES[0]), _STRATEGIES),
        ((SPEC, "stopPolicy"), spec.get("stopPolicy", _STOPS[0]), _STOPS),
        (((SPEC, "preemption"), "reclaimWithinCohort"), reclaim, _RECLAIMS),
    ):
        if value not in known:
            problems.unsupported(path, value, known)
    weight = spec.get("fairSharing", {}).get("weight")
    if weight is not None:
        _not_negative(((SPEC, "fairSharing"), "weight"), weight, problems)


def _group(group: Doc, path: Path, in_cohort: bool, problems: Problems) -> None:
    flavors = group.get("flavors", ())
    if len(flavors) != 1:
        why = "exactly one flavor is supported"
        problems.invalid((path, "flavors"), [one.get("name") for one in flavors], why)
        return
    at = (((path, "flavors"), 0), "resources")
    quotas = flavors[0].get("resources", ())
    if [one["name"] for one in quotas] != list(group["coveredResources"]):
        problems.unfit(at, "must match coveredResources, in the same order")
    for index, one in enumerate(quotas):
        _quota(one, (at, index), in_cohort, problems)


def _quota(one: Doc, path: Path, in_cohort: bool, problems: Problems) -> None:
    problems.all_invalid((path, "name"), one["name"], names.qualified_name_problems(one["name"]))
    _not_negative((path, "nominalQuota"), one.get("nominalQuota", 0), problems)
    for field in ("borrowingLimit", "lendingLimit"):
        if field in one:
            _not_negative((path, field), one[field], problems)
            if not in_cohort:
                problems.invalid((path, field), one[field], "must be nil when cohort is empty")


def _not_negative(path: Path, value: Any, problems: Problems) -> None:
    if quantities.parse(value) < 0:
        problems.invalid(path, value, "must be greater than or equal to 0")


def local_queue(doc: Doc, problems: Problems) -> None:
    if not doc.get("spec", {}).get("clusterQueue"):
        problems.required((SPEC, "clusterQueue"))


def local_queue_update(new: Doc, old: Doc, problems: Problems) -> None:
    after, before = new.get("spec", {}), old.get("spec", {})
    problems.unchanged(
        (SPEC, "clusterQueue"), after.get("clusterQueue"), before.get("clusterQueue")
    )


RULES: dict[str, Rule] = {
    OFFER.schema: offer,
    CLUSTER_QUEUE.schema: cluster_queue,
    LOCAL_QUEUE.schema: local_queue,
}
UPDATE_RULES: dict[str, UpdateRule] = {
    OFFER.schema: offer_update,
    LOCAL_QUEUE.schema: local_queue_update,
}
