"""Rules for PodDisruptionBudgets (pkg/apis/policy/validation)."""

from __future__ import annotations

from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.metadata import label_selector
from longshore.core.objects.rules.problems import SPEC, STATUS, Problems, Rule
from longshore.core.objects.rules.templates import amount, at_most_all

_EVICTION = ("AlwaysAllow", "IfHealthyBudget")


def budget(doc: Doc, problems: Problems) -> None:
    spec = doc.get("spec", {})
    if "minAvailable" in spec and "maxUnavailable" in spec:
        problems.invalid(SPEC, spec, "minAvailable and maxUnavailable cannot be both set")
    for field in ("minAvailable", "maxUnavailable"):
        if field in spec and amount(spec[field], (SPEC, field), problems):
            at_most_all(spec[field], (SPEC, field), problems)
    if "selector" in spec:
        label_selector(spec["selector"], (SPEC, "selector"), problems)
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in _EVICTION:
        problems.unsupported((SPEC, "unhealthyPodEvictionPolicy"), policy, _EVICTION)


def budget_status(doc: Doc, problems: Problems) -> None:
    for field in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"):
        problems.not_negative((STATUS, field), doc.get("status", {}).get(field))


RULES: dict[str, Rule] = {"io.k8s.api.policy.v1.PodDisruptionBudget": budget}
STATUS_RULES: dict[str, Rule] = {"io.k8s.api.policy.v1.PodDisruptionBudget": budget_status}
