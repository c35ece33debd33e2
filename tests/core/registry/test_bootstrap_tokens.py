"""Bootstrap tokens: who bears one, and what makes it no good."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.base.users import User
from longshore.core.objects import kinds
from longshore.core.objects.errors import Unauthorized
from longshore.core.registry.identity import bootstrap_tokens as tokens
from longshore.core.registry.identity.bootstrap_tokens import BootstrapTokens
from longshore.core.registry.identity.tokens import ISSUER

from .conftest import Desk

TOKEN = "abcdef.0123456789abcdef"


class Door:
    """Makes the token's Secret, with changes, and shows it a token."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(
        self, token: str = TOKEN, audiences: tuple[str, ...] = (), **changes: Any
    ) -> tuple[User, list[str]]:
        """after_s: how much later the token is shown."""
        desk, after_s = self._desk, changes.pop("after_s", 0.0)
        secret = tokens.secret_of(TOKEN, "a test", desk.clock.now() + 3600)
        secret["type"] = changes.pop("type", secret["type"])
        secret["stringData"] |= changes
        await desk.create(kinds.SECRET, secret, "kube-system")
        await desk.clock.advance(after_s)
        return BootstrapTokens(desk.registry.cache, desk.clock).authenticate(token, audiences)


@pytest.fixture
async def authenticated(desk: Desk) -> Door:
    await desk.create(kinds.NAMESPACE, {"metadata": {"name": "kube-system"}})
    return Door(desk)


async def test_the_bearer(authenticated: Door) -> None:
    user, audiences = await authenticated()
    assert user.name == "system:bootstrap:abcdef"
    assert user.groups == ("system:bootstrappers", "system:authenticated")
    assert audiences == [ISSUER]


async def test_groups_besides(authenticated: Door) -> None:
    besides: dict[str, Any] = {"auth-extra-groups": "system:bootstrappers:b,system:bootstrappers:a"}
    user, _ = await authenticated(**besides)
    assert user.groups[:3] == (
        "system:bootstrappers", "system:bootstrappers:a", "system:bootstrappers:b",
    )  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"token": "abcdef.0123456789abcdeX"},
        {"token": "abcdef.0123456789abcdff"},
        {"token": "zzzzzz.0123456789abcdef"},
        {"token": "abcdef"},
        {"token": TOKEN + "\n"},
        {"audiences": ("https://elsewhere",)},
        {"token-id": "fedcba"},
        {"usage-bootstrap-authentication": "yes"},
        {"auth-extra-groups": "system:masters"},
        {"auth-extra-groups": "system:bootstrappers:"},
        {"expiration": "tomorrow"},
        {"after_s": 3600.0},
        {"type": "Opaque"},
    ],
    ids=str,
)
async def test_what_is_no_good(authenticated: Door, changes: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized, match=r"^invalid bearer token$"):
        await authenticated(**changes)
