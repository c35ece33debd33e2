"""Rules for Jobs and CronJobs (pkg/apis/batch/validation)."""

from __future__ import annotations

from typing import Any

from longshore.core.objects import names
from longshore.core.objects.cron import BadSchedule, parse_schedule, time_zone_problem
from longshore.core.objects.jobs import LABELS, parse_indexes
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.metadata import label_selector
from longshore.core.objects.rules.problems import (
    METADATA,
    SPEC,
    STATUS,
    Path,
    Problems,
    Rule,
    UpdateRule,
    repeats,
)
from longshore.core.objects.rules.templates import (
    TEMPLATE,
    labels_of,
    matches_template,
    pod_template,
)

INDEXES_MAX = 100_000
_MANY_INDEXES, _MANY_INDEXES_MAX = 100_000, 10_000
_RULES_MAX, _CODES_MAX = 20, 255
_CRON_NAME_MAX = 52
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_COUNTS = (
    "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit",
    "ttlSecondsAfterFinished", "backoffLimitPerIndex", "maxFailedIndexes",
)  # fmt: skip
_FROZEN = (
    "selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy",
    "successPolicy",
)  # fmt: skip
# Where pods may run can be decided while a Job that never started is suspended.
_FREE_UNTIL_START = ("nodeSelector", "affinity", "tolerations", "schedulingGates")


def job(doc: Doc, problems: Problems) -> None:
    spec = doc["spec"]
    _generated_selector(doc, spec, problems)
    job_spec(spec, SPEC, problems)
    selector, known = spec.get("selector"), len(problems.causes)
    if selector is None:
        problems.required((SPEC, "selector"))
        return
    label_selector(selector, (SPEC, "selector"), problems)
    if len(problems.causes) == known:
        matches_template(selector, labels_of(spec.get("template", {})), TEMPLATE, problems)


def _generated_selector(doc: Doc, spec: Doc, problems: Problems) -> None:
    """The labels that the registry puts in must be there and be right."""
    if spec.get("manualSelector") or spec.get("selector") is None:
        return
    labels = labels_of(spec.get("template", {}))
    meta, path = doc["metadata"], ((TEMPLATE, "metadata"), "labels")
    for key, source in LABELS.items():
        wanted = meta.get(source, "")
        if key not in labels:
            problems.required((path, f"[{key}]"), f"must be '{wanted}'")
        elif labels[key] != wanted:
            problems.invalid((path, f"[{key}]"), labels, f"must be '{wanted}'")


# ---- what Jobs and templates of Jobs share


def job_spec(spec: Doc, path: Path, problems: Problems) -> None:
    for field in _COUNTS:
        problems.not_negative((path, field), spec.get(field))
    indexed = spec.get("completionMode") == "Indexed"
    if spec.get("completionMode", "Indexed") not in ("Indexed", "NonIndexed"):
        modes = ("Indexed", "NonIndexed")
        problems.unsupported((path, "completionMode"), spec["completionMode"], modes)
    if indexed:
        _indexed(spec, path, problems)
    else:
        for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if field in spec:
                problems.invalid((path, field), spec[field], "requires indexed completion mode")
    if "maxFailedIndexes" in spec and "backoffLimitPerIndex" not in spec:
        why = "when maxFailedIndexes is specified"
        problems.required((path, "backoffLimitPerIndex"), why)
    _policies(spec, path, problems)
    _job_template(spec, (path, "template"), problems)


