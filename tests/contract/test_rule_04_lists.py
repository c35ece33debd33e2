"""Rules 4 and 12: what resourceVersion and resourceVersionMatch mean together
(kubernetes.io/docs/reference/using-api/api-concepts#resource-versions)."""

from __future__ import annotations

import pytest

from tests.doors.rig import Kube, config_map, kube

MAPS = "/api/v1/namespaces/default/configmaps"


async def _two_states(ask: Kube) -> int:
    """a at the revision that is returned; b came later."""
    await ask("POST", MAPS, config_map("a"))
    revision = ask.registry.cache.revision
    await ask("POST", MAPS, config_map("b"))
    return revision


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["a", "b"]),
        ("resourceVersion=0", ["a", "b"]),
        ("resourceVersion={at}", ["a", "b"]),
        ("resourceVersion={at}&limit=5", ["a"]),
        ("resourceVersion=0&limit=5", ["a", "b"]),
        ("resourceVersion={at}&resourceVersionMatch=Exact", ["a"]),
        ("resourceVersion={at}&resourceVersionMatch=NotOlderThan", ["a", "b"]),
        ("resourceVersion={at}&resourceVersionMatch=NotOlderThan&limit=5", ["a", "b"]),
        ("resourceVersion=0&resourceVersionMatch=NotOlderThan", ["a", "b"]),
        ("limit=-1", ["a", "b"]),
        ("limit=0", ["a", "b"]),
    ],
)
async def test_the_table_of_combinations(query: str, names: list[str]) -> None:
    async with kube() as ask:
        at = await _two_states(ask)
        listed = (await ask("GET", f"{MAPS}?{query.format(at=at)}")).doc
        assert [item["metadata"]["name"] for item in listed["items"]] == names
        assert int(listed["metadata"]["resourceVersion"]) == (at if names == ["a"] else at + 1)


_TO = "resourceVersionMatch"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (f"{_TO}=Exact", f"{_TO}: Forbidden: {_TO} is forbidden unless resourceVersion is provided"),
        (
            f"{_TO}=Exact&resourceVersion=0",
            f'{_TO}: Forbidden: {_TO} "exact" is forbidden for resourceVersion "0"',
        ),
        (
            f"{_TO}=Exact&resourceVersion=2&continue=x",
            f"{_TO}: Forbidden: {_TO} is forbidden when continue is provided",
        ),
        (
            f"{_TO}=Newer&resourceVersion=2",
            f'{_TO}: Unsupported value: "Newer": supported values: "", "Exact", "NotOlderThan"',
        ),
        ("sendInitialEvents=true", "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
        (
            "watch=1&sendInitialEvents=true",
            f"{_TO}: Forbidden: sendInitialEvents requires setting {_TO} to NotOlderThan",
        ),
        (
            f"watch=1&{_TO}=NotOlderThan",
            f"{_TO}: Forbidden: {_TO} is forbidden for watch unless sendInitialEvents is provided",
        ),
        (
            f"watch=1&sendInitialEvents=true&{_TO}=NotOlderThan&continue=x",
            f"{_TO}: Forbidden: {_TO} is forbidden when continue is provided",
        ),
    ],
)  # fmt: skip
async def test_what_does_not_go_together_is_invalid(query: str, message: str) -> None:
    async with kube() as ask:
        answer = await ask("GET", f"{MAPS}?{query}")
        assert (answer.status, answer.doc["reason"]) == (422, "Invalid")
        assert answer.doc["message"] == f'ListOptions.meta.k8s.io "" is invalid: {message}'
