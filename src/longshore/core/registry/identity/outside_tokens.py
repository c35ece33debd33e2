"""Tokens of an outside issuer (OpenID Connect): whose they are, by which claims.

Follows kubernetes.io/docs/reference/access-authn-authz/authentication
(#openid-connect-tokens) and OpenID Connect Core 1.0, 3.1.3.7. Nobody from outside is one of the
cluster's own: names that begin with system: or longshore: are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from longshore.base.clock import Clock
from longshore.base.users import User
from longshore.core.objects.errors import Unauthorized
from longshore.core.objects.kinds import Doc
from longshore.core.registry.identity.tokens import ISSUER
from longshore.core.registry.wishes import AUTHENTICATED

ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512")
# Seconds by which clocks may differ where a token is not valid yet.
LEEWAY_S = 300
_TOKEN_MAX_BYTES = 16 * 1024
_OWN = ("system:", "longshore:")
_STRANGER = ""
"""What is said of a token that is another issuer's: nothing."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim that names somebody, and what is put before it."""

    name: str
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens are believed, for which audiences, and what their claims mean."""

    url: str
    audiences: tuple[str, ...]
    username: Claim
    groups: Claim | None = None
    uid: str = ""
    required: Mapping[str, str] = field(default_factory=dict)


class OutsideTokens:
    """Knows the tokens of one issuer, once its keys were learnt. wanted is called for a key that
    is not known (yet)."""

    def __init__(self, issuer: Issuer, clock: Clock, wanted: Callable[[], None]) -> None:
        self.issuer = issuer
        self._clock = clock
        self._wanted = wanted
        self._keys: dict[str, Any] = {}

    def learn(self, keys: Doc) -> int:
        """Take over a JSON Web Key Set (RFC 7517), in place of what was known. Keys for other uses
        and of other kinds are passed over. Returns how many there are now."""
        from jwt import PyJWK
        from jwt.exceptions import PyJWTError

        known = {}
        for one in keys.get("keys") or ():
            if (
                not isinstance(one, dict)
                or one.get("use", "sig") != "sig"
                or one.get("kty") == "oct"
            ):
                continue
            try:
                key = PyJWK.from_dict(one)
            except PyJWTError:
                continue
            known[one.get("kid", "")] = key
        self._keys = known
        return len(known)

    def authenticate(self, token: str, audiences: Sequence[str] = ()) -> tuple[User, list[str]]:
        """The bearer. Raises Unauthorized: without a word if the token is not this issuer's."""
        claims = self._verified(token)
        self._check_times(claims)
        if audiences and ISSUER not in audiences:
            raise Unauthorized("token is not for the audiences that are asked for")
        for name, value in self.issuer.required.items():
            if claims.get(name) != value:
                raise Unauthorized(f"oidc: required claim {name} is missing or has another value")
        return self._user(claims), [ISSUER]

    def _verified(self, token: str) -> Doc:
        import jwt

        if len(token) > _TOKEN_MAX_BYTES or token.count(".") != 2:
            raise Unauthorized(_STRANGER)
        try:
            said = jwt.decode(token, options={"verify_signature": False})
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise Unauthorized(_STRANGER) from None
        if said.get("iss") != self.issuer.url:
            raise Unauthorized(_STRANGER)
        return self._believed(token, header)

    def _believed(self, token: str, header: Doc) -> Doc:
        import jwt

        key = self._keys.get(header.get("kid", ""))
        if key is None:
            self._wanted()
            raise Unauthorized("oidc: the token is signed with a key that its issuer does not show")
        if key.algorithm_name not in ALGORITHMS or header.get("alg") != key.algorithm_name:
            raise Unauthorized("oidc: the token's algorithm is not its key's")
        # Times are checked by the clock that everybody goes by, not by the library's.
        options: Any = {
            "verify_exp": False, "verify_nbf": False, "verify_iat": False, "require": ["exp"],
        }  # fmt: skip
        try:
            claims: Doc = jwt.decode(
                token, key, algorithms=[key.algorithm_name], issuer=self.issuer.url,
                audience=list(self.issuer.audiences), options=options,
            )  # fmt: skip
        except jwt.PyJWTError as error:
            raise Unauthorized(f"oidc: {error}") from None
        return claims

    def _check_times(self, claims: Doc) -> None:
        now = self._clock.now()
        if not isinstance(claims["exp"], int | float) or now >= claims["exp"]:
            raise Unauthorized("oidc: token is expired")
        begins = claims.get("nbf", 0)
        if not isinstance(begins, int | float) or now + LEEWAY_S < begins:
            raise Unauthorized("oidc: token is not valid yet")

    def _user(self, claims: Doc) -> User:
        name = _text(claims, self.issuer.username.name)
        if self.issuer.username.name == "email" and claims.get("email_verified") is False:
            raise Unauthorized("oidc: email not verified")
        groups = _groups(claims, self.issuer.groups)
        name = self.issuer.username.prefix + name
        for one in (name, *groups):
            if one.startswith(_OWN):
                raise Unauthorized(f"oidc: {one!r} is a name of the cluster's own, use a prefix")
        uid = _text(claims, self.issuer.uid) if self.issuer.uid else ""
        return User(name, (*groups, AUTHENTICATED), uid)


def _text(claims: Doc, name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise Unauthorized(f"oidc: claim {name} is missing or no text")
    return value


def _groups(claims: Doc, claim: Claim | None) -> list[str]:
    """One group or several; none if the claim is not there."""
    value = claims.get(claim.name) if claim else None
    if claim is None or value is None:
        return []
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise Unauthorized(f"oidc: claim {claim.name} is no text and no list of texts")
    return [claim.prefix + one for one in found]
