"""Who is asking. Filled in by a door from a certificate or a token, judged by the registry."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class User:
    """A caller: a name and the groups it belongs to, as Kubernetes names them. uid tells apart
    two who had one name after another; extra is what else who vouches for the caller says."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def is_master(self) -> bool:
        return "system:masters" in self.groups


def loop_user(name: str) -> User:
    """The user that an in-process loop acts as."""
    return User(f"system:longshore:{name}", ("system:masters",))
