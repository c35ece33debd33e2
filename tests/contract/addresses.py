"""Where objects of a kind are served."""

from __future__ import annotations

from longshore.core.objects.kinds import Kind


def collection(kind: Kind) -> str:
    """The path of a kind's collection, in the namespace default."""
    root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    return (
        f"{root}/namespaces/default/{kind.plural}" if kind.namespaced else f"{root}/{kind.plural}"
    )
