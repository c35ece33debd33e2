"""What is posted to be answered or done rather than stored: reviews of who may do what."""

from __future__ import annotations

from longshore.base.users import User
from longshore.core.registry.registry import Registry
from longshore.core.registry.reviews import Reviews, TokenReader
from longshore.doors.kit.http import Reply, Request
from longshore.doors.kubernetes import translate
from longshore.doors.kubernetes.media import negotiate
from longshore.doors.kubernetes.rendering import encode
from longshore.doors.kubernetes.translate import Target


class Asking:
    """One method a question; each takes a request, where it points, and who asks."""

    def __init__(self, registry: Registry, tokens: TokenReader) -> None:
        self._registry = registry
        self._reviews = Reviews(tokens)

    async def review(self, request: Request, target: Target, who: User) -> Reply:
        media, _ = negotiate(request.headers.get("accept", ""))
        options = translate.write_options(request, "CreateOptions")
        doc, doubled = translate.read_object(request, target, options)
        answer, warnings = self._reviews.answer(who, target.kind, doc, target.namespace, options)
        headers = translate.warning_header([*doubled, *warnings])
        return Reply(201, encode(answer, media), media, headers)
