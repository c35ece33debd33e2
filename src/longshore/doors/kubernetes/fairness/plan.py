"""Which flow schema a request matches, and whether a schema names a level that is there. Pure.

Rules: apiserver/pkg/util/flowcontrol/rule.go of Kubernetes and
kubernetes.io/docs/concepts/cluster-administration/flow-control.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from longshore.base.users import User, split_user
from longshore.core.objects.kinds import Doc


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request is about: a resource (with "pods/status" for a subresource), or a path."""

    verb: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Flow:
    """Names and uids of the flow schema and the priority level that a request belongs to, and what
    tells its flow from others of that schema: a user's name, a namespace's, or nothing."""

    schema: str
    schema_uid: str
    level: str
    level_uid: str
    distinguisher: str = ""


def ordered(schemas: Iterable[Doc]) -> list[Doc]:
    """As they are tried: by matchingPrecedence, then by name."""
    return sorted(
        schemas,
        key=lambda s: (s["spec"].get("matchingPrecedence", 1000), s["metadata"]["name"]),
    )


def classify(
    who: User, asked: Asked, schemas: Sequence[Doc], levels: dict[str, Doc]
) -> Flow | None:
    """The first of the ordered schemas that matches. One whose level is not there is passed over;
    None if none is left."""
    for schema in schemas:
        level = levels.get(schema["spec"]["priorityLevelConfiguration"]["name"])
        if level is not None and matches(schema, who, asked):
            name, uid = schema["metadata"]["name"], schema["metadata"]["uid"]
            above = level["metadata"]
            told_by = _distinguisher(schema["spec"], who, asked)
            return Flow(name, uid, above["name"], above["uid"], told_by)
    return None


def _distinguisher(spec: Doc, who: User, asked: Asked) -> str:
    match spec.get("distinguisherMethod", {}).get("type"):
        case "ByUser":
            return who.name
        case "ByNamespace":
            return asked.namespace
    return ""


def matches(schema: Doc, who: User, asked: Asked) -> bool:
    """Whether any rule of the schema speaks of both the caller and what is asked."""
    return any(
        any(_is_subject(subject, who) for subject in rule.get("subjects") or ())
        and _speaks_of(rule, asked)
        for rule in schema["spec"].get("rules") or ()
    )


def _is_subject(subject: Doc, who: User) -> bool:
    match subject.get("kind"):
        case "User":
            return subject["user"]["name"] in ("*", who.name)
        case "Group":
            return subject["group"]["name"] == "*" or subject["group"]["name"] in who.groups
        case "ServiceAccount":
            account, wanted = split_user(who.name), subject["serviceAccount"]
            if account is None or account[0] != wanted["namespace"]:
                return False
            return wanted["name"] in ("*", account[1])
    return False


def _speaks_of(rule: Doc, asked: Asked) -> bool:
    if asked.resource:
        return any(_resource_rule(one, asked) for one in rule.get("resourceRules") or ())
    return any(_path_rule(one, asked) for one in rule.get("nonResourceRules") or ())


def _resource_rule(rule: Doc, asked: Asked) -> bool:
    return (
        _holds(rule["verbs"], asked.verb)
        and _holds(rule["apiGroups"], asked.group)
        and _holds(rule["resources"], asked.resource)
        and _is_in_scope(rule, asked.namespace)
    )


def _is_in_scope(rule: Doc, namespace: str) -> bool:
    if not namespace:
        return bool(rule.get("clusterScope"))
    return _holds(rule.get("namespaces") or (), namespace)


def _path_rule(rule: Doc, asked: Asked) -> bool:
    return _holds(rule["verbs"], asked.verb) and any(
        url == asked.path or (url.endswith("*") and asked.path.startswith(url[:-1]))
        for url in rule["nonResourceURLs"]
    )


def _holds(listed: Sequence[str], wanted: str) -> bool:
    return "*" in listed or wanted in listed


def dangling(schema: Doc, *, found: bool, now: str) -> Doc | None:
    """The schema with a condition Dangling that says whether its level was found; None if it says
    so already. now is when that changes, in RFC 3339."""
    level = schema["spec"]["priorityLevelConfiguration"]["name"]
    told = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}"'
    wanted = {
        "type": "Dangling",
        "status": "False" if found else "True",
        "reason": "Found" if found else "NotFound",
        "message": f"{told} and it exists" if found else f"{told} but there is no such object",
    }
    status = schema.get("status") or {}
    conditions = status.get("conditions") or []
    there: Doc = next((c for c in conditions if c.get("type") == "Dangling"), {})
    if {**there, **wanted} == there:
        return None
    since = there.get("lastTransitionTime") if there.get("status") == wanted["status"] else None
    others = [c for c in conditions if c.get("type") != "Dangling"]
    changed = {**wanted, "lastTransitionTime": since or now}
    return {**schema, "status": {**status, "conditions": [*others, changed]}}
