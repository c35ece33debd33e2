"""The old paths of watches, /api/v1/watch/..., which upstream still serves: a watch of the
collection, or of one object by its name (apiserver/pkg/endpoints/installer.go, WATCH and WATCHLIST)."""

from __future__ import annotations

from dataclasses import replace

from longshore.core.objects.kinds import Kinds
from longshore.doors.kit.http import Request
from longshore.doors.kubernetes.translate import parse_target


def modern(kinds: Kinds, request: Request) -> Request:
    """A request by an old path as one for the collection with ?watch; any other as it is."""
    if "/watch/" not in request.path or request.method not in ("GET", "HEAD"):
        return request
    parts = request.path.strip("/").split("/")
    at = 2 if parts[0] == "api" else 3
    if len(parts) <= at or parts[at] != "watch":
        return request
    del parts[at]
    target = parse_target(kinds, "/".join(parts))
    if target is None or target.subresource:
        return request
    query = {**request.query, "watch": ["true"]}
    if target.name:
        parts.pop()
        given = request.query.get("fieldSelector", ())
        query["fieldSelector"] = [",".join([*given[:1], f"metadata.name={target.name}"])]
    return replace(request, path="/" + "/".join(parts), query=query)
