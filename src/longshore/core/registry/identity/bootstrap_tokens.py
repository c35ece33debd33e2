"""Bootstrap tokens, by which a machine that is no node yet may ask for its certificate.

A token is a Secret in kube-system (kubernetes.io/docs/reference/access-authn-authz/
bootstrap-tokens); whoever shows it is system:bootstrap:ID, of the group system:bootstrappers.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Sequence

from longshore.base.clock import Clock, parse_rfc3339, rfc3339
from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.errors import Unauthorized
from longshore.core.objects.kinds import Doc
from longshore.core.registry.identity.tokens import ISSUER
from longshore.core.registry.wishes import AUTHENTICATED
from longshore.core.watch.cache import Cache

NAMESPACE, PREFIX, TYPE = "kube-system", "bootstrap-token-", "bootstrap.kubernetes.io/token"
GROUP = "system:bootstrappers"
FORM = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_EXTRA_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")
_INVALID = "invalid bearer token"


class BootstrapTokens:
    """Knows the tokens whose Secrets are in the cache."""

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self._cache = cache
        self._clock = clock

    def authenticate(self, token: str, audiences: Sequence[str] = ()) -> tuple[User, list[str]]:
        """The bearer. Raises Unauthorized, which does not say which part was wrong."""
        form = FORM.fullmatch(token)
        if form is None or (audiences and ISSUER not in audiences):
            raise Unauthorized(_INVALID)
        token_id, secret = form.groups()
        doc = self._cache.get(kinds.SECRET, NAMESPACE, PREFIX + token_id)
        if doc is None or not self._is_good(doc, token_id, secret):
            raise Unauthorized(_INVALID)
        return User(f"system:bootstrap:{token_id}", (*_groups(doc), AUTHENTICATED)), [ISSUER]

    def _is_good(self, doc: Doc, token_id: str, secret: str) -> bool:
        return (
            doc.get("type") == TYPE
            and "deletionTimestamp" not in doc["metadata"]
            and hmac.compare_digest(said(doc, "token-secret"), secret)
            and said(doc, "token-id") == token_id
            and said(doc, "usage-bootstrap-authentication") == "true"
            and self._clock.now() < expires_at(doc)
        )


def secret_of(token: str, description: str, expires: float) -> Doc:
    """The Secret that makes a token (ID.SECRET) good until a moment, in seconds since the epoch."""
    token_id, _, secret = token.partition(".")
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": PREFIX + token_id, "namespace": NAMESPACE},
        "type": TYPE,
        "stringData": {
            "token-id": token_id, "token-secret": secret, "expiration": rfc3339(expires),
            "usage-bootstrap-authentication": "true", "description": description,
        },
    }  # fmt: skip


def said(doc: Doc, field: str) -> str:
    """One field of a Secret's data; empty if it is not there or no text."""
    try:
        return base64.b64decode((doc.get("data") or {}).get(field) or "").decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def expires_at(doc: Doc) -> float:
    """Seconds since the epoch: never if the token does not say, at once if it is unreadable."""
    told = said(doc, "expiration")
    if not told:
        return float("inf")
    try:
        return parse_rfc3339(told)
    except ValueError:
        return 0.0


def _groups(doc: Doc) -> tuple[str, ...]:
    """Raises Unauthorized for a group that a bootstrap token cannot give."""
    wanted = [group for group in said(doc, "auth-extra-groups").split(",") if group]
    if not all(_EXTRA_GROUP.fullmatch(group) for group in wanted):
        raise Unauthorized(_INVALID)
    return (GROUP, *sorted(set(wanted)))
