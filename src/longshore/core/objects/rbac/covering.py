"""Whether rules grant all that other rules grant, and what is missing if not.

Rules: component-helpers/auth/rbac/validation (policy_comparator.go) and
pkg/registry/rbac/validation/policy_compact.go of Kubernetes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import orjson

from longshore.core.objects.kinds import Doc


def uncovered(held: Sequence[Doc], wanted: Sequence[Doc]) -> list[Doc]:
    """What of the wanted rules no held rule grants, as rules of one verb, group and resource (and
    name), or of one verb and path."""
    return [
        part
        for rule in wanted
        for part in atoms(rule)
        if not any(_covers(owned, part) for owned in held)
    ]


def atoms(rule: Doc) -> Iterator[Doc]:
    """A rule taken apart, so that one rule either grants a piece or does not."""
    verbs = rule.get("verbs") or ()
    for group in rule.get("apiGroups") or ():
        for resource in rule.get("resources") or ():
            for verb in verbs:
                part = {"verbs": [verb], "apiGroups": [group], "resources": [resource]}
                names = rule.get("resourceNames")
                yield from [part | {"resourceNames": [name]} for name in names] if names else [part]
    for url in rule.get("nonResourceURLs") or ():
        yield from ({"verbs": [verb], "nonResourceURLs": [url]} for verb in verbs)


def described(missing: Sequence[Doc]) -> str:
    """Pieces as upstream shows them: joined where they differ by verb alone, a line for each."""
    joined: dict[bytes, Doc] = {}
    for part in missing:
        rest = {key: value for key, value in part.items() if key != "verbs"}
        # Paths stay apart, as only pieces about resources are joined.
        key = orjson.dumps(part if "nonResourceURLs" in part else rest)
        before = joined.get(key)
        joined[key] = part if before is None else part | {"verbs": before["verbs"] + part["verbs"]}
    return "\n".join(sorted({_shown(rule) for rule in joined.values()}))


_FIELDS = (
    ("APIGroups", "apiGroups"), ("Resources", "resources"), ("NonResourceURLs", "nonResourceURLs"),
    ("ResourceNames", "resourceNames"), ("Verbs", "verbs"),
)  # fmt: skip


def _shown(rule: Doc) -> str:
    parts = [f"{title}:{quoted(rule[field])}" for title, field in _FIELDS if rule.get(field)]
    return "{" + ", ".join(parts) + "}"


def quoted(words: Collection[str]) -> str:
    """As Go prints a list of strings."""
    return "[" + " ".join(orjson.dumps(word).decode() for word in words) + "]"


def _covers(owned: Doc, part: Doc) -> bool:
    verbs = owned.get("verbs") or ()
    if "*" not in verbs and part["verbs"][0] not in verbs:
        return False
    if "nonResourceURLs" in part:
        wanted = part["nonResourceURLs"][0]
        return any(covers_path(one, wanted) for one in owned.get("nonResourceURLs") or ())
    return _covers_resource(owned, part)


def _covers_resource(owned: Doc, part: Doc) -> bool:
    groups, names = owned.get("apiGroups") or (), owned.get("resourceNames") or ()
    if "*" not in groups and part["apiGroups"][0] not in groups:
        return False
    if names and not ("resourceNames" in part and part["resourceNames"][0] in names):
        return False
    resources, wanted = owned.get("resources") or (), part["resources"][0]
    if "*" in resources or wanted in resources:
        return True
    _, slash, subresource = wanted.partition("/")
    return bool(slash) and f"*/{subresource}" in resources


def covers_path(pattern: str, path: str) -> bool:
    """Whether a path of a rule, which may end in *, means a path (or another pattern)."""
    return pattern == path or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))
