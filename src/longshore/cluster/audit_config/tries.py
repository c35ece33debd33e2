"""Requests that a server should refuse, and what it answers."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from longshore.base.clock import Clock
from longshore.cluster.audit_config import handshakes
from longshore.cluster.audit_config.evidence import (
    ANONYMOUS,
    FOREIGN,
    MADE_UP_TOKEN,
    OPEN,
    ORDINARY,
    PASSWORD,
    PROFILING,
    Door,
)
from longshore.cluster.audit_config.handshakes import Place
from longshore.core.pki.authority import Authority
from longshore.core.pki.pairs import Pair
from longshore.core.pki.tls import client_context
from longshore.doors.kit.fetch import FetchError, Pool

_MASTERS = "system:masters"


@dataclass(frozen=True, slots=True)
class Try:
    """GET path, with the certificate of pair if there is one. what is its name in the evidence."""

    what: str
    path: str
    pair: Pair | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def at_api(admin: Pair, foreign: Pair) -> list[Try]:
    nodes = "/api/v1/nodes"
    return [
        Try(ANONYMOUS, nodes),
        Try(OPEN, "/livez"),
        Try(MADE_UP_TOKEN, nodes, headers={"Authorization": "Bearer made-up"}),
        Try(PASSWORD, nodes, headers={"Authorization": "Basic YWRtaW46YWRtaW4="}),
        Try(FOREIGN, nodes, foreign),
        Try(PROFILING, "/debug/pprof/", admin),
    ]


def at_node(own: Pair, foreign: Pair) -> list[Try]:
    statistics = "/stats/summary"
    return [
        Try(ANONYMOUS, statistics),
        Try(ORDINARY, statistics, own),
        Try(FOREIGN, statistics, foreign),
    ]


@contextmanager
def foreigner(clock: Clock) -> Iterator[Pair]:
    """The certificate of another cluster's master."""
    with TemporaryDirectory(prefix="longshore-foreign-") as directory:
        yield Authority(Path(directory), clock).client("admin", "longshore:admin", [_MASTERS])


async def tried(place: Place, tries: Sequence[Try]) -> Door:
    """Try them one after another, and then what it agrees to in a handshake."""
    statuses = {one.what: await _status(place, one) for one in tries}
    verified, agreed = handshakes.verified(place)
    return Door(
        verified,
        statuses,
        handshakes.old_protocol(place),
        handshakes.weak_cipher(place),
        agreed,
    )


async def _status(place: Place, one: Try) -> int:
    """Of the answer; 0 if there is none."""
    if one.pair is None:
        context = ssl.create_default_context(cafile=str(place.authority))
    else:
        context = client_context(one.pair, place.authority)
    pool = Pool([f"https://{place.host}:{place.port}"], context, socket_factory=place.make)
    try:
        return (await pool.fetch("GET", one.path, one.headers)).status
    except FetchError:
        return 0
    finally:
        pool.close()
