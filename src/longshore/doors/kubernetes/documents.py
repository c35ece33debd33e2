"""Documents about the API rather than objects in it: discovery, OpenAPI, the issuer of tokens, the
version, and health."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from email.utils import formatdate
from functools import cached_property

from longshore.base.clock import Clock
from longshore.base.version import KUBERNETES_VERSION
from longshore.core.objects.errors import MethodNotAllowed, NotAcceptable, NotFound
from longshore.core.objects.kinds import Doc, Kinds
from longshore.core.registry.identity.tokens import AnyTokens
from longshore.doors.kit.http import Reply, Request
from longshore.doors.kubernetes import discovery, gnostic
from longshore.doors.kubernetes.media import JSON, YAML, negotiate, ranked
from longshore.doors.kubernetes.openapi import OpenApi
from longshore.doors.kubernetes.rendering import encode

HEALTH = ("healthz", "livez", "readyz")
_YEAR_S = 365 * 86_400


class Documents:
    """address is where clients reach the server; version is what /version says; checks are what
    health looks at, by name."""

    def __init__(
        self,
        kinds: Kinds,
        tokens: AnyTokens,
        clock: Clock,
        address: str,
        version: Doc,
        checks: Mapping[str, Callable[[], bool]],
    ) -> None:
        self.listed: Mapping[tuple[str, str], Callable[[], list[Doc]]] = {}
        """Groups and versions that are no kinds', and what they list now."""
        self._kinds = kinds
        self._tokens = tokens
        self._clock = clock
        self._address = address
        self._version = version
        self._checks: dict[str, Callable[[], bool]] = {"ping": lambda: True, **checks}
        self._openapi = OpenApi(kinds, KUBERNETES_VERSION)

    def answer(self, request: Request, first: str) -> Reply:
        """first is the first part of the path."""
        if first in ("api", "apis"):
            return self._discover(request)
        if first in HEALTH:
            return self.health(request)
        if first in (".well-known", "openid"):
            return self._issuer(request)
        if first == "openapi":
            return self._publish(request)
        if request.path in ("/version", "/version/"):
            only_get(request)
            return Reply(200, encode(self._version, JSON, pretty=True))
        if request.path == "/":
            only_get(request)
            return Reply(200, encode({"paths": self._root_paths}, JSON, pretty=True))
        return not_found()

    def _discover(self, request: Request) -> Reply:
        parts = request.path.strip("/").split("/")
        if len(parts) == 1:
            version = _aggregated_version(request.headers.get("accept", ""))
            if version and request.method in ("GET", "HEAD"):
                return self._aggregated(request, version, core=parts[0] == "api")
        doc = self._discovery(parts)
        if doc is None:
            return self._nothing_there(parts)
        only_get(request)
        media, _ = negotiate(request.headers.get("accept", ""))
        return Reply(200, encode(doc, media), media)

    def _nothing_there(self, parts: list[str]) -> Reply:
        """Within a group that is served, unknown resources are refused as clients know it."""
        group = parts[1:3] if parts[0] == "apis" else ["", *parts[1:2]]
        served = len(group) == 2 and discovery.resource_list(self._kinds, *group) is not None
        if served:
            raise NotFound("the server could not find the requested resource")
        return not_found()

    def _discovery(self, parts: list[str]) -> Doc | None:
        match parts:
            case ["api"]:
                return discovery.core_versions(self._address)
            case ["api", version]:
                return discovery.resource_list(self._kinds, "", version)
            case ["apis"]:
                return discovery.group_list(self._kinds, self.listed)
            case ["apis", group]:
                return discovery.group(self._kinds, group, self.listed)
            case ["apis", group, version]:
                listed = self.listed.get((group, version))
                if listed is not None:
                    return discovery.listing(f"{group}/{version}", listed())
                return discovery.resource_list(self._kinds, group, version)
        return None

    def _aggregated(self, request: Request, version: str, *, core: bool) -> Reply:
        doc = discovery.aggregated(self._kinds, version, core=core)
        if not core:
            doc["items"] += [discovery.aggregated_alone(*one) for one in self.listed]
        body = encode(doc, JSON)
        media = f"{JSON};g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
        return _cacheable(request, body, media)

    def _publish(self, request: Request) -> Reply:
        only_get(request)
        match request.path.strip("/").split("/", 2):
            case [_, "v2"]:
                if _wants_gnostic(request.headers.get("accept", "")):
                    return _cacheable(request, self._openapi.v2_protobuf, gnostic.REPLY_MEDIA)
                return _cacheable(request, self._openapi.v2, JSON)
            case [_, "v3"]:
                return _cacheable(request, self._openapi.v3_index, JSON)
            case [_, "v3", name]:
                return self._versioned(request, name)
        return not_found()

    def _versioned(self, request: Request, name: str) -> Reply:
        """One document of OpenAPI v3. Under the hash that the index gives it never changes; under
        another one clients are sent on (kube-openapi pkg/handler3)."""
        body = self._openapi.v3(name)
        if body is None:
            return not_found()
        reply = _cacheable(request, body, JSON)
        asked = request.param("hash")
        if not asked:
            return reply
        url = self._openapi.address(name)
        if not url.endswith(f"?hash={asked}"):
            return Reply(301, b"", "", {**reply.headers, "Location": url})
        expires = formatdate(self._clock.now() + _YEAR_S, usegmt=True)
        reply.headers |= {"Cache-Control": "public, immutable", "Expires": expires}
        return reply

    def _issuer(self, request: Request) -> Reply:
        """What others need to know to verify service account tokens."""
        only_get(request)
        body, media = None, JSON
        if request.path.rstrip("/") == "/.well-known/openid-configuration":
            body = self._tokens.configuration(f"https://{self._address}/openid/v1/jwks")
        elif request.path.rstrip("/") == "/openid/v1/jwks":
            body, media = self._tokens.keys, "application/jwk-set+json"
        if body is None:
            return not_found()
        return Reply(200, body, media, {"Cache-Control": "public, max-age=3600"})

    @cached_property
    def _root_paths(self) -> list[str]:
        paths = ["/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz"]
        for group, versions in discovery.groups(self._kinds).items():
            if group:
                paths += [f"/apis/{group}", *(f"/apis/{group}/{one}" for one in versions)]
            else:
                paths += [f"/api/{one}" for one in versions]
        return sorted([*paths, "/version"])

    def health(self, request: Request) -> Reply:
        only_get(request)
        kind, _, only = request.path.strip("/").partition("/")
        if only and only not in self._checks:
            return not_found()
        excluded = request.query.get("exclude", ())
        names = [only] if only else [name for name in self._checks if name not in excluded]
        results = {name: self._checks[name]() for name in names}
        healthy = all(results.values())
        if healthy and "verbose" not in request.query:
            return Reply(200, b"ok", "text/plain")
        lines = [
            f"[+]{name} ok" if passed else f"[-]{name} failed: reason withheld"
            for name, passed in results.items()
        ]
        lines.append(f"{kind} check {'passed' if healthy else 'failed'}\n")
        return Reply(200 if healthy else 500, "\n".join(lines).encode(), "text/plain")


