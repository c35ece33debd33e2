"""Service accounts as users, and the bearer tokens that prove to be one.

A token is a JSON Web Token with the claims of KEP-1205; it is as good as the account and the object
that it is bound to: every use looks them up. Rules: pkg/serviceaccount/claims.go and
pkg/registry/core/serviceaccount/storage/token.go of Kubernetes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

import orjson

from longshore.base.chance import Chance
from longshore.base.clock import Clock, parse_rfc3339, rfc3339
from longshore.base.users import User, account_user
from longshore.core.objects import kinds
from longshore.core.objects.errors import (
    BadRequest,
    Cause,
    Conflict,
    Invalid,
    MethodNotAllowed,
    NotFound,
    Unauthorized,
)
from longshore.core.objects.kinds import Doc, Kind
from longshore.core.registry.admission.node_tokens import check_token_request
from longshore.core.registry.identity.jws import Keyring
from longshore.core.registry.reads import Reader
from longshore.core.registry.wishes import AUTHENTICATED, SERVICE_ACCOUNTS

ISSUER = "https://kubernetes.default.svc.cluster.local"
# Seconds that a token may live (pkg/apis/authentication/validation), and lives if nobody says.
SHORTEST_S, LONGEST_S, USUAL_S = 600, 1 << 32, 3600
# Seconds by which clocks may differ.
LEEWAY_S = 60
# How many tokens are known by their digest, so that each is verified once.
_KNOWN_MAX = 4096
_TOKEN_MAX_BYTES = 16 * 1024
_EXTRA = "authentication.kubernetes.io/"
_BINDABLE = {("v1", "Pod"): kinds.POD, ("v1", "Secret"): kinds.SECRET, ("v1", "Node"): kinds.NODE}


def groups_of(namespace: str) -> tuple[str, ...]:
    """The groups of a namespace's service accounts."""
    return SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{namespace}", AUTHENTICATED


class NoTokens:
    """For a server that has no key to sign tokens with."""

    keys: bytes | None = None

    def authenticate(self, token: str, audiences: Sequence[str] = ()) -> tuple[User, list[str]]:
        raise Unauthorized("this server knows no bearer tokens")

    def issue(self, who: User, namespace: str, name: str, spec: Doc) -> Doc:
        raise MethodNotAllowed("serviceaccounts/token: this server has no key to sign tokens with")

    def configuration(self, keys_url: str) -> bytes | None:
        return None


