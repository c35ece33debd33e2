"""Tokens of service accounts for the volumes of pods: asked for when first needed, and anew well
before they run out (pkg/kubelet/token/token_manager.go)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from longshore.base.clock import Clock, parse_rfc3339
from longshore.core.objects.errors import ApiError, NotFound, Unavailable
from longshore.core.objects.kinds import Doc

# A token is replaced when a fifth of its life is left, and at the latest after a day.
_LEFT, _OLDEST_S = 0.2, 24 * 3600.0
# What a controller is about to make (a namespace's default account, its CA certificate) is waited
# for: so often, so long between two looks.
PATIENCE_TRIES, PATIENCE_S = 20, 0.1
USUAL_S = 3600


class TokenSource(Protocol):
    """Whom the agent asks for tokens."""

    async def token(self, namespace: str, account: str, spec: Doc) -> Doc:
        """The status of a TokenRequest with that spec: token and expirationTimestamp."""


class TokenKey(NamedTuple):
    """What a projection asks for: an audience ("": the API server's), a life in seconds."""

    audience: str
    seconds: int


@dataclass(frozen=True, slots=True)
class _Held:
    token: str
    since: float
    until: float

    def is_fresh(self, now: float) -> bool:
        life = self.until - self.since
        return now < self.until - life * _LEFT and now - self.since < _OLDEST_S


class Credentials:
    """The tokens of one node's pods, by pod uid and what was asked for."""

    def __init__(self, source: TokenSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._held: dict[str, dict[TokenKey, _Held]] = {}

    async def of_pod(self, pod: Doc) -> dict[TokenKey, str]:
        """Every token that the pod's volumes ask for. Raises ApiError."""
        wanted = set(token_keys(pod["spec"]))
        return {key: await self._get(pod, key) for key in sorted(wanted)}

    def forget(self, uid: str) -> None:
        self._held.pop(uid, None)

    async def _get(self, pod: Doc, key: TokenKey) -> str:
        tokens = self._held.setdefault(pod["metadata"]["uid"], {})
        held, now = tokens.get(key), self._clock.now()
        if held is not None and held.is_fresh(now):
            return held.token
        try:
            answer = await self._ask(pod, key)
        except ApiError:
            if held is None or held.until <= now:
                raise
            return held.token
        until = parse_rfc3339(answer["expirationTimestamp"])
        tokens[key] = _Held(answer["token"], now, until)
        return str(answer["token"])

    async def _ask(self, pod: Doc, key: TokenKey) -> Doc:
        metadata = pod["metadata"]
        bound = {
            "apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"],
        }  # fmt: skip
        spec: Doc = {"expirationSeconds": key.seconds, "boundObjectRef": bound}
        if key.audience:
            spec["audiences"] = [key.audience]
        account = pod["spec"].get("serviceAccountName") or "default"
        for _ in range(PATIENCE_TRIES):
            try:
                return await self._source.token(metadata["namespace"], account, spec)
            except NotFound as error:
                why = error.message
            await self._clock.sleep(PATIENCE_S)
        raise Unavailable(f"failed to fetch token: {why}")


def token_keys(spec: Doc) -> Iterator[TokenKey]:
    """What a pod's volumes ask for."""
    for volume in spec.get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if "serviceAccountToken" in source:
                yield key_of(source["serviceAccountToken"])


def key_of(projection: Doc) -> TokenKey:
    return TokenKey(
        projection.get("audience") or "", projection.get("expirationSeconds") or USUAL_S
    )