def _indexed(spec: Doc, path: Path, problems: Problems) -> None:
    completions, parallelism = spec.get("completions"), spec.get("parallelism", 1)
    failed = spec.get("maxFailedIndexes")
    if completions is None:
        problems.required((path, "completions"), "when completion mode is Indexed")
    if parallelism > INDEXES_MAX:
        why = f"must be less than or equal to {INDEXES_MAX} when completion mode is Indexed"
        problems.invalid((path, "parallelism"), parallelism, why)
    if failed is not None and completions is not None and failed > completions:
        why = "must be less than or equal to completions"
        problems.invalid((path, "maxFailedIndexes"), failed, why)
    if failed is not None and failed > INDEXES_MAX:
        why = f"must be less than or equal to {INDEXES_MAX}"
        problems.invalid((path, "maxFailedIndexes"), failed, why)
    if (completions or 0) > _MANY_INDEXES and "backoffLimitPerIndex" in spec:
        _very_many_indexes(spec, path, problems)


def _very_many_indexes(spec: Doc, path: Path, problems: Problems) -> None:
    if "maxFailedIndexes" not in spec:
        why = f"must be specified when completions is above {_MANY_INDEXES}"
        problems.required((path, "maxFailedIndexes"), why)
    for field in ("parallelism", "maxFailedIndexes"):
        if spec.get(field, 0) > _MANY_INDEXES_MAX:
            why = (f"must be less than or equal to {_MANY_INDEXES_MAX} when completions are above "
                   f"{_MANY_INDEXES} and used with backoff limit per index")  # fmt: skip
            problems.invalid((path, field), spec[field], why)


