"""Rule 42: admission policies are refused by name until they take effect."""

from __future__ import annotations

import pytest

from longshore.core.objects import kinds
from longshore.core.objects.kinds import Kind

from .refusals import apply_does_not_get_round_it, refused_by_name_and_not_stored

KINDS = (
    kinds.VALIDATING_POLICY,
    kinds.VALIDATING_POLICY_BINDING,
    kinds.MUTATING_POLICY,
    kinds.MUTATING_POLICY_BINDING,
)
WHY = "admission policies are not evaluated yet"

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.plural)


@every_kind
async def test_refused_by_name_and_not_stored(kind: Kind) -> None:
    await refused_by_name_and_not_stored(kind, WHY)


@every_kind
async def test_apply_does_not_get_round_it(kind: Kind) -> None:
    await apply_does_not_get_round_it(kind)
