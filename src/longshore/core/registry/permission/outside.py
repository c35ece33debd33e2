"""Authorisers outside the server: what they are asked, and how long what they said counts.

Source: apiserver/plugin/pkg/authorizer/webhook/webhook.go.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

from longshore.base.clock import Clock
from longshore.base.users import User
from longshore.core.objects.kinds import Doc
from longshore.core.registry.questions import Ask, AskError, Remembered, Undecided, told
from longshore.core.registry.wishes import Verdict, Wish

log = logging.getLogger(__name__)

# How many answers are remembered of one authoriser (upstream's number).
_ANSWERS_MAX = 8192


@dataclass(frozen=True, slots=True)
class Terms:
    """How long answers count, in seconds, and whether a failure to answer denies or is no opinion."""

    name: str
    authorized_ttl_s: float = 300.0
    unauthorized_ttl_s: float = 30.0
    failure_denies: bool = False


class Outside:
    """One outside authoriser, and what it has said lately."""

    def __init__(self, terms: Terms, ask: Ask, clock: Clock) -> None:
        self._terms = terms
        self._ask = ask
        self._said = Remembered[Verdict](clock, _ANSWERS_MAX)

    def verdict(self, spec: Doc) -> Verdict:
        """What it said of that. Raises Undecided if it was not asked, or too long ago."""
        verdict = self._said.get(spec)
        if verdict is None:
            raise Undecided(partial(self.settle, spec))
        return verdict

    async def settle(self, spec: Doc) -> None:
        """Ask, and remember what was said, or that nothing was."""
        terms = self._terms
        try:
            verdict = _verdict_of(await self._ask(spec))
            ttl_s = terms.authorized_ttl_s if verdict.allowed else terms.unauthorized_ttl_s
        except AskError as error:
            log.warning("the authorizer %s gave no answer: %s", terms.name, error)
            verdict = Verdict(False, denied=terms.failure_denies, error=str(error))
            ttl_s = 0.0
        self._said.put(spec, verdict, ttl_s)


def spec_of_wish(who: User, wish: Wish) -> Doc:
    """The spec of a SubjectAccessReview. What is allowed is so in every version of a resource."""
    attributes: Doc = {
        "namespace": wish.namespace, "verb": wish.verb, "group": wish.group, "version": "*",
        "resource": wish.resource, "subresource": wish.subresource, "name": wish.name,
    }  # fmt: skip
    if wish.fields:
        chosen = [
            {"key": key, "operator": "In", "values": [value]}
            for key, value in sorted(wish.fields.items())
        ]
        attributes["fieldSelector"] = {"requirements": chosen}
    return _spec(who, "resourceAttributes", attributes)


def spec_of_path(who: User, verb: str, path: str) -> Doc:
    return _spec(who, "nonResourceAttributes", {"path": path, "verb": verb})


def _spec(who: User, about: str, attributes: Doc) -> Doc:
    said = {
        "user": who.name, "groups": list(who.groups), "uid": who.uid,
        "extra": {key: list(values) for key, values in who.extra},
    }  # fmt: skip
    return {about: _filled(attributes), **_filled(said)}


def _filled(doc: Doc) -> Doc:
    return {key: value for key, value in doc.items() if value}


def _verdict_of(status: Doc) -> Verdict:
    """Raises AskError for what does not say whether."""
    allowed, denied = status.get("allowed", False), status.get("denied", False)
    if not isinstance(allowed, bool) or not isinstance(denied, bool):
        raise AskError("its status does not say true or false")
    both = "webhook subject access review returned both allow and deny response"
    error = both if allowed and denied else told(status.get("evaluationError"))
    return Verdict(allowed and not denied, told(status.get("reason")), denied, error)
