"""What is posted to be answered or done rather than stored: reviews, evictions, tokens, bindings."""

from __future__ import annotations

from dataclasses import replace

import orjson

from longshore.base.clock import Clock, rfc3339
from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.errors import BadRequest, Cause, Invalid, MethodNotAllowed
from longshore.core.objects.kinds import Doc
from longshore.core.registry.client import Bind, DeleteOptions
from longshore.core.registry.eviction import Evictions
from longshore.core.registry.identity.tokens import AnyTokens
from longshore.core.registry.registry import Registry
from longshore.core.registry.reviews import Reviews
from longshore.core.registry.sent import checked
from longshore.doors.kit.http import Reply, Request
from longshore.doors.kubernetes import translate
from longshore.doors.kubernetes.deleting import deletion
from longshore.doors.kubernetes.media import negotiate
from longshore.doors.kubernetes.rendering import encode
from longshore.doors.kubernetes.translate import Target


class Asking:
    """One method a question; each takes a request, where it points, and who asks."""

    def __init__(self, registry: Registry, clock: Clock, tokens: AnyTokens) -> None:
        self._registry = registry
        self._clock = clock
        self._tokens = tokens
        self._reviews = Reviews(tokens, registry.permission)
        self._evictions = Evictions(registry, clock)

    async def review(self, request: Request, target: Target, who: User) -> Reply:
        options = translate.write_options(request, "CreateOptions")
        doc, doubled = translate.read_object(request, target, options)
        answer, warnings = self._reviews.answer(who, target.kind, doc, target.namespace, options)
        return _created(request, answer, [*doubled, *warnings])

    async def evict(self, request: Request, target: Target, who: User) -> Reply:
        options = translate.write_options(request, "CreateOptions")
        doc, doubled = translate.read_object(request, target, options, kinds.EVICTION)
        doc, warnings = checked(kinds.EVICTION, doc, options)
        if doc["metadata"].get("name") != target.name:
            raise BadRequest("name in URL does not match name in Eviction object")
        deletion, dry_run = _deletion(request, doc)
        dry_run = dry_run or options.dry_run
        await self._evictions.evict(who, target.namespace, target.name, deletion, dry_run=dry_run)
        return _created(request, _DONE, [*doubled, *warnings])

    async def token(self, request: Request, target: Target, who: User) -> Reply:
        options = translate.write_options(request, "CreateOptions")
        doc, doubled = translate.read_object(request, target, options, kinds.TOKEN_REQUEST)
        doc, warnings = checked(kinds.TOKEN_REQUEST, doc, options)
        await self._registry.confirm()
        status = self._tokens.issue(who, target.namespace, target.name, doc.get("spec") or {})
        metadata = {
            "name": target.name, "namespace": target.namespace,
            "creationTimestamp": rfc3339(self._clock.now()),
        }  # fmt: skip
        answer = {**doc, "metadata": metadata, "status": status}
        return _created(request, answer, [*doubled, *warnings])

    async def bind(self, request: Request, target: Target, who: User) -> Reply:
        """A binding posted below its pod, or to the collection of bindings."""
        options = translate.write_options(request, "CreateOptions")
        doc, doubled = translate.read_object(request, target, options, kinds.BINDING)
        doc, warnings = checked(kinds.BINDING, doc, options)
        if not target.namespace:
            raise MethodNotAllowed("bindings are created in a namespace")
        pod = Target(kinds.POD, target.namespace, target.name or doc["metadata"].get("name") or "")
        if not pod.name:
            raise BadRequest("a binding needs the name of its pod in metadata.name")
        operation = _binding(pod, doc)
        collected = target.kind is kinds.BINDING
        await self._registry.bind(who, operation, dry_run=options.dry_run, collected=collected)
        return _created(request, {**_DONE, "code": 201}, [*doubled, *warnings])


_DONE: Doc = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}  # fmt: skip


def _created(request: Request, doc: Doc, warnings: list[str]) -> Reply:
    media, _ = negotiate(request.headers.get("accept", ""))
    return Reply(201, encode(doc, media), media, translate.warning_header(warnings))


def _deletion(request: Request, eviction: Doc) -> tuple[DeleteOptions, bool]:
    """What an eviction says about the deletion; and whether it is a dry run."""
    given = eviction.get("deleteOptions") or {}
    # They are what the body of a DELETE would be.
    body = orjson.dumps(given)
    wanted = deletion(replace(request, query={}, headers={}, body=body), kinds.POD)
    return wanted.options, wanted.dry_run


def _binding(pod: Target, doc: Doc) -> Bind:
    """Raises Invalid for what is no node (pkg/apis/core/validation ValidatePodBinding)."""
    target, metadata = doc.get("target") or {}, doc["metadata"]
    kind = target.get("kind") or "Node"
    if kind != "Node":
        message = f'Unsupported value: "{kind}": supported values: "Node", "<empty>"'
        cause = Cause("FieldValueNotSupported", message, "target.kind")
        raise Invalid.of(kinds.BINDING, pod.name, [cause])
    return Bind(
        pod.namespace, pod.name, target.get("name") or "", metadata.get("uid") or "",
        metadata.get("resourceVersion") or "", metadata.get("labels"), metadata.get("annotations"),
    )  # fmt: skip
