"""Service accounts as users, and the bearer tokens that prove to be one."""

from __future__ import annotations

from collections.abc import Sequence

from longshore.base.users import User
from longshore.core.objects.errors import Unauthorized
from longshore.core.registry.authorize import AUTHENTICATED, SERVICE_ACCOUNTS

_USER_PREFIX = "system:serviceaccount:"


def account_user(namespace: str, name: str) -> str:
    """The user name of a service account."""
    return f"{_USER_PREFIX}{namespace}:{name}"


def split_user(user: str) -> tuple[str, str] | None:
    """Namespace and name of the service account that a user is; None if it is none."""
    namespace, colon, name = user.removeprefix(_USER_PREFIX).partition(":")
    if not user.startswith(_USER_PREFIX) or not colon or not namespace or not name or ":" in name:
        return None
    return namespace, name


def groups_of(namespace: str) -> tuple[str, ...]:
    """The groups of a namespace's service accounts."""
    return SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{namespace}", AUTHENTICATED


class NoTokens:
    """Reads no tokens: for a server that has no key to sign them with."""

    def authenticate(self, token: str, audiences: Sequence[str] = ()) -> tuple[User, list[str]]:
        raise Unauthorized("this server knows no bearer tokens")
