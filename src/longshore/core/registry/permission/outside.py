"""Authorisers outside the server: what they are asked, and how long what they said counts.

Judging is synchronous and asking is not: a judgement that needs an answer which is not known raises
Undecided; who holds the request has it settled and judges anew (settled()).

Source: apiserver/plugin/pkg/authorizer/webhook/webhook.go.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import orjson

from longshore.base.clock import Clock
from longshore.base.users import User
from longshore.core.objects.errors import Unavailable
from longshore.core.objects.kinds import Doc
from longshore.core.registry.authorize import Verdict, Wish

log = logging.getLogger(__name__)

_T = TypeVar("_T")
# How many answers are remembered of one authoriser (upstream's number), and how much of a reason.
_ANSWERS_MAX, _REASON_MAX = 8192, 1024
# An answer counts for the request that asked, however short it is kept otherwise; a failure too, so
# that an authoriser that is down is not asked by each of many requests anew.
_LEAST_S = 1.0
# How many answers one request may need.
_QUESTIONS_MAX = 64


class AskError(Exception):
    """There is no answer, or none that can be understood."""


class Ask(Protocol):
    async def __call__(self, spec: Doc) -> Doc:
        """Ask a SubjectAccessReview of that spec; its status. Raises AskError."""


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
        self._clock = clock
        self._said: dict[bytes, tuple[float, Verdict]] = {}

    def verdict(self, spec: Doc) -> Verdict:
        """What it said of that. Raises Undecided if it was not asked, or too long ago."""
        until, verdict = self._said.get(_digest(spec), (0.0, None))
        if verdict is None or until <= self._clock.monotonic():
            raise Undecided(self, spec)
        return verdict

    async def settle(self, spec: Doc) -> None:
        """Ask, and remember what was said, or that nothing was."""
        try:
            verdict = _verdict_of(await self._ask(spec))
            ttl_s = (
                self._terms.authorized_ttl_s if verdict.allowed else self._terms.unauthorized_ttl_s
            )
        except AskError as error:
            log.warning("the authorizer %s gave no answer: %s", self._terms.name, error)
            verdict = Verdict(False, denied=self._terms.failure_denies, error=str(error))
            ttl_s = 0.0
        self._remember(_digest(spec), verdict, max(ttl_s, _LEAST_S))

    def _remember(self, key: bytes, verdict: Verdict, ttl_s: float) -> None:
        self._said.pop(key, None)
        if len(self._said) >= _ANSWERS_MAX:
            del self._said[next(iter(self._said))]
        self._said[key] = self._clock.monotonic() + ttl_s, verdict


class Undecided(Unavailable):
    """A judgement that an outside authoriser is to be asked for. Where nobody does so, it is
    refused as what cannot be had now."""

    def __init__(self, outside: Outside, spec: Doc) -> None:
        super().__init__("an outside authorizer was not asked yet")
        self._outside, self._spec = outside, spec

    async def settle(self) -> None:
        await self._outside.settle(self._spec)


async def settled(question: Undecided, again: Callable[[], Awaitable[_T]]) -> _T:
    """What comes of doing something again, once all that it needs to know is known. Nothing may
    have been done by what raised the question."""
    for _ in range(_QUESTIONS_MAX):
        await question.settle()
        try:
            return await again()
        except Undecided as another:
            question = another
    raise Unavailable(
        f"the outside authorizers were asked {_QUESTIONS_MAX} times, and it is open still"
    )


async def decided(judge: Callable[[], _T]) -> _T:
    """A judgement, once all that it needs to know is known."""

    async def judged() -> _T:
        return judge()

    try:
        return judge()
    except Undecided as question:
        return await settled(question, judged)


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


def _digest(spec: Doc) -> bytes:
    """Of one size, however long the words are that a caller chose."""
    return hashlib.sha256(orjson.dumps(spec)).digest()


def _verdict_of(status: Doc) -> Verdict:
    """Raises AskError for what does not say whether."""
    allowed, denied = status.get("allowed", False), status.get("denied", False)
    if not isinstance(allowed, bool) or not isinstance(denied, bool):
        raise AskError("its status does not say true or false")
    both = "webhook subject access review returned both allow and deny response"
    error = both if allowed and denied else _text(status.get("evaluationError"))
    return Verdict(allowed and not denied, _text(status.get("reason")), denied, error)


def _text(value: Any) -> str:
    return value[:_REASON_MAX] if isinstance(value, str) else ""
