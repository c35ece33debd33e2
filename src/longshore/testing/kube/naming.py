"""What a test calls things: "deploy/web", "pods", "Deployment.apps/web", "10m"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from longshore.core.objects.kinds import KINDS, Kind, Ref

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def seconds(duration: str | float) -> float:
    """Seconds of "1m30s", "250ms", "10m", or of a number of seconds. Raises ValueError."""
    if not isinstance(duration, str):
        return float(duration)
    parts = _PART.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f'"{duration}" is no duration: write "5s", "1m30s" or a number of seconds')
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def kind_of(word: str) -> Kind:
    """The kind with that name: plural, singular, short name or Kind, with or without its group.
    Raises ValueError."""
    name, _, group = word.lower().partition(".")
    for kind in _by_name().get(name, ()):
        if not group or kind.group.startswith(group):
            return kind
    raise ValueError(f'the server doesn\'t have a resource type "{word}"')


def ref_of(words: str, namespace: str) -> Ref:
    """What "deploy/web" names, in that namespace if its kind has one. Raises ValueError."""
    word, slash, name = words.partition("/")
    if not slash or not name or "/" in name:
        raise ValueError(f'"{words}" names no object: write KIND/NAME, as in "deploy/web"')
    kind = kind_of(word)
    return Ref(kind, namespace if kind.namespaced else "", name)


def path_of(kind: Kind, namespace: str = "", name: str = "") -> str:
    """Where the API has an object, or a collection."""
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    scope = f"/namespaces/{namespace}" if kind.namespaced and namespace else ""
    return f"{root}{scope}/{kind.plural}" + (f"/{name}" if name else "")


@cache
def _by_name() -> Mapping[str, list[Kind]]:
    """Kinds by each of their names, those of the preferred version first."""
    found: dict[str, list[Kind]] = {}
    for kind in KINDS:
        for name in dict.fromkeys((kind.plural, kind.singular, *kind.short_names)):
            found.setdefault(name, []).append(kind)
    return found


def kind_named(api_version: str, name: str) -> Kind | None:
    """The kind that an object's apiVersion and kind name."""
    return KINDS.named(api_version, name)