class Tokens:
    """Issues tokens of a registry's service accounts, and says whose a token is."""

    def __init__(
        self, registry: Reader, clock: Clock, chance: Chance, keys: Sequence[bytes]
    ) -> None:
        """keys in PEM form, the newest first: that one signs."""
        self._registry = registry
        self._clock = clock
        self._chance = chance
        self.keyring = Keyring(keys)
        self._known: dict[bytes, Doc] = {}

    # --- issuing ---

    def issue(self, who: User, namespace: str, name: str, spec: Doc) -> Doc:
        """The status of a TokenRequest. Raises Forbidden, NotFound, Invalid, BadRequest (what it
        cannot be bound to), Conflict (the bound object is another by now)."""
        permission = self._registry.permission
        permission.authorize(who, "create", kinds.SERVICE_ACCOUNT, namespace, name, "token")
        check_token_request(permission, who, namespace, name, spec)
        account = self._found(kinds.SERVICE_ACCOUNT, namespace, name)
        lifetime = spec.get("expirationSeconds") or USUAL_S
        _check_lifetime(name, lifetime)
        now = int(self._clock.now())
        claims = {
            "aud": spec.get("audiences") or [ISSUER],
            "exp": now + lifetime, "iat": now, "iss": ISSUER, "jti": self._chance.uuid(),
            "kubernetes.io": {
                "namespace": namespace, **self._bound(namespace, name, spec.get("boundObjectRef")),
                "serviceaccount": _named(account),
            },
            "nbf": now, "sub": account_user(namespace, name),
        }  # fmt: skip
        token = self.keyring.sign(claims)
        return {"token": token, "expirationTimestamp": rfc3339(now + lifetime)}

    def _bound(self, namespace: str, account: str, ref: Doc | None) -> Doc:
        """The claims about what a token is bound to."""
        if not ref:
            return {}
        kind = _BINDABLE.get((ref.get("apiVersion", ""), ref.get("kind", "")))
        if kind is None:
            said = f"{ref.get('apiVersion', '')}, Kind={ref.get('kind', '')}"
            raise BadRequest(f"cannot bind token to object of type {said}")
        doc = self._found(kind, namespace if kind.namespaced else "", ref.get("name", ""))
        if ref.get("uid") and ref["uid"] != doc["metadata"]["uid"]:
            why = (
                f"the UID in the bound object reference ({ref['uid']}) does not match the UID in "
                f"record. The object might have been deleted and then recreated"
            )
            raise Conflict.of(kind, ref["name"], why)
        bound = {kind.singular: _named(doc)}
        return bound | self._pod_claims(doc, account) if kind is kinds.POD else bound

    def _pod_claims(self, pod: Doc, account: str) -> Doc:
        runs_as = pod["spec"].get("serviceAccountName", "")
        if runs_as != account:
            raise BadRequest(
                f'cannot bind token for serviceaccount "{account}" to pod running with '
                f'different serviceaccount name "{runs_as}"'
            )
        name = pod["spec"].get("nodeName", "")
        node = self._registry.cache.get(kinds.NODE, "", name) if name else None
        return {"node": _named(node)} if node is not None else {}

    def _found(self, kind: Kind, namespace: str, name: str) -> Doc:
        doc = self._registry.cache.get(kind, namespace, name)
        if doc is None:
            raise NotFound.of(kind, name)
        return doc

    # --- reading ---

    def authenticate(self, token: str, audiences: Sequence[str] = ()) -> tuple[User, list[str]]:
        """The bearer, and those of the audiences that the token is for (none asked: the cluster's
        own). Raises Unauthorized, saying why."""
        claims = self.verified(token)
        if claims.get("iss") != ISSUER:
            raise Unauthorized("invalid bearer token")
        now = self._clock.now()
        if now > claims["exp"] + LEEWAY_S:
            raise Unauthorized("service account token has expired")
        if now < claims["nbf"] - LEEWAY_S:
            raise Unauthorized("service account token is not valid yet")
        asked = list(audiences) or [ISSUER]
        meant = [audience for audience in asked if audience in claims["aud"]]
        if not meant:
            shown = [orjson.dumps(each).decode() for each in (claims["aud"], asked)]
            raise Unauthorized(
                f"token audiences {shown[0]} is invalid for the target audiences {shown[1]}"
            )
        self._check_alive(claims["kubernetes.io"], now)
        return _user(claims), meant

    def verified(self, token: str) -> Doc:
        """The claims of what one of our keys signed, whoever it says it is from. Raises Unauthorized."""
        digest = hashlib.sha256(token.encode()).digest()
        claims = self._known.get(digest)
        if claims is None:
            claims = self.keyring.verify(token) if len(token) <= _TOKEN_MAX_BYTES else None
            if claims is None:
                raise Unauthorized("invalid bearer token")
            if len(self._known) >= _KNOWN_MAX:
                del self._known[next(iter(self._known))]
            self._known[digest] = claims
        return claims

    def _check_alive(self, said: Doc, now: float) -> None:
        """Raises Unauthorized if the account, or what the token is bound to, is gone."""
        namespace, account = said["namespace"], said["serviceaccount"]
        if not self._is_alive(kinds.SERVICE_ACCOUNT, namespace, account, now):
            raise Unauthorized(f"service account {namespace}/{account['name']} has been deleted")
        for kind in (kinds.POD, kinds.SECRET, kinds.NODE):
            bound = said.get(kind.singular)
            # The node of a bound pod only tells where it ran: that lives as long as the pod.
            if bound is None or (kind is kinds.NODE and "pod" in said):
                continue
            if not self._is_alive(kind, namespace if kind.namespaced else "", bound, now):
                raise Unauthorized("service account token has been invalidated")

    def _is_alive(self, kind: Kind, namespace: str, meant: Doc, now: float) -> bool:
        doc = self._registry.cache.get(kind, namespace, meant["name"])
        if doc is None or doc["metadata"]["uid"] != meant["uid"]:
            return False
        ends = doc["metadata"].get("deletionTimestamp")
        return ends is None or parse_rfc3339(ends) >= now - LEEWAY_S

    # --- for those who verify tokens themselves (OpenID Connect Discovery 1.0) ---

    @property
    def keys(self) -> bytes | None:
        return orjson.dumps({"keys": self.keyring.public})

    def configuration(self, keys_url: str) -> bytes | None:
        return orjson.dumps({
            "issuer": ISSUER, "jwks_uri": keys_url, "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })  # fmt: skip


class AnyTokens(Protocol):
    """Whoever issues tokens and knows bearers: the methods of Tokens."""

    @property
    def keys(self) -> bytes | None: ...

    def authenticate(self, token: str, audiences: Sequence[str] = ()) -> tuple[User, list[str]]: ...

    def issue(self, who: User, namespace: str, name: str, spec: Doc) -> Doc: ...

    def configuration(self, keys_url: str) -> bytes | None: ...


def _named(doc: Doc) -> Doc:
    return {"name": doc["metadata"]["name"], "uid": doc["metadata"]["uid"]}


def _user(claims: Doc) -> User:
    said = claims["kubernetes.io"]
    extra = [(_EXTRA + "credential-id", (f"JTI={claims['jti']}",))]
    for part in ("pod", "node"):
        if part in said:
            extra.append((f"{_EXTRA}{part}-name", (said[part]["name"],)))
            extra.append((f"{_EXTRA}{part}-uid", (said[part]["uid"],)))
    namespace = said["namespace"]
    return User(claims["sub"], groups_of(namespace), said["serviceaccount"]["uid"], tuple(extra))


def _check_lifetime(name: str, seconds: int) -> None:
    if seconds < SHORTEST_S:
        why = "may not specify a duration less than 10 minutes"
    elif seconds > LONGEST_S:
        why = "may not specify a duration larger than 2^32 seconds"
    else:
        return
    message = f"Invalid value: {seconds}: {why}"
    cause = Cause("FieldValueInvalid", message, "spec.expirationSeconds")
    raise Invalid.of(kinds.TOKEN_REQUEST, name, [cause])