def _job_template(spec: Doc, path: Path, problems: Problems) -> None:
    template = spec.get("template", {})
    pod_template(template, path, problems)
    policy, at = (
        template.get("spec", {}).get("restartPolicy", ""),
        ((path, "spec"), "restartPolicy"),
    )
    if policy in ("", "Always"):  # nobody asked for Always: it is the default of pods
        problems.required(at, 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        problems.unsupported(at, policy, ("Never", "OnFailure"))
    elif "podFailurePolicy" in spec and policy != "Never":
        why = 'only "Never" is supported when podFailurePolicy is specified'
        problems.invalid(at, policy, why)


# ---- policies


def _policies(spec: Doc, path: Path, problems: Problems) -> None:
    if "podFailurePolicy" in spec:
        _failure_policy(spec, (path, "podFailurePolicy"), problems)
    if "successPolicy" in spec:
        if spec.get("completionMode") != "Indexed":
            why = "requires indexed completion mode"
            problems.invalid((path, "successPolicy"), spec["successPolicy"], why)
        else:
            _success_policy(spec, (path, "successPolicy"), problems)
    replacement, at = spec.get("podReplacementPolicy"), (path, "podReplacementPolicy")
    choices = ("Failed",) if "podFailurePolicy" in spec else ("Failed", "TerminatingOrFailed")
    if replacement is not None and replacement not in choices:
        problems.unsupported(at, replacement, choices)
    if spec.get("managedBy") is not None:
        _managed_by(spec["managedBy"], (path, "managedBy"), problems)


def _managed_by(name: str, path: Path, problems: Problems) -> None:
    domain, slash, rest = name.partition("/")
    if not slash or not domain or not rest:
        why = 'must be a domain-prefixed path (such as "acme.io/foo")'
        problems.invalid(path, name, why)
    else:
        problems.all_invalid(path, domain, names.subdomain_problems(domain))
    if len(name) > names.LABEL_MAX:
        problems.too_long(path, names.LABEL_MAX)


def _failure_policy(spec: Doc, path: Path, problems: Problems) -> None:
    rules = spec["podFailurePolicy"].get("rules", [])
    if len(rules) > _RULES_MAX:
        problems.too_many((path, "rules"), len(rules), _RULES_MAX)
    pods = spec.get("template", {}).get("spec", {})
    containers = {
        one.get("name") for field in ("containers", "initContainers") for one in pods.get(field, ())
    }
    for index, rule in enumerate(rules):
        at = ((path, "rules"), index)
        _action(rule.get("action", ""), spec, (at, "action"), problems)
        _patterns(rule, containers, at, problems)


def _action(action: str, spec: Doc, path: Path, problems: Problems) -> None:
    if not action:
        listed = " ".join(f'"{one}"' for one in _ACTIONS)
        problems.required(path, f"valid values: [{listed}]")
    elif action == "FailIndex" and "backoffLimitPerIndex" not in spec:
        problems.invalid(path, action, "requires the backoffLimitPerIndex to be set")
    elif action not in _ACTIONS:
        problems.unsupported(path, action, _ACTIONS)


def _patterns(rule: Doc, containers: set[Any], path: Path, problems: Problems) -> None:
    codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions", [])
    if codes is not None and conditions:
        problems.unfit(path, "specifying both OnExitCodes and OnPodConditions is not supported")
    elif codes is None and not conditions:
        problems.unfit(path, "specifying one of OnExitCodes and OnPodConditions is required")
    if codes is not None:
        _exit_codes(codes, containers, (path, "onExitCodes"), problems)
    if len(conditions) > _RULES_MAX:
        problems.too_many((path, "onPodConditions"), len(conditions), _RULES_MAX)
    for index, one in enumerate(conditions):
        at, name = ((path, "onPodConditions"), index), one.get("type", "")
        problems.all_invalid((at, "type"), name, names.qualified_name_problems(name))
        problems.one_of((at, "status"), one.get("status", ""), ("False", "True", "Unknown"))


def _exit_codes(codes: Doc, containers: set[Any], path: Path, problems: Problems) -> None:
    operator, values, at = codes.get("operator", ""), codes.get("values", []), (path, "values")
    problems.one_of((path, "operator"), operator, ("In", "NotIn"))
    name = codes.get("containerName")
    if name is not None and name not in containers:
        why = "must be one of the container or init container names in the pod template"
        problems.invalid((path, "containerName"), name, why)
    if not values:
        problems.invalid(at, values, "at least one value is required")
    elif len(values) > _CODES_MAX:
        problems.too_many(at, len(values), _CODES_MAX)
    again = repeats(values)
    for index, value in enumerate(values):
        if index in again:
            problems.duplicate((at, index), value)
        if operator == "In" and value == 0:
            problems.invalid((at, index), value, "must not be 0 for the In operator")
    if values != sorted(values):
        problems.invalid(at, values, "must be ordered")


def _success_policy(spec: Doc, path: Path, problems: Problems) -> None:
    rules = spec["successPolicy"].get("rules", [])
    if not rules:
        why = "at least one rules must be specified when the successPolicy is specified"
        problems.required((path, "rules"), why)
    if len(rules) > _RULES_MAX:
        problems.too_many((path, "rules"), len(rules), _RULES_MAX)
    for index, rule in enumerate(rules):
        _success_rule(rule, spec.get("completions", 0), ((path, "rules"), index), problems)


def _success_rule(rule: Doc, completions: int, path: Path, problems: Problems) -> None:
    count, indexes, most = rule.get("succeededCount"), rule.get("succeededIndexes"), completions
    of = "the number of specified completions"
    if count is None and indexes is None:
        why = "at least one of succeededCount or succeededIndexes must be specified"
        problems.required(path, why)
    if indexes is not None:
        try:
            most = sum(last - first + 1 for first, last in parse_indexes(indexes, completions))
            of = "the number of indexes in the specified succeededIndexes field"
        except ValueError as error:
            why = f"error parsing succeededIndexes: {error}"
            problems.invalid((path, "succeededIndexes"), indexes, why)
    problems.not_negative((path, "succeededCount"), count)
    if count is not None and count > most:
        why = f"must be less than or equal to {most} ({of})"
        problems.invalid((path, "succeededCount"), count, why)


# ---- changes


def job_update(new: Doc, old: Doc, problems: Problems) -> None:
    after, before = new["spec"], old["spec"]
    for field in _FROZEN:
        problems.unchanged((SPEC, field), after.get(field), before.get(field))
    _completions(after, before, problems)
    template, known = (spec.get("template", {}) for spec in (after, before))
    if before.get("suspend") and not old.get("status", {}).get("startTime"):
        template, known = _fixed(template), _fixed(known)
    if template != known:
        problems.unchanged(TEMPLATE, after.get("template"), before.get("template"))


def _completions(after: Doc, before: Doc, problems: Problems) -> None:
    """Those of an indexed Job change together with its parallelism."""
    path, wanted = (SPEC, "completions"), after.get("completions")
    if wanted == before.get("completions"):
        return
    if after.get("completionMode") != "Indexed":
        problems.unchanged(path, wanted, before.get("completions"))
    elif wanted != after.get("parallelism"):
        why = "can only be modified in tandem with spec.parallelism"
        problems.invalid(path, wanted, why)


def _fixed(template: Doc) -> Doc:
    """The template without what may change until the Job starts."""
    meta, spec = template.get("metadata", {}), template.get("spec", {})
    fixed = {key: value for key, value in spec.items() if key not in _FREE_UNTIL_START}
    for field in ("containers", "initContainers"):
        if field in fixed:
            fixed[field] = [_without(one, "resources") for one in fixed[field]]
    return {"metadata": _without(_without(meta, "labels"), "annotations"), "spec": fixed}


def _without(given: Doc, field: str) -> Doc:
    return {key: value for key, value in given.items() if key != field}


def job_status(doc: Doc, problems: Problems) -> None:
    status = doc.get("status", {})
    for field in ("active", "ready", "succeeded", "failed", "terminating"):
        problems.not_negative((STATUS, field), status.get(field))
    ended = {c.get("type") for c in status.get("conditions", ()) if c.get("status") == "True"}
    if {"Complete", "Failed"} <= ended:
        why = "cannot set Complete=True and Failed=true conditions"
        problems.unfit((STATUS, "conditions"), why)


# ---- CronJobs


def cron_job(doc: Doc, problems: Problems) -> None:
    spec, name = doc["spec"], doc["metadata"].get("name", "")
    if len(name) > _CRON_NAME_MAX:  # the Jobs' names have 11 characters more
        why = f"must be no more than {_CRON_NAME_MAX} characters"
        problems.invalid((METADATA, "name"), name, why)
    _schedule(spec, problems)
    for field in (
        "startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit",
    ):  # fmt: skip
        problems.not_negative((SPEC, field), spec.get(field))
    choices = ("Allow", "Forbid", "Replace")
    problems.one_of((SPEC, "concurrencyPolicy"), spec.get("concurrencyPolicy", ""), choices)
    inner, path = spec.get("jobTemplate", {}).get("spec", {}), ((SPEC, "jobTemplate"), "spec")
    job_spec(inner, path, problems)
    if "selector" in inner:
        problems.invalid((path, "selector"), inner["selector"], "`selector` will be auto-generated")
    if inner.get("manualSelector"):
        problems.unsupported((path, "manualSelector"), True, ("nil", "false"))


def _schedule(spec: Doc, problems: Problems) -> None:
    schedule, path = spec.get("schedule", ""), (SPEC, "schedule")
    if not schedule:
        problems.required(path)
    elif "TZ" in schedule:
        why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        problems.invalid(path, schedule, why)
    else:
        try:
            parse_schedule(schedule)
        except BadSchedule as error:
            problems.invalid(path, schedule, str(error))
    zone = spec.get("timeZone")
    wrong = time_zone_problem(zone) if zone is not None else ""
    if wrong:
        problems.invalid((SPEC, "timeZone"), zone, wrong)


RULES: dict[str, Rule] = {
    "io.k8s.api.batch.v1.Job": job,
    "io.k8s.api.batch.v1.CronJob": cron_job,
}
UPDATE_RULES: dict[str, UpdateRule] = {"io.k8s.api.batch.v1.Job": job_update}
STATUS_RULES: dict[str, Rule] = {"io.k8s.api.batch.v1.Job": job_status}
