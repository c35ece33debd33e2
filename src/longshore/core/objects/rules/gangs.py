"""Rules for PodGroups (k8s.io/api/scheduling/v1beta1; pkg/apis/scheduling/validation).

What upstream keeps behind feature gates that are off there by default, or what is not done here
yet, is refused by name.
"""

from __future__ import annotations

from longshore.core.objects import names
from longshore.core.objects.kinds import POD_GROUP, Doc
from longshore.core.objects.rules.problems import SPEC, Path, Problems, Rule, UpdateRule

_POLICY = (SPEC, "schedulingPolicy")
_POLICIES = ("basic", "gang")
_REFUSED = {
    "parentCompositePodGroupName": "composite pod groups are not supported",
    "schedulingConstraints": "topology constraints of a pod group are not supported",
    "resourceClaims": "resource claims of a pod group are not supported",
    "preemptionPolicy": "pod groups never preempt",
}
_FIXED = ("workloadRef", "disruptionMode", "priorityClassName", "priority")


def scheduling_group(given: Doc, path: Path, problems: Problems) -> None:
    """What a pod says of its group (pkg/apis/core/validation, validateSchedulingGroup)."""
    name, at = given.get("podGroupName"), (path, "podGroupName")
    if name is None:
        problems.invalid(at, None, "must specify one of: `podGroupName`")
    else:
        problems.all_invalid(at, name, names.subdomain_problems(name))


def pod_group(doc: Doc, problems: Problems) -> None:
    spec = doc.get("spec", {})
    for field, why in _REFUSED.items():
        if spec.get(field):
            problems.forbidden((SPEC, field), why)
    if "all" in spec.get("disruptionMode", {}):
        why = "disrupting a pod group as a whole is not supported"
        problems.forbidden(((SPEC, "disruptionMode"), "all"), why)
    policy = spec.get("schedulingPolicy", {})
    if "gang" in policy:
        _gang(policy["gang"], problems)
    chosen = [name for name in _POLICIES if name in policy]
    if len(chosen) != 1:
        word = "exactly one of" if chosen else "one of"
        problems.invalid(_POLICY, policy, f"must specify {word}: `basic`, `gang`")


def pod_group_update(new: Doc, old: Doc, problems: Problems) -> None:
    after, before = new.get("spec", {}), old.get("spec", {})
    for field in _FIXED:
        problems.unchanged((SPEC, field), after.get(field), before.get(field))
    new_policy, old_policy = after.get("schedulingPolicy", {}), before.get("schedulingPolicy", {})
    if new_policy.keys() != old_policy.keys():
        problems.invalid(_POLICY, new_policy, "the policy of a pod group may not change")


def _gang(gang: Doc, problems: Problems) -> None:
    count = gang.get("minCount")
    if count is None:
        problems.required(((_POLICY, "gang"), "minCount"))
    elif count < 1:
        problems.invalid(
            ((_POLICY, "gang"), "minCount"), count, "must be greater than or equal to 1"
        )


RULES: dict[str, Rule] = {POD_GROUP.schema: pod_group}
UPDATE_RULES: dict[str, UpdateRule] = {POD_GROUP.schema: pod_group_update}
