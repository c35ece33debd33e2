"""Tokens of service accounts that lie in a Secret and do not end (type
kubernetes.io/service-account-token), for clients that cannot ask for a new one from time to time.

Such a token is as good as its Secret, which every use looks up. Rules: pkg/serviceaccount/legacy.go.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import orjson

from longshore.base.users import User, account_user
from longshore.core.objects import kinds
from longshore.core.objects.errors import Unauthorized
from longshore.core.objects.kinds import Doc
from longshore.core.registry.identity.tokens import ISSUER, Tokens, groups_of
from longshore.core.watch.cache import Cache

TYPE = "kubernetes.io/service-account-token"
ACCOUNT_NAME = "kubernetes.io/service-account.name"
ACCOUNT_UID = "kubernetes.io/service-account.uid"
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"
"""A label by which an administrator takes such a token out of use."""
_ISSUER = "kubernetes/serviceaccount"
_CLAIM = "kubernetes.io/serviceaccount/"
_NAMESPACE, _SECRET = f"{_CLAIM}namespace", f"{_CLAIM}secret.name"
_NAME, _UID = f"{_CLAIM}service-account.name", f"{_CLAIM}service-account.uid"


class SecretTokens:
    """Makes such tokens, and says whose one is. They are signed with the keys of accounts."""

    def __init__(self, cache: Cache, accounts: Tokens) -> None:
        self._cache = cache
        self._accounts = accounts

    def issue(self, account: Doc, secret: Doc) -> str:
        """A token of the account, for this Secret."""
        metadata = account["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        return self._accounts.keyring.sign({
            "iss": _ISSUER, "sub": account_user(namespace, name), _NAMESPACE: namespace,
            _SECRET: secret["metadata"]["name"], _NAME: name, _UID: metadata["uid"],
        })  # fmt: skip

    def authenticate(self, token: str, audiences: Sequence[str] = ()) -> tuple[User, list[str]]:
        """The bearer; the audience is the cluster itself. Raises Unauthorized, saying why."""
        claims = self._accounts.verified(token)
        if claims.get("iss") != _ISSUER:
            raise Unauthorized("")
        asked = list(audiences) or [ISSUER]
        if ISSUER not in asked:
            shown = [orjson.dumps(each).decode() for each in ([ISSUER], asked)]
            raise Unauthorized(
                f"token audiences {shown[0]} is invalid for the target audiences {shown[1]}"
            )
        self._check_secret(claims, token)
        self._check_account(claims)
        return User(claims["sub"], groups_of(claims[_NAMESPACE]), claims[_UID]), [ISSUER]

    def _check_secret(self, claims: Doc, token: str) -> None:
        namespace, name = claims[_NAMESPACE], claims[_SECRET]
        secret = self._cache.get(kinds.SECRET, namespace, name)
        if secret is None or secret["metadata"].get("deletionTimestamp"):
            raise Unauthorized("service account token has been invalidated")
        if (secret.get("data") or {}).get("token") != base64.b64encode(token.encode()).decode():
            raise Unauthorized("service account token does not match server's copy")
        if INVALID_SINCE in (secret["metadata"].get("labels") or {}):
            raise Unauthorized(
                f"the token in secret {namespace}/{name} for service account "
                f"{namespace}/{claims[_NAME]} has been marked invalid. Use tokens from the "
                f"TokenRequest API or manually created secret-based tokens, or remove the "
                f"'{INVALID_SINCE}' label from the secret to temporarily allow use of this token"
            )

    def _check_account(self, claims: Doc) -> None:
        namespace, name = claims[_NAMESPACE], claims[_NAME]
        account = self._cache.get(kinds.SERVICE_ACCOUNT, namespace, name)
        if account is None or account["metadata"].get("deletionTimestamp"):
            raise Unauthorized(f"service account {namespace}/{name} has been deleted")
        if account["metadata"]["uid"] != claims[_UID]:
            why = f"does not match claim ({claims[_UID]})"
            raise Unauthorized(f"service account UID ({account['metadata']['uid']}) {why}")
