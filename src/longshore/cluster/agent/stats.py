"""What a node's agent tells those who measure: the paths of a kubelet's read-only side."""

from __future__ import annotations

from typing import Any, Protocol

import orjson

from longshore.base.metrics import MEDIA
from longshore.doors.kit.http import Reply, Request

_JSON = "application/json"


class Statistics(Protocol):
    """The kubelet, as far as it is measured. metrics raises NotFound."""

    async def summary(self, *, only_cpu_and_memory: bool = False) -> dict[str, Any]: ...

    async def metrics(self, path: str) -> str: ...

    def pods(self) -> dict[str, Any]: ...

    def configuration(self) -> dict[str, Any]: ...


async def told(request: Request, statistics: Statistics) -> Reply | None:
    """The answer, None where the path is none of these: /stats/summary, /metrics and below, /pods and
    /configz. Raises NotFound."""
    match request.path.strip("/").split("/"):
        case ["stats", "summary"]:
            few = request.param("only_cpu_and_memory") == "true"
            document = await statistics.summary(only_cpu_and_memory=few)
        case ["metrics", *path] if len(path) < 2:
            return Reply(200, (await statistics.metrics("".join(path))).encode(), MEDIA)
        case ["pods"] | ["runningpods"]:
            document = statistics.pods()
        case ["configz"]:
            document = statistics.configuration()
        case _:
            return None
    return Reply(200, orjson.dumps(document), _JSON)