def only_get(request: Request) -> None:
    """Raises MethodNotAllowed."""
    if request.method not in ("GET", "HEAD"):
        raise MethodNotAllowed(f"{request.path} can only be read")


def not_found() -> Reply:
    # Upstream's own words and form for paths that nothing serves.
    return Reply(404, b"404 page not found\n", "text/plain")


def _aggregated_version(accept: str) -> str:
    """v2 or v2beta1 if the client asks for aggregated discovery before plain JSON."""
    for media, parameters in ranked(accept):
        wanted = parameters.get("as")
        if media == JSON and wanted == "APIGroupDiscoveryList":
            version = parameters.get("v", "")
            if version in ("v2", "v2beta1") and parameters.get("g") == "apidiscovery.k8s.io":
                return version
        elif media in (JSON, YAML, "*/*") and not wanted:
            return ""
    return ""


def _wants_gnostic(accept: str) -> bool:
    """Whether protobuf is the best offer that can be met. Raises NotAcceptable."""
    for media, _ in ranked(accept):
        if media in (JSON, "application/*", "*/*"):
            return False
        if media == gnostic.MEDIA:
            return True
    raise NotAcceptable(f"only the following media types are accepted: {JSON}, {gnostic.MEDIA}")


def _cacheable(request: Request, body: bytes, media: str) -> Reply:
    """With an ETag; nothing but it if the client has that already."""
    etag = '"' + hashlib.sha256(body).hexdigest().upper() + '"'
    headers = {"ETag": etag, "Vary": "Accept", "Cache-Control": "public"}
    if request.headers.get("if-none-match") == etag:
        return Reply(304, b"", "", headers)
    return Reply(200, body, media, headers)
