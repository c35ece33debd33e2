"""Rules for priority classes, runtime classes and storage migrations
(pkg/apis/{scheduling,node,storagemigration}/validation)."""

from __future__ import annotations

from longshore.core.objects import kinds, names
from longshore.core.objects.kinds import Doc
from longshore.core.objects.priorities import (
    HIGHEST_USER_PRIORITY,
    SYSTEM_PREFIX,
    SYSTEM_PRIORITIES,
)
from longshore.core.objects.rules import placement, resources
from longshore.core.objects.rules.metadata import labels
from longshore.core.objects.rules.problems import (
    METADATA,
    ROOT,
    SPEC,
    Path,
    Problems,
    Rule,
    UpdateRule,
    repeats,
)

_PREEMPTION = ("Never", "PreemptLowerPriority")


def priority_class(doc: Doc, problems: Problems) -> None:
    name, value = doc["metadata"].get("name", ""), doc.get("value", 0)
    if name.startswith(SYSTEM_PREFIX):
        why = _not_of_the_system(name, value, doc.get("globalDefault", False))
        if why:
            problems.forbidden(
                (METADATA, "name"),
                f"priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use "
                f"only. error: {why}",
            )
    elif value > HIGHEST_USER_PRIORITY:
        why = f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}"
        problems.forbidden((ROOT, "value"), why)
    policy = doc.get("preemptionPolicy")
    if policy is not None:
        problems.one_of((ROOT, "preemptionPolicy"), policy, _PREEMPTION)


def _not_of_the_system(name: str, value: int, is_default: bool) -> str:
    known = SYSTEM_PRIORITIES.get(name)
    if known is None:
        return f"{name} is not a known system priority class"
    if value != known["value"]:
        return f"value of {name} PriorityClass must be {known['value']}"
    return f"globalDefault of {name} PriorityClass must be false" if is_default else ""


def priority_class_update(new: Doc, old: Doc, problems: Problems) -> None:
    if new.get("value", 0) != old.get("value", 0):
        problems.forbidden((ROOT, "value"), "may not be changed in an update.")
    given, had = new.get("preemptionPolicy"), old.get("preemptionPolicy")
    problems.unchanged((ROOT, "preemptionPolicy"), given, had)


def runtime_class(doc: Doc, problems: Problems) -> None:
    problems.label((ROOT, "handler"), doc.get("handler", ""))
    overhead = doc.get("overhead", {}).get("podFixed", {})
    resources.amounts(overhead, ((ROOT, "overhead"), "limits"), problems)
    scheduling, path = doc.get("scheduling", {}), (ROOT, "scheduling")
    labels(scheduling.get("nodeSelector", {}), (path, "nodeSelector"), problems)
    _tolerations(scheduling.get("tolerations", []), (path, "tolerations"), problems)


def _tolerations(given: list[Doc], path: Path, problems: Problems) -> None:
    placement.tolerations(given, path, problems)
    fields = ("key", "operator", "value", "effect")
    for index in sorted(repeats(tuple(one.get(field, "") for field in fields) for one in given)):
        problems.duplicate((path, index), given[index])


def runtime_class_update(new: Doc, old: Doc, problems: Problems) -> None:
    problems.unchanged((ROOT, "handler"), new.get("handler"), old.get("handler"))


def migration(doc: Doc, problems: Problems) -> None:
    resource, path = doc.get("spec", {}).get("resource", {}), (SPEC, "resource")
    name, group = resource.get("resource", ""), resource.get("group", "")
    if not name:
        problems.required((path, "resource"), "resource is required to be set")
    else:
        problems.all_invalid((path, "resource"), name, names.label_1035_problems(name))
    if group:
        problems.all_invalid((path, "group"), group, names.subdomain_problems(group))


def migration_update(new: Doc, old: Doc, problems: Problems) -> None:
    problems.unchanged(SPEC, new.get("spec"), old.get("spec"))


def api_service(doc: Doc, problems: Problems) -> None:
    name, spec = doc["metadata"].get("name", ""), doc.get("spec", {})
    wanted = f"{spec.get('version', '')}.{spec.get('group', '')}"
    if name != wanted:
        why = f'must be `spec.version+"."+spec.group`: "{wanted}"'
        problems.invalid((METADATA, "name"), name, why)
    for field, most in (("groupPriorityMinimum", 20_000), ("versionPriority", 1000)):
        value = spec.get(field, 0)
        if not 0 < value <= most:
            why = f"must be positive and less than {most}"
            problems.invalid((SPEC, field), value, why)


RULES: dict[str, Rule] = {
    kinds.API_SERVICE.schema: api_service,
    kinds.PRIORITY_CLASS.schema: priority_class,
    kinds.RUNTIME_CLASS.schema: runtime_class,
    kinds.STORAGE_VERSION_MIGRATION.schema: migration,
}
UPDATE_RULES: dict[str, UpdateRule] = {
    kinds.PRIORITY_CLASS.schema: priority_class_update,
    kinds.RUNTIME_CLASS.schema: runtime_class_update,
    kinds.STORAGE_VERSION_MIGRATION.schema: migration_update,
}
