"""Rules for device classes and taints of devices, and what claims and slices share with them
(pkg/apis/resource/validation).

What this platform does not act on is refused by name (NOT_SUPPORTED), so that nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import orjson

from longshore.core.objects import kinds, names
from longshore.core.objects.cel.program import NotCompiled
from longshore.core.objects.cel.selectors import COST_MAX, LENGTH_MAX, selector
from longshore.core.objects.kinds import Doc
from longshore.core.objects.rules.problems import SPEC, Path, Problems, Rule, repeats
from longshore.core.objects.rules.storage import driver_name

NOT_SUPPORTED = "not supported"
_SELECTORS_MAX, _CONFIG_MAX, _TOLERATIONS_MAX = 32, 32, 16
_PARAMETERS_MAX = 10 * 1024
_POOL_NAME_MAX = 253
_EFFECTS = ("NoExecute", "NoSchedule", "None")
_OPERATORS = ("Equal", "Exists")


def limited(items: list[Doc], most: int, path: Path, problems: Problems) -> None:
    if len(items) > most:
        problems.too_many(path, len(items), most)


def unique_values(values: Iterable[Hashable], path: Path, problems: Problems) -> None:
    """Each but once; what comes again is told as a duplicate."""
    given = list(values)
    for index in sorted(repeats(given)):
        problems.duplicate((path, index), given[index])


def not_supported(one: Doc, fields: Iterable[str], path: Path, problems: Problems) -> None:
    """Fields that may not be set, since nothing here acts on them."""
    for field in fields:
        if one.get(field):
            problems.forbidden((path, field), NOT_SUPPORTED)


def selectors(given: list[Doc], path: Path, problems: Problems) -> None:
    limited(given, _SELECTORS_MAX, path, problems)
    for index, one in enumerate(given):
        cel = one.get("cel")
        if cel is None:
            problems.required(((path, index), "cel"))
        else:
            at = (((path, index), "cel"), "expression")
            _expression(cel.get("expression", ""), at, problems)


def _expression(text: str, path: Path, problems: Problems) -> None:
    if len(text.encode()) > LENGTH_MAX:
        problems.too_long(path, LENGTH_MAX)
        return
    try:
        compiled = selector(text)
    except NotCompiled as error:
        why = str(error)
        said = why if why.startswith("must evaluate") else f"compilation failed: {why}"
        problems.invalid(path, text, said)
        return
    if compiled.program.cost > COST_MAX:
        problems.forbidden(path, "too complex, exceeds cost limit")


def configs(given: list[Doc], path: Path, problems: Problems) -> None:
    """What drivers are told, of a class or a claim."""
    limited(given, _CONFIG_MAX, path, problems)
    for index, one in enumerate(given):
        config(one, (path, index), problems)


def config(one: Doc, path: Path, problems: Problems) -> None:
    opaque, at = one.get("opaque"), (path, "opaque")
    if opaque is None:
        problems.required(at)
        return
    driver_name(opaque.get("driver", ""), (at, "driver"), problems)
    parameters = opaque.get("parameters")
    if parameters is None:
        problems.required((at, "parameters"))
    elif not isinstance(parameters, dict):
        problems.unfit((at, "parameters"), "must be a valid JSON object")
    elif len(orjson.dumps(parameters)) > _PARAMETERS_MAX:
        problems.too_long((at, "parameters"), _PARAMETERS_MAX)


def tolerations(given: list[Doc], path: Path, problems: Problems) -> None:
    limited(given, _TOLERATIONS_MAX, path, problems)
    for index, one in enumerate(given):
        _toleration(one, (path, index), problems)


def _toleration(one: Doc, path: Path, problems: Problems) -> None:
    key, operator = one.get("key", ""), one.get("operator", "")
    if key:
        problems.all_invalid((path, "key"), key, names.qualified_name_problems(key))
    elif operator != "Exists":
        why = "must be equal to Exists when `key` is empty"
        problems.invalid((path, "operator"), operator, why)
    if operator not in _OPERATORS:
        problems.one_of((path, "operator"), operator, _OPERATORS)
    elif operator == "Exists" and one.get("value"):
        why = "must be empty when `operator` is 'Exists'"
        problems.invalid((path, "value"), one["value"], why)
    if one.get("effect") and one["effect"] not in _EFFECTS:
        problems.unsupported((path, "effect"), one["effect"], _EFFECTS)


def taint(one: Doc, path: Path, problems: Problems) -> None:
    key, value = one.get("key", ""), one.get("value", "")
    problems.all_invalid((path, "key"), key, names.qualified_name_problems(key))
    problems.all_invalid((path, "value"), value, names.label_value_problems(value))
    problems.one_of((path, "effect"), one.get("effect", ""), _EFFECTS)


def pool_name(name: str, path: Path, problems: Problems) -> None:
    if not name:
        problems.required(path)
        return
    if len(name) > _POOL_NAME_MAX:
        problems.too_long(path, _POOL_NAME_MAX)
    for part in name.split("/"):
        problems.all_invalid(path, part, names.subdomain_problems(part))


def device_class(doc: Doc, problems: Problems) -> None:
    spec = doc.get("spec", {})
    selectors(spec.get("selectors", []), (SPEC, "selectors"), problems)
    configs(spec.get("config", []), (SPEC, "config"), problems)
    not_supported(spec, ("extendedResourceName",), SPEC, problems)


def taint_rule(doc: Doc, problems: Problems) -> None:
    spec = doc.get("spec", {})
    chosen, at = spec.get("deviceSelector") or {}, (SPEC, "deviceSelector")
    if "driver" in chosen:
        driver_name(chosen["driver"], (at, "driver"), problems)
    if "pool" in chosen:
        pool_name(chosen["pool"], (at, "pool"), problems)
    if "device" in chosen:
        problems.label((at, "device"), chosen["device"])
    taint(spec.get("taint", {}), (SPEC, "taint"), problems)


RULES: dict[str, Rule] = {
    kinds.DEVICE_CLASS.schema: device_class,
    kinds.DEVICE_TAINT_RULE.schema: taint_rule,
}
