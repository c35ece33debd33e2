"""Bearer tokens of several makers: the first that knows one says whose it is."""

from __future__ import annotations

from collections.abc import Sequence

from longshore.base.users import User
from longshore.core.objects.errors import Unauthorized
from longshore.core.objects.kinds import Doc
from longshore.core.registry.identity.tokens import Tokens
from longshore.core.registry.reviews import TokenReader


class Bearers:
    """Tokens of service accounts, which are issued here, and those that others vouch for."""

    def __init__(self, accounts: Tokens, others: Sequence[TokenReader]) -> None:
        self._accounts = accounts
        self._others = others

    def authenticate(self, token: str, audiences: Sequence[str] = ()) -> tuple[User, list[str]]:
        """The bearer, and those of the audiences that the token is for. Raises Unauthorized, with
        the words of the maker who knew the token best."""
        try:
            return self._accounts.authenticate(token, audiences)
        except Unauthorized as error:
            refusal = error
        for other in self._others:
            try:
                return other.authenticate(token, audiences)
            except Unauthorized as error:
                refusal = error if str(error) else refusal
        raise refusal

    def issue(self, who: User, namespace: str, name: str, spec: Doc) -> Doc:
        return self._accounts.issue(who, namespace, name, spec)

    @property
    def keys(self) -> bytes | None:
        return self._accounts.keys

    def configuration(self, keys_url: str) -> bytes | None:
        return self._accounts.configuration(keys_url)
