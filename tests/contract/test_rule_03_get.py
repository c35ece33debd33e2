"""Rule 3: a GET is of the newest state, whatever older revision it names; of a later one, it waits
(rule 5)."""

from __future__ import annotations

import pytest

from tests.doors.rig import config_map, kube

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.mark.parametrize(
    "query", ["", "?resourceVersion=", "?resourceVersion=0", "?resourceVersion=1"]
)
async def test_it_is_of_the_newest_state(query: str) -> None:
    async with kube() as ask:
        await ask("POST", MAPS, config_map("a", k="old"))
        await ask("PUT", f"{MAPS}/a", config_map("a", k="new"))
        assert (await ask("GET", f"{MAPS}/a{query}")).doc["data"] == {"k": "new"}


async def test_a_write_is_seen_by_the_next_read() -> None:
    async with kube() as ask:
        for number in range(20):
            body = config_map("a", k=str(number))
            made = await ask("PUT" if number else "POST", f"{MAPS}/a" if number else MAPS, body)
            assert (await ask("GET", f"{MAPS}/a?resourceVersion=0")).body == made.body
        await ask("DELETE", f"{MAPS}/a")
        assert (await ask("GET", f"{MAPS}/a?resourceVersion=0")).status == 404


async def test_of_one_object_there_is_no_watch() -> None:
    """Upstream's handler of one object does not know the parameter; clients watch the collection
    with a field selector."""
    async with kube() as ask:
        made = await ask("POST", MAPS, config_map("a"))
        assert (await ask("GET", f"{MAPS}/a?watch=true")).body == made.body
