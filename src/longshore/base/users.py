"""Who is asking. Filled in by a door from a certificate or a token, judged by the registry."""

from __future__ import annotations

from dataclasses import dataclass

_ACCOUNT_PREFIX = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class User:
    """A caller: a name and the groups it belongs to, as Kubernetes names them. uid tells apart
    two who had one name after another; extra is what else who vouches for the caller says."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __hash__(self) -> int:
        """Of the name alone, which nearly always tells users apart: they are looked up often."""
        return hash(self.name)

    @property
    def is_master(self) -> bool:
        return "system:masters" in self.groups


# Whom nodes answer: servers, which have asked for permission before. At the API it grants nothing.
SERVERS = "longshore:servers"


def loop_user(name: str) -> User:
    """The user that an in-process loop acts as."""
    return User(f"system:longshore:{name}", ("system:masters",))


def account_user(namespace: str, name: str) -> str:
    """The user name of a service account."""
    return f"{_ACCOUNT_PREFIX}{namespace}:{name}"


def split_user(user: str) -> tuple[str, str] | None:
    """Namespace and name of the service account that a user is; None if it is none."""
    namespace, colon, name = user.removeprefix(_ACCOUNT_PREFIX).partition(":")
    if not user.startswith(_ACCOUNT_PREFIX) or not colon or not namespace or not name:
        return None
    return None if ":" in name else (namespace, name)
